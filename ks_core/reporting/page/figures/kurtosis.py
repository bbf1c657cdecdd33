"""The kurtosis of superposition over the depth of the model, with what was published for GPT2-small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ks_core.data.published_numbers import published_gpt2_small
from ks_core.formatting import plus_minus
from ks_core.reporting.page.figure import PageFigure
from ks_core.reporting.page.figures.chart import (
    NEUTRAL,
    Row,
    axis,
    band,
    chart,
    colour_of,
    colours,
    dashes,
    kept,
    shapes,
    shown_number,
    tooltip,
)
from ks_core.reporting.page.figures.stored import model_name, of_pairs
from ks_core.reporting.stored_results import StoredResults

LAPLACE = 3.0
"""Excess kurtosis of a Laplace distribution."""

ALL, ONE_EACH = "all facts", "one fact per subject"

LENGTHS = "random directions, same lengths"

PUBLISHED = "GPT2-small, published"

LAW = "Laplace distribution"

DEPTHS = [0, 0.2, 0.4, 0.6, 0.8, 1]

TICKS = [-1, 0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000]
"""Of an axis that is logarithmic away from 0: its own would be evenly spaced numbers, one upon another."""


def kurtosis_figure(results: StoredResults) -> PageFigure | None:
    """Kurtosis of P in every layer with its error; None where no layer has one."""
    content = results.content
    layers, measured = content["layers"], content["statistics"]["P"]["kurtosis"]
    if all(value is None for value in measured["value"]):
        return None
    facts = content["facts"]
    rows = _of_layers(ALL, layers, measured)
    if facts["distinct_subjects"] < len(facts["measured_case_ids"]):
        rows += _of_layers(ONE_EACH, layers, content["one_fact_per_subject"]["P"]["kurtosis"])
    rows += _of_layers(LENGTHS, layers, {"value": content["null_of_lengths"]["kurtosis"]["mean"]})
    published = published_gpt2_small().p_kurtosis
    rows += _of_layers(PUBLISHED, range(len(published)), {"value": published})
    rows += [{"series": LAW, "depth": depth, "value": LAPLACE} for depth in (0, 1)]
    return PageFigure(
        name="kurtosis",
        title="Kurtosis over the layers",
        caption=_caption(results, rows),
        alternative=_alternative(results, published),
        spec=_spec(rows),
    )


def relative_depths(layers: int) -> list[float]:
    """0 for the first measured layer, 1 for the last, so that models of different depth share an axis."""
    return [layer / max(1, layers - 1) for layer in range(layers)]


def _of_layers(series: str, layers: Sequence[int], of: Mapping[str, Any]) -> list[Row]:
    errors = of.get("error") or [None] * len(layers)
    rows = [
        band({"series": series, "depth": kept(depth), "layer": layer}, value, error)
        for depth, layer, value, error in zip(relative_depths(len(layers)), layers, of["value"], errors, strict=True)
    ]
    # A row without a value stays: the line is to break there, and not to go straight from layer to layer beyond.
    return rows if any(row["value"] is not None for row in rows) else []


def _spec(rows: list[Row]) -> Row:
    colour = {ALL: colour_of(0), ONE_EACH: colour_of(1), LENGTHS: colour_of(2), PUBLISHED: NEUTRAL, LAW: NEUTRAL}
    shape = {ALL: "circle", ONE_EACH: "square", LENGTHS: "triangle-up", PUBLISHED: "diamond", LAW: "stroke"}
    dash = {ALL: [1, 0], ONE_EACH: [1, 0], LENGTHS: [6, 3], PUBLISHED: [6, 3], LAW: [2, 2]}
    present = dict.fromkeys(row["series"] for row in rows)
    places = [row[end] for row in rows for end in ("value", "low", "high") if row.get(end) is not None]
    scale = {"type": "symlog", "constant": 1, "domain": [min(0.0, *places), 1.1 * max(places)], "nice": False}
    ticks = [tick for tick in TICKS if min(0.0, *places) <= tick <= max(places)]
    x = axis("depth", "relative depth of the layer", scale={"domain": [0, 1]}, values=DEPTHS, format=".1f")
    y = axis("value", "excess kurtosis of P", scale=scale, values=ticks)
    coloured = colours({name: colour[name] for name in present})
    lines = {
        "mark": {"type": "line", "strokeWidth": 1.6},
        "encoding": {"x": x, "y": y, "color": coloured, "strokeDash": dashes({name: dash[name] for name in present})},
    }
    bands = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "area", "opacity": 0.2},
        "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": coloured},
    }
    points = {
        "transform": [{"filter": "isValid(datum.layer) && isValid(datum.value)"}],
        "mark": {"type": "point", "filled": True, "size": 28, "opacity": 1},
        "encoding": {
            "x": x,
            "y": y,
            "color": coloured,
            "shape": shapes({name: shape[name] for name in present}),
            "tooltip": tooltip(series="of", layer="layer", value="kurtosis", error="± one standard error"),
        },
    }
    return chart([bands, lines, points], labels=len(present), data={"values": rows})


def _caption(results: StoredResults, rows: list[Row]) -> str:
    layers = results.content["layers"]
    ends = f"{len(layers)} layers, from {layers[0]} at depth 0 to {layers[-1]} at depth 1" if len(layers) > 1 else (
        f"layer {layers[0]} alone")  # fmt: skip
    one_each = (
        f"; {results.content['facts']['distinct_subjects']} of them with one fact per subject"
        if any(row["series"] == ONE_EACH for row in rows)
        else "; each fact has a subject of its own"
    )
    return (
        f"{model_name(results)}: excess kurtosis of P over {of_pairs(results)}{one_each}; {ends}. Bands are one "
        "standard error over facts and text. Beside it: random directions with the lengths of the model's own keys, "
        f"what was published for GPT2-small, and a Laplace distribution at {LAPLACE:g}. The axis is logarithmic away "
        "from 0."
    )


def _alternative(results: StoredResults, published: Sequence[float]) -> str:
    of = results.content["statistics"]["P"]["kurtosis"]
    by_layer = [
        (value, error, layer)
        for value, error, layer in zip(of["value"], of["error"], results.content["layers"], strict=True)
        if value is not None
    ]
    said = [
        f"{place} {_shown(value, error)} in layer {layer}"
        for place, (value, error, layer) in {
            "first": by_layer[0], "last": by_layer[-1], "highest": max(by_layer, key=_value),
            "lowest": min(by_layer, key=_value),
        }.items()
    ]  # fmt: skip
    above = sum(value > LAPLACE for value, _, _ in by_layer)
    lengths = [value for value in results.content["null_of_lengths"]["kurtosis"]["mean"] if value is not None]
    alone = (
        f" Random directions of the same lengths give {shown_number(min(lengths))} to {shown_number(max(lengths))}."
        if lengths
        else ""
    )
    return (
        f"Excess kurtosis of P: {', '.join(said)}; above {LAPLACE:g} in {above} of {len(by_layer)} layers.{alone} "
        f"Published for GPT2-small: {shown_number(published[0])} in its first layer, {shown_number(published[-1])} in "
        "its last."
    )


def _value(of: tuple[float, Any, int]) -> float:
    return of[0]


def _shown(value: float, error: float | None) -> str:
    return plus_minus(value, float("nan") if error is None else error)
