"""Superposition of the facts with one another in every layer, packed for the page."""

from __future__ import annotations

import base64
import math

import numpy as np

from ks_core.reporting.page.figure import Heatmap
from ks_core.reporting.page.figures.chart import label, shown_number
from ks_core.reporting.page.figures.stored import layers_shown, matrix_of, measured_facts, model_name
from ks_core.reporting.stored_results import StoredResults
from ks_core.statistics.pairs import Array

SCALE = 10_000.0
"""P = value / scale: four digits after the point, and 3.2767 at most."""

LARGEST = np.iinfo(np.int16).max
"""Beyond is clipped to it, on both sides; -32768 stands for what is not defined."""

NOT_DEFINED = np.iinfo(np.int16).min

MOST_FACTS = 256
"""More rows than that are thinner than a pixel of a phone."""

FACT = 80
"""Characters of a fact in the text alternative."""

MOST_BYTES = 3_000_000
"""Of the packed values: the page is to stay under 5 MB, half of which is else for the charts' own code and tables."""


def heatmap_of(results: StoredResults) -> Heatmap | None:
    """P of every layer with the facts sorted by relation and object; None where the results have no matrices."""
    matrix, facts = matrix_of(results, "P"), measured_facts(results)
    if matrix is None or not facts:
        return None
    shown = facts[: facts_shown(len(matrix), len(facts))]
    order = sorted(range(len(shown)), key=lambda place: (shown[place].relation, shown[place].object, place))
    sorted_facts = [shown[place] for place in order]
    relations = {fact.relation for fact in shown}
    most = "" if len(shown) == len(facts) else f", the first of {len(facts)}"
    return Heatmap(
        layers=tuple(results.content["layers"]),
        facts=tuple(fact.sentence for fact in sorted_facts),
        relations=tuple(fact.relation for fact in sorted_facts),
        scale=SCALE,
        values=packed(matrix[:, order][:, :, order]),
        caption=(
            f"{model_name(results)}: superposition P between {len(shown)} facts{most}, sorted by relation "
            f"({len(relations)}) and object; the row is the fact that is edited, the column the one that is disturbed. "
            "Colours end at -1 and 1. No bars: each entry is one number."
        ),
        alternative=_alternative(results, matrix),
    )


def facts_shown(layers: int, facts: int) -> int:
    """How many facts are shown, so that all layers fit on the page.

    Example:
        >>> facts_shown(30, 128), facts_shown(30, 1000), facts_shown(1, 1000)
        (128, 193, 256)
    """
    bytes_of_entry = 2 * 4 / 3  # int16, three bytes of which are four characters of base64
    return min(facts, MOST_FACTS, math.isqrt(int(MOST_BYTES / bytes_of_entry / max(1, layers))))


def packed(matrix: Array) -> str:
    """Matrices as base64 of little-endian int16, rounded to 1 / `SCALE` and clipped; what is NaN is `NOT_DEFINED`."""
    values = np.clip(np.rint(matrix * SCALE), -LARGEST, LARGEST)
    whole = np.where(np.isnan(values), NOT_DEFINED, values).astype("<i2")
    return base64.b64encode(whole.tobytes()).decode("ascii")


def _alternative(results: StoredResults, matrix: Array) -> str:
    facts = measured_facts(results)
    parts = []
    for place, layer in layers_shown(results):
        strength = np.abs(np.where(np.eye(len(facts), dtype=bool), 0.0, np.nan_to_num(matrix[place])))
        row, column = np.unravel_index(int(strength.argmax()), strength.shape)
        parts.append(
            f"in layer {layer} the largest off-diagonal entry is {shown_number(float(matrix[place][row, column]))}, by "
            f'an edit of "{label(facts[row].sentence, FACT)}" at "{label(facts[column].sentence, FACT)}"'
        )
    return f"Superposition between facts: {'; '.join(parts)}. The table of hottest pairs has more."
