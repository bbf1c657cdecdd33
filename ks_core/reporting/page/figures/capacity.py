"""How many edits models of many widths take, in units of their layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ks_core.claims.capacity import LOST
from ks_core.reporting.page.figure import PageFigure
from ks_core.reporting.page.figures.chart import (
    NEUTRAL,
    OF_LINES,
    SHAPES,
    Row,
    axis,
    band,
    chart,
    colour_of,
    colours,
    kept,
    label,
    shapes,
    shown_number,
    tooltip,
)
from ks_core.reporting.stored_results import StoredResults

UNITS = {"dimension": "edits per dimension of the keys", "superposition": "edits times mean square of P"}
"""Unit of the horizontal axis → in words."""


def capacity_figure(results: StoredResults) -> PageFigure | None:
    """Damage against the number of edits in either unit; None where it was not measured."""
    capacity = results.content["editing"].get("capacity")
    if not capacity:
        return None
    rows = [row for model in capacity["models"] for row in rows_of(model)]
    if not rows:
        return None
    models = capacity["models"]
    families = len({model["family"] for model in models})
    methods = list(dict.fromkeys(row["method"] for row in rows))
    return PageFigure(
        name="capacity",
        title="Capacity for edits",
        caption=(
            f"{_count(len(models), 'model', 'models')} of {_count(families, 'family', 'families')}: share of the "
            "watched facts whose own object has lost half of its probability, after insertions one after another; "
            f"{_methods(methods)}. Choose the unit below the chart; the dotted line is where {LOST:.0%} are lost. Bars "
            "are one standard error over the watched facts of a model."
        ),
        alternative=_alternative(models),
        spec=_spec(rows, methods, list(dict.fromkeys(label(model["family"]) for model in models))),
    )


def rows_of(model: Mapping[str, Any]) -> list[Row]:
    """One row for each method, number of edits and unit at which damage was read."""
    units = {"dimension": 1 / model["d_key"], "superposition": model["mean_square_of_p_onto_watched"]}
    return [
        band(
            {"series": label(model["family"]), "model": label(model["name"]), "method": label(method),
             "edits": damage["edits"], "unit": unit, "x": kept(damage["edits"] * each)},
            damage["halved"]["value"],
            damage["halved"]["error"],
        )
        for method, curve in model["methods"].items()
        for damage in curve
        for unit, each in units.items()
        if damage["halved"]["value"] is not None and each
    ]  # fmt: skip


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _methods(methods: Sequence[str]) -> str:
    styles = ("solid", "dashed", "dotted")
    return ", ".join(f"{style}: {method}" for style, method in zip(styles, methods, strict=False))


def _spec(rows: list[Row], methods: list[str], families: list[str]) -> Row:
    colour = colours({name: colour_of(place) for place, name in enumerate(families)})
    shape = shapes({name: SHAPES[place % len(SHAPES)] for place, name in enumerate(families)})
    strokes: list[list[int]] = [[1, 0], [6, 4], [2, 2]]
    scale = {"domain": methods, "range": [strokes[place % 3] for place in range(len(methods))]}
    dash = {"field": "method", "type": "nominal", "title": None, "scale": scale, "legend": OF_LINES}
    x = axis("x", "edits in that unit (log scale)", scale={"type": "log", "nice": False}, format="~g", tickCount=5)
    y = axis("value", "watched facts halved (share)", scale={"domain": [0, 1]})
    detail = [{"field": "model", "type": "nominal"}, {"field": "method", "type": "nominal"}]
    bars: Row = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "rule", "opacity": 0.4, "clip": True},
        "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour},
    }
    lines: Row = {
        "mark": {"type": "line", "strokeWidth": 1.3},
        "encoding": {"x": x, "y": y, "color": colour, "strokeDash": dash, "detail": detail},
    }
    points: Row = {
        "mark": {"type": "point", "filled": True, "size": 22, "opacity": 1},
        "encoding": {"x": x, "y": y, "color": colour, "shape": shape,
                     "tooltip": tooltip(model="model", series="family", method="method", edits="edits",
                                        value="share halved", error="± one standard error")},
    }  # fmt: skip
    lost = {
        "data": {"values": [{"value": LOST}]},
        "mark": {"type": "rule", "color": NEUTRAL, "strokeDash": [2, 2]},
        "encoding": {"y": y},
    }
    options = {"input": "select", "options": list(UNITS), "labels": list(UNITS.values()), "name": "unit "}
    choice = {"name": "unit", "value": next(iter(UNITS)), "bind": options}
    chosen = [{"filter": "datum.unit === unit"}]
    layers = [{**layer, "transform": chosen + layer.get("transform", [])} for layer in (bars, lines, points)]
    return chart([lost, *layers], labels=len(families) + len(methods), data={"values": rows}, params=[choice])


def _alternative(models: Sequence[Mapping[str, Any]]) -> str:
    parts = [
        f"{label(model['name'])}, {label(method)}: {shown_number(100 * last['halved']['value'])} % after "
        f"{last['edits']} edits"
        for model in models
        for method, curve in model["methods"].items()
        for last in [next((of for of in reversed(curve) if of["halved"]["value"] is not None), None)]
        if last is not None
    ]
    return f"Watched facts halved at the end. {'; '.join(parts)}."
