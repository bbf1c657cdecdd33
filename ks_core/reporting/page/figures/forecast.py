"""What was foretold against what was measured: interference of a short stream, curves of a long one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ks_core.reporting.page.figure import PageFigure
from ks_core.reporting.page.figures.chart import (
    NEUTRAL,
    OF_LINES,
    Row,
    axis,
    band,
    chart,
    colour_of,
    colours,
    error_bars,
    kept,
    label,
    shown_number,
    tooltip,
)
from ks_core.reporting.page.figures.methods import edits_axis, looks, places_of
from ks_core.reporting.page.figures.stored import model_name
from ks_core.reporting.stored_results import StoredResults

AT = {"bystanders": "facts not edited", "edits": "earlier edits"}
"""Part of the interference → where it is read."""

ZERO = 1e-6
"""Interference below so much of the largest is nothing but rounding: methods that solve for 0 leave 1e-14 of it."""

SCORES = {"retention": "retention p(new) of the first quarter", "watched halved": "watched facts halved (share)"}


def interference_figure(results: StoredResults) -> PageFigure | None:
    """Lengths of interference, predicted from P and residuals against measured; None without a stream."""
    stream = results.content["editing"].get("stream")
    if not stream:
        return None
    found = list(_lengths(stream["methods"]))
    largest = max((row["measured"] for row in found), default=0.0)
    rows = [row for row in found if min(row["measured"], row["predicted"]) > ZERO * largest]
    if not rows:
        return None
    last = max(row["edits"] for row in found)
    zero = len(found) - len(rows)
    rest = f" {zero} points are left out that are zero but for rounding." if zero else ""
    return PageFigure(
        name="interference",
        title="Interference, predicted against measured",
        caption=(
            f"{model_name(results)}, layer {stream['layer']}: root mean square length of the change of value after 1 "
            f"to {last} edits by {len(stream['methods'])} methods, predicted from P and the residuals, against the "
            f"module in float64; filled: at facts not edited, open: at earlier edits.{rest} On the grey line both are "
            "equal. "
            "No bars: a prediction of these very edits has no sampling error."
        ),
        alternative=_interference_alternative(rows, last),
        spec=_interference_spec(rows, list(stream["methods"])),
    )


def _lengths(methods: Mapping[str, Any]) -> Iterator[Row]:
    for method, run in methods.items():
        for at in run:
            for part, where in AT.items():
                of = at["float64"][part]
                if of["predicted"] is not None and of["measured"] is not None:
                    yield {"series": label(method), "edits": at["edits"], "at": where, "relative": of["relative"],
                           "predicted": of["predicted"], "measured": of["measured"]}  # fmt: skip


def _interference_spec(rows: list[Row], methods: list[str]) -> Row:
    present = {row["series"] for row in rows}
    colour, shape, _ = looks([method for method in methods if label(method) in present])
    numbers = ("predicted", "measured", "relative")
    values = [{**row, **{of: kept(row[of]) for of in numbers}} for row in rows]
    ends = [of(row[name] for row in values for name in numbers[:2]) for of in (min, max)]
    domain = [kept(ends[0] / 1.2), kept(ends[1] * 1.2)]
    scale = {"type": "log", "domain": domain, "nice": False}
    x, y = (axis(of, f"{of} length (log scale)", scale=scale, format="~g", tickCount=6) for of in numbers[:2])
    diagonal = {
        "data": {"values": [{"predicted": end, "measured": end} for end in domain]},
        "mark": {"type": "line", "color": NEUTRAL, "strokeDash": [4, 3]},
        "encoding": {"x": x, "y": y},
    }
    told = tooltip(series="method", edits="edits", at="at", predicted="predicted", measured="measured",
                   relative="relative difference")  # fmt: skip
    points = [
        {
            "transform": [{"filter": {"field": "at", "equal": where}}],
            "mark": {"type": "point", "filled": filled, "size": 55, "opacity": 1},
            "encoding": {"x": x, "y": y, "color": colour, "shape": shape, "tooltip": told},
        }
        for where, filled in zip(AT.values(), (True, False), strict=True)
    ]
    return chart([diagonal, *points], labels=len(present), data={"values": values})


def _interference_alternative(rows: list[Row], last: int) -> str:
    finals = [
        f"{row['series']} at {row['at']}: predicted {shown_number(row['predicted'])}, measured "
        f"{shown_number(row['measured'])}"
        for row in rows
        if row["edits"] == last
    ]
    worst = max((row["relative"] for row in rows if row["relative"] is not None), default=None)
    return f"After {last} edits, {'; '.join(finals)}. Largest relative difference: {shown_number(worst, 2)}."


def forecast_figure(results: StoredResults) -> PageFigure | None:
    """Curves foretold from a sample of the edits beside the measured ones; None without forecasts."""
    lifelong = results.content["editing"].get("lifelong")
    if not lifelong or not lifelong["forecasts"]:
        return None
    foretold = {of["method"] for of in lifelong["forecasts"]}
    rows = [row for of in lifelong["forecasts"] for row in _curve(of, "foretold")]
    rows += [
        row for of in lifelong["curves"] if of["default"] and of["method"] in foretold for row in _curve(of, "measured")
    ]
    if not rows:
        return None
    samples = sorted({of["sample"] for of in lifelong["forecasts"]})
    return PageFigure(
        name="forecast",
        title="Forecast against measured",
        caption=(
            f"{model_name(results)}, layer {lifelong['layer']}: curves of a long stream of "
            f"{len(lifelong['edited_case_ids'])} edits in {len(lifelong['orders'])} orders (solid), and what samples "
            f"of {' or '.join(map(str, samples))} of them foretell (dashed, open); choose a score below the chart. "
            "Bars are one standard error over facts."
        ),
        alternative=_forecast_alternative(rows),
        spec=_forecast_spec(rows),
    )


def _curve(of: Mapping[str, Any], kind: str) -> Iterator[Row]:
    for look in of["looks"]:
        for score in SCORES:
            found = look["scores"].get(score)
            if found is not None and found["value"] is not None:
                row = {"series": label(of["method"]), "kind": kind, "edits": look["edits"], "score": score}
                yield band(row, found["value"], found["error"])


def _forecast_spec(rows: list[Row]) -> Row:
    places = places_of([row["series"] for row in rows])
    colour = colours({name: colour_of(place) for name, place in places.items()})
    _, shape, _ = looks([row["series"] for row in rows])
    kinds: dict[str, list[int]] = {"measured": [1, 0], "foretold": [6, 4]}
    dash = {"field": "kind", "type": "nominal", "title": None,
            "scale": {"domain": list(kinds), "range": list(kinds.values())}, "legend": OF_LINES}  # fmt: skip
    x, y = edits_axis(rows), axis("value", "score", scale={"domainMin": 0})
    bars = error_bars(x, y, colour, 0.5)
    lines = {
        "mark": {"type": "line", "strokeWidth": 1.6},
        "encoding": {"x": x, "y": y, "color": colour, "strokeDash": dash},
    }
    points = [
        {
            "transform": [{"filter": {"field": "kind", "equal": kind}}],
            "mark": {"type": "point", "filled": kind == "measured", "size": 45, "opacity": 1},
            "encoding": {"x": x, "y": y, "color": colour, "shape": shape,
                         "tooltip": tooltip(series="method", kind="curve", edits="edits", score="score", value="value",
                                            error="± one standard error")},
        }
        for kind in kinds
    ]  # fmt: skip
    options = {"input": "select", "options": list(SCORES), "labels": list(SCORES.values()), "name": "score "}
    choice = {"name": "score", "value": next(iter(SCORES)), "bind": options}
    return chart([bars, lines, *points], labels=len(places) + len(kinds), data={"values": rows}, params=[choice],
                 transform=[{"filter": "datum.score === score"}])  # fmt: skip


def _forecast_alternative(rows: list[Row]) -> str:
    parts = []
    for name, score in dict.fromkeys((row["series"], row["score"]) for row in rows):
        curves = {
            kind: [row for row in rows if (row["series"], row["score"], row["kind"]) == (name, score, kind)]
            for kind in ("foretold", "measured")
        }
        said = [
            f"{kind} {shown_number(of[-1]['value'])} after {of[-1]['edits']} edits" for kind, of in curves.items() if of
        ]
        parts.append(f"{name}, {score}: {', '.join(said)}")
    return f"{'; '.join(parts)}."
