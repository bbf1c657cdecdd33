"""enough-facts: 128 facts suffice, the kurtosis of P has converged in their number (paper, App. C).

Definition: by what share of itself the kurtosis still changes when the number of facts doubles from n to M = 2 n,
averaged over layers: 1 - K(n) / K(M), K(n) being the mean over random subsets of n facts. M facts are the first 2 n
that the model knows (all that it knows, where they are fewer, and n is then half of that).

Threshold: 10 % either way. That is less than the error that 128 facts leave on the kurtosis of one layer, so a change
of that size could not alter any other verdict.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Bound, Finding, NotApplicable
from ks_core.claims.judging import judge_number
from ks_core.experiments.pairs.measure import Measurement
from ks_core.statistics.bootstrap import fact_weights
from ks_core.statistics.convergence import relative_change
from ks_core.statistics.estimate import Replicates, derive
from ks_core.statistics.pairs import FEWEST_FACTS

CONVERGED = 0.10

SUBSETS = 25
"""Random subsets: their mean is then known to a fifth of their spread."""

POOL_RESAMPLES = 100
"""Of the pool, each with its own subsets: the error of an error is 7 %."""


def judge(measurement: Measurement) -> list[Finding] | NotApplicable:
    """Judge the change of the kurtosis as the number of facts doubles."""
    pool = len(measurement.selection.pool)
    fewer = pool // 2
    if fewer < FEWEST_FACTS:
        return NotApplicable(f"{pool} usable facts; half of them must be at least {FEWEST_FACTS}")
    change = derive(np.mean, _changes(measurement, fewer))
    return [
        Finding(
            claim="enough-facts",
            quantity=f"change of kurtosis, {fewer} to {pool} facts",
            judged=judge_number(change, Bound("within", CONVERGED)),
            count=pool * (pool - 1),
            layers=measurement.layers,
            across="mean",
        )
    ]


def _changes(measurement: Measurement, fewer: int) -> Replicates:
    """By layer, (layers,)."""
    seed = measurement.settings.seed
    weights = fact_weights(len(measurement.selection.pool), POOL_RESAMPLES, seed)
    change_of = partial(relative_change, m=fewer, draws=SUBSETS, seed=seed)
    changes = [change_of(pairs.pool, weights=weights) for pairs in measurement.pairs]
    halves = [[change_of(half["pool"], weights=weights[:1])[0] for half in pairs.halves] for pairs in measurement.pairs]
    return Replicates(
        value=np.array([value for value, _ in changes]),
        facts=np.stack([replicates for _, replicates in changes], axis=1),
        text=np.array(halves).T,
    )


SENTENCE = "the kurtosis has converged in the number of facts"
CLAIM = Claim("enough-facts", SENTENCE, "pairs", judge, short="enough facts: kurtosis converged")
