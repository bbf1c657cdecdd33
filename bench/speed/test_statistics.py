"""The bootstrap of all statistics against expanding every sample."""

import numpy as np
import pytest
import torch
from limits import matrix_rate, note, rounds, timed
from scipy import stats

from ks_core.statistics.bootstrap import bootstrap, fact_weights

pytestmark = pytest.mark.speed

FACTS, RESAMPLES, EXPANDED = 128, 400, 20
LARGEST_RATIO = 0.5
"""The weighted form gives ten statistics, a mode among them; one kurtosis of expanded samples must still cost twice as
much."""

PRODUCTS = 6
"""Of (B, n) with (n, n): four powers of the entries, and two counts of them. The mode and the tail look at entries
besides, which is no product and not in the limit."""

AGREES = 1e-9
"""Relative, of a kurtosis: sums of 16,256 fourth powers in two orders, each to 16,256 eps at the worst (4e-12), over a
squared variance that is nowhere small."""


def expanded_kurtosis(matrix, weights):
    drawn = np.repeat(np.arange(len(matrix)), weights)
    pairs = matrix[np.ix_(drawn, drawn)][drawn[:, None] != drawn]
    return stats.kurtosis(pairs)


def test_bootstrap_beats_expanded_samples(benchmark):
    matrix = np.random.default_rng(0).standard_normal((FACTS, FACTS))
    weights = fact_weights(FACTS, RESAMPLES, 0)
    found = benchmark.pedantic(bootstrap, (matrix, weights), rounds=10, warmup_rounds=1)
    expanded, slow = [], []
    for sample in weights[:EXPANDED]:
        expanded += timed(lambda sample=sample: slow.append(expanded_kurtosis(matrix, sample)))
    rate = matrix_rate(torch.float64, RESAMPLES, FACTS, FACTS)
    noted = note(
        benchmark,
        seconds=rounds(benchmark),
        limit_seconds=rate.seconds(2 * PRODUCTS * RESAMPLES * FACTS**2),
        limit=f"{PRODUCTS} products at the rate of {rate.words}",
        replaced_seconds=[seconds * RESAMPLES for seconds in expanded],
        replaced="a kurtosis of each sample, expanded",
        resamples=RESAMPLES,
    )
    np.testing.assert_allclose(found["kurtosis"][:EXPANDED], slow, rtol=AGREES)
    assert noted.to_replaced.value < LARGEST_RATIO
