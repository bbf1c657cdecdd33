"""The bootstrap of all statistics against expanding every sample."""

import time

import numpy as np
import pytest
from scipy import stats

from ks_core.statistics.bootstrap import bootstrap, fact_weights

pytestmark = pytest.mark.speed

FACTS, RESAMPLES, EXPANDED = 128, 400, 20
LEAST_SPEEDUP = 2.0
"""The weighted form gives ten statistics, a mode among them; one kurtosis of expanded samples must still cost more."""


def expanded_kurtosis(matrix, weights):
    drawn = np.repeat(np.arange(len(matrix)), weights)
    pairs = matrix[np.ix_(drawn, drawn)][drawn[:, None] != drawn]
    return stats.kurtosis(pairs)


def test_bootstrap_beats_expanded_samples(benchmark):
    matrix = np.random.default_rng(0).standard_normal((FACTS, FACTS))
    weights = fact_weights(FACTS, RESAMPLES, 0)
    benchmark.pedantic(bootstrap, (matrix, weights), rounds=3, warmup_rounds=1)
    start = time.perf_counter()
    for sample in weights[:EXPANDED]:
        expanded_kurtosis(matrix, sample)
    expanded = (time.perf_counter() - start) / EXPANDED * RESAMPLES
    speedup = expanded / benchmark.stats["min"]
    benchmark.extra_info.update(speedup_over_expanded_kurtosis=speedup, resamples=RESAMPLES)
    assert speedup > LEAST_SPEEDUP
