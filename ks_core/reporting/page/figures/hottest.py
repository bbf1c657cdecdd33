"""The pairs of facts that are most entangled, by layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ks_core.reporting.page.figures.stored import NamedFact, matrix_of, measured_facts
from ks_core.reporting.stored_results import StoredResults
from ks_core.statistics.pairs import Array

PAIRS = 20
"""Of a layer and a kind: as many as can be read."""


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
    """The pairs with the largest |P| of every layer, of two subjects and of one.

    Of each kind so many: facts about one subject share their key, and their pairs alone could be the strongest ones.
    Those of all layers together are among them: a pair that is not among the strongest of its layer is not among the
    strongest of all either.

    Args:
        results: of a run.
        count: pairs of a layer, of each kind.

    Returns:
        By layer, then strongest first; equals in the order of the facts. Empty where the results have no matrices.

    Raises:
        InputError: the file of the matrices is missing, damaged or of another run.
    """
    matrix, facts = matrix_of(results, "P"), measured_facts(results)
    cosines = matrix_of(results, "whitened_cosine")
    if matrix is None or cosines is None or not facts:
        return ()
    subjects = np.array([fact.subject for fact in facts])
    one_subject, itself = subjects[:, None] == subjects[None, :], np.eye(len(facts), dtype=bool)
    pairs = []
    for layer, superposition, cosine in zip(results.content["layers"], matrix, cosines, strict=True):
        strength = np.where(itself | ~np.isfinite(superposition), -1.0, np.abs(superposition))
        of_kinds = [np.where(kind, strength, -1.0) for kind in (one_subject, ~one_subject)]
        chosen = np.union1d(*(_strongest(of, count) for of in of_kinds))
        order = chosen[np.argsort(-strength.flat[chosen], kind="stable")]
        places = [divmod(int(place), len(facts)) for place in order]
        pairs += [
            _pair(layer, facts[row], facts[column], float(superposition[row, column]), float(cosine[row, column]))
            for row, column in places
        ]
    return tuple(pairs)


def _strongest(strength: Array, count: int) -> NDArray[np.intp]:
    """Flat places of the largest entries; of equals the first; none that is negative."""
    order = np.argsort(-strength, axis=None, kind="stable")[:count]
    return order[strength.flat[order] >= 0]


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
