"""related-pairs: P is larger between related facts than between others (what `semantic-pairs` asks of the 20 largest
entries of a layer, asked of all).

Definition: the probability that an off-diagonal entry of P between two related facts is larger than one between two
others, both taken blindly (the area under the ROC curve, Mann and Whitney's U over all pairs of entries; equal ones
count half), mean over layers. Related is what `semantic-pairs` calls so.

Threshold: one half, which facts that have nothing to do with their P give. The reference has the same with the facts
exchanged at random, and its spread.

Errors: facts are drawn anew, as everywhere; a pair counts as often as both of its facts were drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Bound, Finding, NotApplicable, Reference
from ks_core.claims.judging import judge_number
from ks_core.claims.semantic_pairs import are_related
from ks_core.experiments.pairs.measure import Measurement
from ks_core.experiments.request.options import set_by
from ks_core.statistics.estimate import Replicates
from ks_core.statistics.pairs import Array, off_diagonal

CHANCE = 0.5

EXCHANGES = 200
"""Of facts at random: their spread is then known to a twentieth."""


def judge(measurement: Measurement) -> list[Finding] | NotApplicable:
    """Judge how often related facts have the larger P."""
    facts = measurement.selection.measured.facts
    related = np.array([[are_related(a, b) for b in facts] for a in facts])
    count = int(off_diagonal(related).sum())
    if count in (0, measurement.num_pairs):
        return NotApplicable(
            f"{count} of the {measurement.num_pairs:,} pairs of {len(facts)} facts are related; expected pairs of both "
            f"kinds: measure more facts {set_by('num_facts')}"
        )
    exchanged = exchanged_chances(_matrices(measurement), related, measurement.settings.seed)
    return [
        Finding(
            claim="related-pairs",
            quantity="chance that P of a related pair is the larger",
            judged=judge_number(_estimate(measurement, related), Bound("above", CHANCE)),
            count=count,
            counted="related pairs of facts a layer, each against all others",
            layers=measurement.layers,
            across="mean",
            references=(Reference("facts exchanged", float(exchanged.mean()), error=float(exchanged.std(ddof=1))),),
        )
    ]


def chance_of_larger(matrix: Array, related: NDArray[np.bool_], weights: NDArray[np.int64]) -> Array:
    """How often a related pair has the larger entry, for each row of weights, (B, n) → (B,).

    The pair (i, j) stands there w_i w_j times, the diagonal never. NaN without a pair of each kind.
    """
    inside = ~np.eye(len(matrix), dtype=bool)
    one, other = np.nonzero(related & inside)
    first, second = np.nonzero(~related & inside)
    order = np.argsort(matrix[first, second], kind="stable")
    first, second = first[order], second[order]
    below, up_to = (np.searchsorted(matrix[first, second], matrix[one, other], side) for side in ("left", "right"))
    chances = []
    for of_facts in weights:
        times = of_facts[one] * of_facts[other]
        others = np.concatenate([[0], np.cumsum(of_facts[first] * of_facts[second])])  # the smallest k of them
        pairs = times.sum() * others[-1]
        chances.append(times @ (others[below] + others[up_to]) / (2 * pairs) if pairs else math.nan)
    return np.array(chances)


def exchanged_chances(matrices: Sequence[Array], related: NDArray[np.bool_], seed: int) -> Array:
    """The mean over matrices of the same with the related facts' places exchanged at random, (EXCHANGES,)."""
    inside = ~np.eye(len(related), dtype=bool)
    ranks = np.zeros(related.shape)
    ranks[inside] = np.mean([rankdata(matrix[inside]) for matrix in matrices], axis=0)
    rng = np.random.default_rng(seed)
    places = [rng.permutation(len(related)) for _ in range(EXCHANGES)]
    sums = np.array([ranks[(related & inside)[np.ix_(at, at)]].sum() for at in places])
    count = np.count_nonzero(related & inside)
    chances: Array = (sums - count * (count + 1) / 2) / (count * (np.count_nonzero(inside) - count))
    return chances


def _matrices(measurement: Measurement) -> list[Array]:
    return [of_layer.matrices["P"] for of_layer in measurement.pairs]


def _estimate(measurement: Measurement, related: NDArray[np.bool_]) -> Replicates:
    """Mean over layers."""
    once = np.ones((1, len(related)), dtype=np.int64)

    def over_layers(matrices: Sequence[Array], weights: NDArray[np.int64]) -> Array:
        mean: Array = np.mean([chance_of_larger(matrix, related, weights) for matrix in matrices], axis=0)
        return mean

    halves = [[of_layer.halves[half]["P"] for of_layer in measurement.pairs] for half in (0, 1)]
    return Replicates(
        value=over_layers(_matrices(measurement), once)[0],
        facts=over_layers(_matrices(measurement), measurement.weights),
        text=np.array([over_layers(of_half, once)[0] for of_half in halves]),
    )


CLAIM = Claim("related-pairs", "P is larger between related facts", "pairs", judge)
