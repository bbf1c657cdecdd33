"""How far an edit spills over to another fact, against the superposition with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ks_core.reporting.page.figure import PageFigure
from ks_core.reporting.page.figures.chart import (
    NEUTRAL,
    SHAPES,
    Row,
    axis,
    chart,
    colour_of,
    colours,
    kept,
    label,
    shapes,
    shown_number,
    tooltip,
)
from ks_core.reporting.page.figures.stored import facts_by_id, model_name
from ks_core.reporting.stored_results import StoredResults

EDGES = (-0.2, -0.05, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.2)
"""Bins of P for the line of means."""

WEAK, STRONG = 0.05, 0.5
"""Doses that the text alternative compares: below the one in size, and from the other upwards."""

MOST_POINTS = 4000
"""Points that are drawn; of more every k-th is, in the order of the file."""

FACT = 80
"""Characters of a fact under the pointer."""


def dose_figure(results: StoredResults) -> PageFigure | None:
    """Change of the new object's log-probability at other facts against P; None where no dose was measured."""
    editing = results.content["editing"]
    dose = editing.get("long_dose") or editing.get("dose")
    if not dose:
        return None
    points = points_of(dose)
    if not points:
        return None
    step = -(-len(points) // MOST_POINTS)
    return PageFigure(
        name="dose",
        title="Dose and response",
        caption=_caption(results, dose, points, step),
        alternative=_alternative(points),
        spec=_spec(results, dose, points, points[::step]),
    )


def points_of(dose: Mapping[str, Any]) -> list[Row]:
    """One row for each layer, edit and watched fact that counts: their places, dose, response and prediction."""
    arrays = dose["by_layer_edit_and_fact"]
    rows = []
    for place, layer in enumerate(dose["layers"]):
        for edit in range(len(dose["edited_case_ids"])):
            found = zip(*(arrays[name][place][edit] for name in ("dose", "response", "predicted")), strict=True)
            rows += [
                {"layer": layer, "e": edit, "w": watched, "x": given, "y": response, "p": predicted}
                for watched, (given, response, predicted) in enumerate(found)
                if given is not None and response is not None
            ]
    return rows


def means_of(points: Sequence[Row]) -> list[Row]:
    """Mean dose and mean response of the points in each bin of `EDGES` that holds any, from weak to strong."""
    doses, responses = (np.array([point[of] for point in points]) for of in ("x", "y"))
    places = np.digitize(doses, EDGES)
    return [
        {
            "x": kept(doses[places == place].mean()),
            "y": kept(responses[places == place].mean()),
            "n": int((places == place).sum()),
        }
        for place in sorted(set(places.tolist()))
    ]


def _spec(results: StoredResults, dose: Mapping[str, Any], points: list[Row], drawn: list[Row]) -> Row:
    names = {case_id: label(fact.sentence, FACT) for case_id, fact in facts_by_id(results).items()}
    facts = {
        of: [{"key": place, "name": names.get(case_id, f"fact {case_id}")} for place, case_id in enumerate(dose[ids])]
        for of, ids in (("e", "edited_case_ids"), ("w", "watched_case_ids"))
    }
    # Names stand once each, and not at every point: that would be most of the chart's bytes.
    looked_up = [
        {"lookup": of, "from": {"data": {"values": table}, "key": "key", "fields": ["name"]}, "as": [f"name_{of}"]}
        for of, table in facts.items()
    ]
    rows = [
        {"series": f"layer {row['layer']}", **row, **{of: kept(row[of]) for of in "xyp"}} for row in drawn
    ]  # fmt: skip
    for row in rows:
        del row["layer"]
    series = [f"layer {layer}" for layer in dose["layers"]]
    x = axis("x", "superposition P from the edited fact", tickCount=8)
    y = axis("y", "change of log p(new object), nats")
    told = tooltip(name_e="edited", name_w="other fact", series="layer", x="P", y="change, nats", p="predicted, nats")
    cloud = {
        "transform": looked_up,
        "mark": {"type": "point", "filled": True, "size": 26, "opacity": 0.65},
        "encoding": {
            "x": x,
            "y": y,
            "color": colours({name: colour_of(place) for place, name in enumerate(series)}),
            "shape": shapes({name: SHAPES[place % len(SHAPES)] for place, name in enumerate(series)}),
            "tooltip": told,
        },
    }
    means = {
        "data": {"values": means_of(points)},
        "mark": {"type": "line", "color": NEUTRAL, "strokeWidth": 2, "point": {"color": NEUTRAL, "shape": "stroke",
                 "size": 200}},
        "encoding": {"x": x, "y": y, "tooltip": tooltip(x="mean P", y="mean change, nats", n="points")},
    }  # fmt: skip
    return chart([cloud, means], labels=len(series), data={"values": rows})


def _caption(results: StoredResults, dose: Mapping[str, Any], points: list[Row], step: int) -> str:
    every = f"; one in {step} is drawn, the means are of all" if step > 1 else ""
    edits, watched = len(dose["edited_case_ids"]), len(dose["watched_case_ids"])
    layers = ", ".join(map(str, dose["layers"]))
    return (
        f"{model_name(results)}: {edits} edits of relation {label(dose['relation'])}, each made alone in layers "
        f"{layers} and taken back, and {watched} other facts of the relation: {len(points):,} points{every}. Upwards: "
        "by how much the new object has become more probable after the other fact's prompt. Grey: means over bins of "
        "P. No bars: each point is one number."
    )


def _alternative(points: list[Row]) -> str:
    weak = [point["y"] for point in points if abs(point["x"]) < WEAK]
    strong = [point["y"] for point in points if point["x"] >= STRONG]
    parts = [
        f"{len(of)} with P {words}: mean change {shown_number(float(np.mean(of)))} nats, largest "
        f"{shown_number(float(np.max(of)))}"
        if of
        else f"none with P {words}"
        for of, words in ((weak, f"between -{WEAK:g} and {WEAK:g}"), (strong, f"of {STRONG:g} and more"))
    ]
    return f"Of {len(points):,} points, each of a layer, an edit and another fact: {'; '.join(parts)}."
