"""enough-facts: 128 facts suffice, the kurtosis of P has converged in their number (paper, App. C).

Definition: by what share of itself the kurtosis still changes when the number of facts doubles from n to M = 2 n,
averaged over layers: 1 - K(n) / K(M), K(n) being the mean over random subsets of n facts. M facts are the first 2 n
that the model knows (all that it knows, where they are fewer, and n is then half of that).

Threshold: 10 % either way. That is less than the error that 128 facts leave on the kurtosis of one layer, so a change
of that size could not alter any other verdict.
"""

from functools import partial

import numpy as np
import pytest

from ks_core.claims.finding import Bound, Finding, of_one_number, span
from ks_core.experiments.pairs.measure import Measurement
from ks_core.statistics.bootstrap import fact_weights
from ks_core.statistics.convergence import relative_change
from ks_core.statistics.estimate import Replicates, derive
from ks_core.statistics.pairs import FEWEST_FACTS

pytestmark = pytest.mark.paper

CONVERGED = 0.10
SUBSETS = 25  # random subsets: their mean is then known to a fifth of their spread
RESAMPLES = 100  # of the pool, each with its own subsets: the error of an error is 7 %


def judge(measurement: Measurement) -> list[Finding]:
    pool = len(measurement.selection.pool)
    fewer = pool // 2
    if fewer < FEWEST_FACTS:
        pytest.skip(f"{pool} usable facts; half of them must be at least {FEWEST_FACTS}")
    settings = measurement.settings
    weights = fact_weights(pool, RESAMPLES, settings.seed)
    change_of = partial(relative_change, m=fewer, draws=SUBSETS, seed=settings.seed)
    changes = [change_of(pairs.pool, weights=weights) for pairs in measurement.pairs]
    halves = [[change_of(half["pool"], weights=weights[:1])[0] for half in pairs.halves] for pairs in measurement.pairs]
    by_layer = Replicates(
        value=np.array([value for value, _ in changes]),
        facts=np.stack([replicates for _, replicates in changes], axis=1),
        text=np.array(halves).T,
    )
    change = derive(np.mean, by_layer)
    return [
        of_one_number(
            "enough-facts",
            f"change of kurtosis, {fewer} to {pool} facts",
            change,
            Bound("within", CONVERGED),
            layers=f"{span(measurement.layers)}, mean",
            count=pool * (pool - 1),
            reference="",
        )
    ]


def test_enough_facts(ks_measurement, ks_record):
    ks_record(judge(ks_measurement))
