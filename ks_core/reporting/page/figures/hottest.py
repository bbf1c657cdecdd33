"""The pairs of facts that are most entangled, by layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ks_core.reporting.page.figures.stored import NamedFact, matrix_of, measured_facts
from ks_core.reporting.stored_results import StoredResults

PAIRS = 20
"""Of a layer: as many as can be read."""


@dataclass(frozen=True)
class HotPair:
    """What an edit of one fact does to another, in a layer.

    Attributes:
        superposition: P[edited, disturbed]: the share of the edit that reaches the other fact
        related: both are of one relation
        same_subject: both are about one subject, whose key they then share: P near 1 says nothing of meaning
        angle: between both keys in the whitened space, in degrees; NaN where it is not defined
    """

    layer: int
    edited: NamedFact
    disturbed: NamedFact
    superposition: float
    related: bool
    same_subject: bool
    angle: float


def hottest_pairs(results: StoredResults, count: int = PAIRS) -> tuple[HotPair, ...]:
    """The pairs with the largest |P| of every layer.

    Those of all layers together are among them: a pair that is not among the strongest of its layer is not among the
    strongest of all either.

    Args:
        results: of a run.
        count: pairs of a layer.

    Returns:
        By layer, then strongest first; equals in the order of the facts. Empty where the results have no matrices.

    Raises:
        InputError: the file of the matrices is missing, damaged or of another run.
    """
    matrix, facts = matrix_of(results, "P"), measured_facts(results)
    cosines = matrix_of(results, "whitened_cosine")
    if matrix is None or cosines is None or not facts:
        return ()
    pairs = []
    for layer, superposition, cosine in zip(results.content["layers"], matrix, cosines, strict=True):
        strength = np.where(np.eye(len(facts), dtype=bool) | ~np.isfinite(superposition), -1.0, np.abs(superposition))
        order = np.argsort(-strength, axis=None, kind="stable")[:count]
        places = [divmod(int(place), len(facts)) for place in order if strength.flat[place] >= 0]
        pairs += [
            _pair(layer, facts[row], facts[column], float(superposition[row, column]), float(cosine[row, column]))
            for row, column in places
        ]
    return tuple(pairs)


def _pair(layer: int, edited: NamedFact, disturbed: NamedFact, superposition: float, cosine: float) -> HotPair:
    return HotPair(
        layer=layer,
        edited=edited,
        disturbed=disturbed,
        superposition=superposition,
        related=edited.relation == disturbed.relation,
        same_subject=edited.subject == disturbed.subject,
        angle=float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))),
    )
