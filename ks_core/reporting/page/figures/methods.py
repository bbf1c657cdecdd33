"""What each method keeps and costs along a stream of edits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ks_core.formatting import plus_minus
from ks_core.reporting.page.figure import PageFigure
from ks_core.reporting.page.figures.chart import (
    DASHES,
    SHAPES,
    Row,
    axis,
    band,
    chart,
    colour_of,
    colours,
    dashes,
    error_bars,
    label,
    shapes,
    tooltip,
)
from ks_core.reporting.page.figures.stored import model_name
from ks_core.reporting.stored_results import StoredResults

OURS = ("sequential", "joint", "null-space", "protected", "MEMIT", "EMMET", "AlphaEdit", "spread", "PRUNE")
"""Methods that have the same look in every chart; others follow in the order of the file."""

SCORES = {
    "retention": "retention: mean p(new) - p(true) of the first quarter",
    "efficacy": "efficacy: share of edits whose new object is ahead",
    "paraphrase": "paraphrase: the same after other wordings",
    "neighbourhood": "neighbourhood: share of other subjects left as they were",
    "log-perplexity rise": "log-perplexity of the text, rise in nats",
}
"""Score of a stream → in words."""


def places_of(methods: Iterable[str]) -> dict[str, int]:
    """Place of each method's look: label → place."""
    names = list(dict.fromkeys(methods))
    others = [name for name in names if name not in OURS]
    return {
        label(name): OURS.index(name) if name in OURS else len(OURS) + others.index(name)
        for name in sorted(names, key=lambda name: OURS.index(name) if name in OURS else len(OURS))
    }


def looks(methods: Iterable[str]) -> tuple[Row, Row, Row]:
    """Encodings of methods by colour, shape and dash."""
    places = places_of(methods)
    return (
        colours({name: colour_of(place) for name, place in places.items()}),
        shapes({name: SHAPES[place % len(SHAPES)] for name, place in places.items()}),
        dashes({name: DASHES[place % len(DASHES)] for name, place in places.items()}),
    )


def methods_figure(results: StoredResults) -> PageFigure | None:
    """Scores of each method against the number of edits, one score at a time; None without a stream."""
    stream = results.content["editing"].get("stream")
    if not stream:
        return None
    rows = rows_of(stream["methods"])
    if not rows:
        return None
    last = max(row["edits"] for row in rows)
    scores = [score for score in SCORES if any(row["score"] == score for row in rows)]
    return PageFigure(
        name="methods",
        title="Methods along a stream",
        caption=(
            f"{model_name(results)}, layer {stream['layer']}: {last} edits, one stream for each of "
            f"{len(stream['methods'])} methods; choose a score below the chart. Bars are one standard error over facts "
            "or texts; none where there is one fact. The axis need not begin at 0."
        ),
        alternative=_alternative(rows, scores, last),
        spec=_spec(rows, scores, list(stream["methods"])),
    )


def rows_of(methods: Mapping[str, Any]) -> list[Row]:
    """One row for each method, checkpoint and score that is a number."""
    rows = [
        band({"series": label(name), "edits": at["edits"], "score": score}, of["value"], of["error"])
        for name, run in methods.items()
        for at in run
        for score, of in at["scores"].items()
        if score in SCORES
    ]
    return [row for row in rows if row["value"] is not None]


def edits_axis(rows: Iterable[Row]) -> Row:
    """A logarithmic axis of numbers of edits, with those that were looked at as ticks where few are."""
    counts = sorted({row["edits"] for row in rows})
    ticks = counts if len(counts) <= 8 else counts[:: -(-len(counts) // 8)]
    return axis(
        "edits", "edits (log scale)", scale={"type": "log", "nice": False, "padding": 10}, values=ticks, format="d"
    )


def _spec(rows: list[Row], scores: list[str], methods: list[str]) -> Row:
    colour, shape, dash = looks(methods)
    x, y = edits_axis(rows), axis("value", "score")
    bars = error_bars(x, y, colour, 0.6)
    lines = {
        "mark": {"type": "line", "strokeWidth": 1.4},
        "encoding": {"x": x, "y": y, "color": colour, "strokeDash": dash},
    }
    points = {
        "mark": {"type": "point", "filled": True, "size": 45, "opacity": 1},
        "encoding": {
            "x": x, "y": y, "color": colour, "shape": shape,
            "tooltip": tooltip(series="method", edits="edits", score="score", value="value",
                               error="± one standard error"),
        },
    }  # fmt: skip
    choice = {
        "name": "score",
        "value": scores[0],
        "bind": {"input": "select", "options": scores, "labels": [SCORES[of] for of in scores], "name": "score "},
    }
    return chart(
        [bars, lines, points],
        labels=len(methods),
        data={"values": rows},
        params=[choice],
        transform=[{"filter": "datum.score === score"}],
    )


def _alternative(rows: list[Row], scores: list[str], last: int) -> str:
    parts = []
    for score in scores:
        found = [
            f"{row['series']} {plus_minus(row['value'], float('nan') if row['error'] is None else row['error'])}"
            for row in rows
            if row["score"] == score and row["edits"] == last
        ]
        parts.append(f"{score}: {', '.join(found) or 'none'}")
    return f"After {last} edits, ± one standard error. {'; '.join(parts)}."
