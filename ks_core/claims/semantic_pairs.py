"""semantic-pairs: the largest off-diagonal entries of P are between related facts (paper, main text and App. F).

Definition: of the 20 largest off-diagonal entries of P in a layer, the share that is between related facts, averaged
over layers. Two facts are related when their subjects share a word of three letters or more (Windows 7 and Windows
8.1, a person and a namesake), or when they have the same relation and the same object (Mayakovsky and Bukovsky:
native language, Russian). The model is not asked. 20, because the published list has 20 entries.

Threshold: one half: "the largest entries are related facts" is read as "most of them". Pairs taken blindly are
related as often as the reference says, which is far less.

The paper adds that the pairs are the same across models. One model cannot show that: it is not tested here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Bound, Finding, Reference
from ks_core.claims.judging import judge_number
from ks_core.data.facts import Fact
from ks_core.experiments.pairs.measure import Measurement
from ks_core.statistics.estimate import Replicates
from ks_core.statistics.pairs import Array, off_diagonal

LARGEST = 20
MOST = 0.5


def judge(measurement: Measurement) -> list[Finding]:
    """Judge the share of related facts among the largest entries."""
    facts = measurement.selection.measured.facts
    related = np.array([[are_related(a, b) for b in facts] for a in facts])
    return [
        Finding(
            claim="semantic-pairs",
            quantity=f"related among the {LARGEST} largest P",
            judged=judge_number(_share(measurement, related), Bound("above", MOST)),
            count=LARGEST * len(measurement.layers),
            counted="entries of P",
            layers=measurement.layers,
            across="mean",
            references=(Reference("any two facts", float(off_diagonal(related).mean())),),
        )
    ]


def are_related(first: Fact, second: Fact) -> bool:
    """Whether subjects share a word, or relation and object are the same."""
    if _words(first.subject) & _words(second.subject):
        return True
    return (first.relation_id, first.target_true) == (second.relation_id, second.target_true)


def _words(subject: str) -> set[str]:
    return {word for word in re.findall(r"\w+", subject.casefold()) if len(word) >= 3} - {"the", "and"}


def shares_of_largest(matrix: Array, related: NDArray[np.bool_], weights: NDArray[np.int64]) -> Array:
    """Share of related pairs among the `LARGEST` largest entries of P, for each row of weights, (B, n) → (B,).

    The pair (i, j) stands there w_i w_j times: with weights of one these are the plain entries, with the counts of a
    bootstrap draw those of the drawn facts. NaN without any pair.
    """
    first, second = np.nonzero(~np.eye(len(matrix), dtype=bool))
    order = np.argsort(-matrix[first, second], kind="stable")
    first, second = first[order], second[order]
    is_related = related[first, second]
    shares = []
    for of_facts in weights:
        times = of_facts[first] * of_facts[second]
        taken = np.clip(LARGEST - (np.cumsum(times) - times), 0, times)
        shares.append(taken @ is_related / taken.sum() if taken.any() else math.nan)
    return np.array(shares)


def _share(measurement: Measurement, related: NDArray[np.bool_]) -> Replicates:
    """Mean over layers."""
    once = np.ones((1, len(related)), dtype=np.int64)

    def over_layers(matrices: Sequence[Array], weights: NDArray[np.int64]) -> Array:
        mean: Array = np.mean([shares_of_largest(matrix, related, weights) for matrix in matrices], axis=0)
        return mean

    whole = [pairs.matrices["P"] for pairs in measurement.pairs]
    halves = [[pairs.halves[half]["P"] for pairs in measurement.pairs] for half in (0, 1)]
    return Replicates(
        value=over_layers(whole, once)[0],
        facts=over_layers(whole, measurement.weights),
        text=np.array([over_layers(of_half, once)[0] for of_half in halves]),
    )


CLAIM = Claim(
    "semantic-pairs",
    "the largest entries of P are between related facts",
    "pairs",
    judge,
    short="the largest P are of related facts",
    untested="that the pairs are the same across models",
)
