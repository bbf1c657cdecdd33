"""enough-facts: 128 facts suffice, the kurtosis of P has converged in their number (paper, App. C).

Definition: by what share of itself the kurtosis still changes when the number of facts goes from m to all M facts
that the model knows, averaged over layers: 1 - K(m) / K(M), K(m) being the mean over random subsets of m facts. m is
128, or half of M where M is less than 256.

Threshold: 10 % either way. That is less than the error that 128 facts leave on the kurtosis of one layer, so a change
of that size could not alter any other verdict.
"""

import numpy as np
import pytest

from ks_core.reproduction.claims import Bound, Finding, of_one_number, span
from ks_core.reproduction.measure import Measurement
from ks_core.statistics.bootstrap import fact_weights
from ks_core.statistics.convergence import relative_change
from ks_core.statistics.estimate import Replicates, derive

pytestmark = pytest.mark.paper

CONVERGED = 0.10
PAPER_FACTS = 128
SUBSETS = 50  # random subsets: their mean is then known to a seventh of their spread
RESAMPLES = 100  # of the pool, each with its own subsets: the error of an error is 7 %


def judge(measurement: Measurement) -> list[Finding]:
    pool = len(measurement.selection.pool)
    fewer = min(PAPER_FACTS, pool // 2)
    settings = measurement.settings
    weights = fact_weights(pool, RESAMPLES, settings.seed)
    changes = [relative_change(pairs.pool, fewer, weights, SUBSETS, settings.seed) for pairs in measurement.pairs]
    by_layer = Replicates(
        value=np.array([value for value, _ in changes]),
        facts=np.stack([replicates for _, replicates in changes], axis=1),
        text=np.empty((0, len(changes))),
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
