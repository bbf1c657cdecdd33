"""The bootstrap of all statistics against expanding every sample."""

import numpy as np
import pytest
import torch
from limits import Beside, Product, note, rounds
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

CALLS = 30
"""Of the product before each round: one takes less than a millisecond, which a process beside it may double."""

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
    samples, slow = iter(weights), []
    product = Product(torch.float64, RESAMPLES, FACTS, FACTS)
    many = lambda: [product() for _ in range(CALLS)]  # noqa: E731
    beside = Beside(limit=many, replaced=lambda: slow.append(expanded_kurtosis(matrix, next(samples))))
    bootstrap(matrix, weights)
    found = benchmark.pedantic(bootstrap, (matrix, weights), setup=beside, rounds=EXPANDED)
    noted = note(
        benchmark,
        seconds=rounds(benchmark),
        limit_seconds=[seconds * PRODUCTS / CALLS for seconds in beside.seconds["limit"]],
        limit=f"{PRODUCTS} of {product.words}",
        replaced_seconds=[seconds * RESAMPLES for seconds in beside.seconds["replaced"]],
        replaced="a kurtosis of each sample, expanded",
        resamples=RESAMPLES,
    )
    np.testing.assert_allclose(found["kurtosis"][:EXPANDED], slow, rtol=AGREES)
    assert noted.to_replaced.value < LARGEST_RATIO
