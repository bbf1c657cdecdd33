"""Angles between keys, whitened and as they are, in some layers: one strip a layer."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from ks_core.reporting.page.figure import PageFigure
from ks_core.reporting.page.figures.chart import (
    NEUTRAL,
    OF_LINES,
    Row,
    axis,
    chart,
    colour_of,
    colours,
    dashes,
    kept,
)
from ks_core.reporting.page.figures.stored import layers_shown, matrix_of, model_name, of_pairs, off_diagonal
from ks_core.reporting.stored_results import StoredResults
from ks_core.statistics.pairs import Array

SPACES = {"whitened_cosine": "whitened", "activation_cosine": "as they are"}
"""Matrix of cosines → its keys, for the reader."""

STEP = 3
"""Degrees of a bin."""

EDGES = np.arange(0, 180 + STEP, STEP)

STRIP = 74
"""Pixels of a strip."""

FILLED = 0.94
"""Share of a strip that the highest bin of all fills."""


def angles_figure(results: StoredResults) -> PageFigure | None:
    """How the angles of some layers are distributed, before and after whitening; None without matrices."""
    matrices = {space: matrix_of(results, name) for name, space in SPACES.items()}
    angles = {
        (layer, space): angles_of(matrix[place])
        for place, layer in layers_shown(results)
        for space, matrix in matrices.items()
        if matrix is not None
    }
    angles = {of: found for of, found in angles.items() if len(found)}
    if not angles:
        return None
    return PageFigure(
        name="angles",
        title="Angles between keys",
        caption=(
            f"{model_name(results)}: angles between the keys of {of_pairs(results)}, in each of some layers; solid: "
            "whitened by the text, dashed: the activations as they are. Share of the pairs in each bin of "
            f"{STEP} degrees, on the same scale in every strip; the dotted line is a right angle. No bars: the table "
            "has the errors of each statistic."
        ),
        alternative=_alternative(angles),
        spec=_spec(angles),
    )


def angles_of(cosines: Array) -> Array:
    """Angles in degrees between two different facts, from an (n, n) matrix of cosines."""
    angles: Array = np.degrees(np.arccos(np.clip(off_diagonal(cosines), -1, 1)))
    return angles


def _spec(angles: Mapping[tuple[int, str], Array]) -> Row:
    shares = {of: np.histogram(found, EDGES)[0] / len(found) for of, found in angles.items()}
    highest = max(float(of.max()) for of in shares.values())
    strips = list(dict.fromkeys(layer for layer, _ in angles))
    rows = [
        {
            "series": space,
            "layer": layer,
            "angle": int(edge),
            "share": kept(100 * height),
            "base": base,
            "top": kept(base + FILLED * height / highest),
        }
        for (layer, space), of in shares.items()
        for base in [len(strips) - 1 - strips.index(layer)]
        for edge, height in zip(EDGES, [*of, 0.0], strict=True)
    ]
    names = json.dumps([f"layer {layer}" for layer in reversed(strips)])
    y = axis("top", "", scale={"domain": [0, len(strips)]}, values=list(range(len(strips))),
             labelExpr=f"{names}[datum.value]", grid=True, labelPadding=6, ticks=False)  # fmt: skip
    x = axis("angle", "angle between two keys (degrees)", scale={"domain": [0, 180]}, values=list(range(0, 181, 30)))
    coloured = colours({space: colour_of(place) for place, space in enumerate(SPACES.values())}, legend=OF_LINES)
    dashed = dashes(dict(zip(SPACES.values(), ([1, 0], [5, 3]), strict=True)), legend=OF_LINES)
    detail = {"field": "layer", "type": "nominal"}
    areas = {
        "mark": {"type": "area", "interpolate": "step-after", "opacity": 0.15},
        "encoding": {"x": x, "y": y, "y2": {"field": "base"}, "color": coloured, "detail": detail},
    }
    lines = {
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 1.4},
        "encoding": {"x": x, "y": y, "color": coloured, "strokeDash": dashed, "detail": detail},
    }
    right = {
        "data": {"values": [{"angle": 90}]},
        "mark": {"type": "rule", "strokeDash": [2, 2], "color": NEUTRAL},
        "encoding": {"x": x},
    }
    return chart([right, areas, lines], height=STRIP * len(strips) + 30, labels=len(SPACES), data={"values": rows})


def _alternative(angles: Mapping[tuple[int, str], Array]) -> str:
    parts = [
        f"layer {layer}, {space}: half of the pairs between {low:.0f} and {high:.0f} degrees, smallest "
        f"{found.min():.0f}"
        for (layer, space), found in angles.items()
        for low, high in [np.quantile(found, [0.25, 0.75])]
    ]
    return f"Angles between keys. {'; '.join(parts)}."
