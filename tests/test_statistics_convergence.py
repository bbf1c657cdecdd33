from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats
from statistics_oracles import sample_pairs

from ks_core.errors import InputError
from ks_core.statistics.bootstrap import fact_weights
from ks_core.statistics.convergence import kurtosis_by_size, relative_change


def kurtosis_of_facts(matrix, facts):
    """Excess kurtosis over the pairs of a list of facts, copies allowed."""
    return stats.kurtosis(sample_pairs(matrix, np.bincount(facts, minlength=len(matrix))))


def exact_change(matrix, facts, m):
    """The relative change with the mean over *all* m-subsets of the drawn facts instead of random ones."""
    whole = kurtosis_of_facts(matrix, facts)
    parts = [kurtosis_of_facts(matrix, list(subset)) for subset in combinations(facts, m)]
    return (whole - np.mean(parts)) / whole, np.std(parts) / abs(whole)


def asymmetric(n, seed=0):
    return np.random.default_rng(seed).laplace(size=(n, n)) + 5 * np.eye(n)


def test_mean_and_spread_by_size_are_those_of_all_subsets():
    matrix, draws = asymmetric(8), 4000
    found = kurtosis_by_size(matrix, [4, 6, 8], draws, seed=0)
    for m, mean, spread in zip(found.sizes, found.mean, found.spread, strict=True):
        every = [kurtosis_of_facts(matrix, list(subset)) for subset in combinations(range(8), m)]
        # Five standard errors of a mean and of a standard deviation over the draws (the latter at most twice a
        # Gaussian's, the subsets' kurtosis being bounded); at m = 8 both are exact to rounding.
        assert mean == pytest.approx(np.mean(every), abs=5 * np.std(every) / np.sqrt(draws) + 1e-12)
        assert spread == pytest.approx(np.std(every), abs=10 * np.std(every) / np.sqrt(2 * draws) + 1e-12)


def check_change_law(change, m=4, draws=4000):
    """The law: value and replicates are the exact changes, up to the random choice of the subsets."""
    matrix = asymmetric(7, seed=3)
    weights = np.array([[2, 1, 1, 1, 0, 1, 1], [0, 1, 2, 1, 1, 2, 0]])
    value, replicates = change(matrix, m, weights, draws, seed=0)
    samples = [np.ones(7, dtype=int), *weights]
    for found, counts in zip([value, *replicates], samples, strict=True):
        expected, spread = exact_change(matrix, np.repeat(np.arange(7), counts), m)
        assert found == pytest.approx(expected, abs=5 * spread / np.sqrt(draws))


def test_relative_change_is_the_exact_one():
    check_change_law(relative_change)


def test_relative_change_with_subsets_of_distinct_facts_is_caught():
    def planted(matrix, m, weights, draws, seed):
        value, _ = relative_change(matrix, m, weights, draws, seed)
        distinct = [np.flatnonzero(counts) for counts in weights]
        parts = [relative_change(matrix[np.ix_(of, of)], m, np.ones((1, len(of))), draws, seed)[0] for of in distinct]
        return value, np.array(parts)

    with pytest.raises(AssertionError):
        check_change_law(planted)


def test_relative_change_to_all_facts_is_nothing():
    matrix = asymmetric(12)
    value, replicates = relative_change(matrix, 12, fact_weights(12, 20, seed=0), draws=3, seed=0)
    np.testing.assert_allclose([value, *replicates], 0, atol=1e-12)


def test_relative_change_sees_a_tail_that_still_grows():
    # One planted pair among n facts: kurtosis grows with n (n - 1) and has not settled from half of the facts to all.
    matrix = 0.02 * np.random.default_rng(0).standard_normal((40, 40))
    settled, _ = relative_change(
        matrix + 0.02 * np.random.default_rng(1).laplace(size=(40, 40)), 20, np.ones((2, 40)), 200, 0
    )
    matrix[3, 9] = matrix[9, 3] = 1.0
    growing, _ = relative_change(matrix, 20, np.ones((2, 40)), 200, 0)
    assert growing > 0.5
    assert abs(settled) < 0.3


@pytest.mark.parametrize("sizes", [[2], [4, 9], []])
def test_sizes_out_of_range_are_refused(sizes):
    with pytest.raises(InputError, match="expected sizes from 3 to 8"):
        kurtosis_by_size(asymmetric(8), sizes, draws=10, seed=0)


def test_single_draws_and_broken_counts_are_refused():
    with pytest.raises(InputError, match="at least 2"):
        kurtosis_by_size(asymmetric(8), [4], draws=1, seed=0)
    for weights in (np.full((2, 8), 0.5), np.full((2, 8), 2.0)):
        with pytest.raises(InputError, match="not counts of n drawn facts"):
            relative_change(asymmetric(8), 4, weights, draws=10, seed=0)
