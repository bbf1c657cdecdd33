"""What all charts of the page have in common: colours, shapes and dashes of series, legends, and how numbers are kept.

A series is told apart by its colour and by a shape or a dash, so that a chart can be read without colour. No chart
names a colour of text, axes or background: the page's theme has those, in light and in dark.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ks_core.formatting import printable, shortened

Row = dict[str, Any]
"""One record of a chart's data; its fields are named by us, and never by a file."""

PALETTE = ("#006CB4", "#D86000", "#9018FC", "#C08478", "#D8003C", "#9090B4")
"""Colours of series, in their order; they come round again.

Blue and vermilion are nearly those of Okabe and Ito (Color Universal Design, 2008). Their other colours are too pale
for white (yellow, orange, sky blue), too dark for a dark page (black), or as light as another of them (green, purple),
so that the rest were searched for: of all colours whose contrast with white and with near-black (#1a1a1a) is 3 or more,
as WCAG 2.1 asks of graphics (1.4.11), those whose least distance from one another is largest, be the eye a usual one or
without one of its three kinds of cone. Between the first four it is 39 in L*a*b*, between all six 23; 2.3 can just be
noticed.
"""

NEUTRAL = "#808080"
"""Of what is no series of the model's: chance, a law, what was published. Seen on white and on near-black alike."""

SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")

DASHES = ([1, 0], [7, 3], [2, 2], [8, 3, 2, 3], [12, 4], [4, 2, 1, 2])

HEIGHT = 300
"""Of a chart, in pixels."""

COLUMNS = 2
"""Of a legend."""

LEGEND_ROW = 18
"""Pixels of a row of the legend."""

LEGEND = {"orient": "bottom", "columns": COLUMNS, "labelLimit": 260, "title": None, "symbolSize": 90,
          "symbolOpacity": 1}  # fmt: skip
"""The look of all legends; a symbol is as strong as it can be, however pale the mark that it stands for."""

OF_LINES = {"symbolType": "stroke", "symbolSize": 400, "symbolStrokeWidth": 2}
"""The look of a legend of lines: long enough to show their dashes."""

DIGITS = 6
"""Significant digits of a number in a chart: more than can be seen, and a third of the bytes of all of them."""

NAME = 40
"""Characters of a name in a legend: two columns of them fit on a wide page, one on a phone."""


def chart(layers: Sequence[Row], *, height: int = HEIGHT, labels: int = 0, **rest: Any) -> Row:
    """A chart as wide as its place on the page, of some layers.

    Args:
        layers: of the specification.
        height: in pixels, without the legend.
        labels: of the legend, which lies below in two columns.
        rest: further keys of the specification, such as `data`.
    """
    return {
        "width": "container",
        "height": height + LEGEND_ROW * -(-labels // COLUMNS),
        "autosize": {"type": "fit", "contains": "padding"},
        **rest,
        "layer": list(layers),
        "config": {"legend": LEGEND},
    }


def colour_of(place: int) -> str:
    """Colour of a series by its place."""
    return PALETTE[place % len(PALETTE)]


def colours(series: Mapping[str, str], **legend: Any) -> Row:
    """The encoding of the field `series` by colour: label → colour."""
    scale = {"domain": list(series), "range": list(series.values())}
    return {"field": "series", "type": "nominal", "scale": scale, "title": None, **legend}


def shapes(series: Mapping[str, str], **legend: Any) -> Row:
    """The encoding of the field `series` by shape: label → shape."""
    return colours(series, **legend)


def dashes(series: Mapping[str, Sequence[int]], **legend: Any) -> Row:
    """The encoding of the field `series` by dash: label → lengths of strokes and gaps."""
    scale = {"domain": list(series), "range": [list(dash) for dash in series.values()]}
    return {"field": "series", "type": "nominal", "scale": scale, "title": None, **legend}


def axis(field: str, title: str, *, scale: Row | None = None, **more: Any) -> Row:
    """The encoding of a number by a place on an axis.

    Args:
        field: of the data.
        title: of the axis, short: phones are narrow.
        scale: of the specification; linear, and beginning where the numbers do, where it is none.
        more: of the axis.
    """
    return {
        "field": field, "type": "quantitative", "title": title, "scale": scale or {"zero": False}, "axis": more or {},
    }  # fmt: skip


def tooltip(**fields: str) -> list[Row]:
    """What is shown under the pointer: field → its name for the reader."""
    return [{"field": field, "title": title} for field, title in fields.items()]


def kept(number: Any) -> float | None:
    """A number as a chart keeps it: rounded to `DIGITS`; None where there is none, or it is not finite.

    Example:
        >>> kept(0.123456789), kept(float("nan")), kept(None)
        (0.123457, None, None)
    """
    if number is None or not math.isfinite(number):
        return None
    return float(f"{number:.{DIGITS}g}")


def label(name: object, length: int = NAME) -> str:
    r"""Other people's name in a chart: on one line, and of a length that fits.

    Example:
        >>> label("two\nlines"), label("</script>")
        ('two\\nlines', '</script>')
    """
    return shortened(printable(name), length)


def band(row: Row, value: Any, error: Any) -> Row:
    """A row with a value, its error, and where both ends of its bar are; without an error it has no bar."""
    middle, half = kept(value), kept(error)
    ends = {} if middle is None or half is None else {"low": kept(middle - half), "high": kept(middle + half)}
    return {**row, "value": middle, "error": half, **ends}


def shown_number(number: float | None, digits: int = 3) -> str:
    """A number in a sentence; `not defined` where there is none.

    Example:
        >>> shown_number(0.12345), shown_number(None), shown_number(1234.5)
        ('0.123', 'not defined', '1230')
    """
    if number is None or not math.isfinite(number):
        return "not defined"
    rounded = float(f"{number:.{digits}g}")
    return f"{rounded:.0f}" if abs(rounded) >= 100 else f"{rounded:.{digits}g}"


def listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them.

    Example:
        >>> listed(["a", "b", "c"]), listed(["a"])
        ('a, b and c', 'a')
    """
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def error_bars(x: Row, y: Row, colour: Row, opacity: float) -> Row:
    """Rules from `low` to `high` of each row that has both."""
    return {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "rule", "opacity": opacity},
        "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour},
    }
