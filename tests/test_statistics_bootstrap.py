from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from statistics_oracles import assert_statistics, pair_matrices, plain_statistics, sample_pairs, samples_of_facts

from ks_core.errors import InputError
from ks_core.statistics.bootstrap import bootstrap, fact_weights
from ks_core.statistics.null import superposition
from ks_core.statistics.pairs import off_diagonal
from ks_core.statistics.summaries import summarise


def one_sample(matrix, counts):
    return {name: values[0] for name, values in bootstrap(matrix, counts[None]).items()}


def check_sample_law(statistics_of_sample, matrix, counts):
    """The law: a bootstrap sample's statistics are those of its pairs, written out."""
    assert_statistics(statistics_of_sample(matrix, counts), matrix, sample_pairs(matrix, counts))


@given(samples_of_facts())
def test_bootstrap_sample_is_its_pairs_written_out(case):
    matrix, counts = case
    check_sample_law(one_sample, matrix, counts)


def test_bootstrap_of_128_facts_agrees_with_the_expanded_pairs_to_ten_digits():
    rng = np.random.default_rng(0)
    matrix = 0.05 * rng.standard_t(4, size=(128, 128)) + 0.02
    weights = fact_weights(128, resamples=3, seed=1)
    found = bootstrap(matrix, weights)
    for sample, counts in enumerate(weights):
        values = sample_pairs(matrix, counts)
        assert_statistics({name: of[sample] for name, of in found.items()}, matrix, values)
        expected = plain_statistics(values, threshold=0.1)["kurtosis"]
        assert found["kurtosis"][sample] == pytest.approx(expected, rel=1e-10)  # 128 eps times a condition of 1e3


def with_self_pairs(matrix, counts):
    """Planted fault: two copies of one fact make a pair, and bring the diagonal in."""
    expanded = np.repeat(np.arange(len(counts)), counts)
    return summarise(matrix[np.ix_(expanded, expanded)])


def without_multiplicity(matrix, counts):
    """Planted fault: a fact that was drawn twice counts once."""
    drawn = np.flatnonzero(counts)
    return summarise(matrix[np.ix_(drawn, drawn)])


@pytest.mark.parametrize("fault", [with_self_pairs, without_multiplicity])
def test_bootstrap_sample_with_a_planted_fault_is_caught(fault):
    matrix = 0.1 * np.random.default_rng(0).standard_normal((10, 10)) + np.eye(10)
    with pytest.raises(AssertionError):
        check_sample_law(fault, matrix, np.array([2, 1, 0, 1, 1, 0, 3, 1, 1, 0]))


@given(pair_matrices())
def test_weights_of_one_give_the_summary(matrix):
    everything = summarise(matrix)
    assert {name: float(value) for name, value in one_sample(matrix, np.ones(len(matrix))).items()} == {
        name: everything[name] for name in everything if name not in ("min", "max")
    }


@given(samples_of_facts())
def test_samples_in_one_call_do_not_touch_each_other(case):
    matrix, counts = case
    alone, beside = one_sample(matrix, counts), bootstrap(matrix, np.stack([np.ones(len(counts)), counts]))
    for name in ("share_above", "near_right_angle", "tail_ratio"):
        assert beside[name][1] == alone[name]
    assert_statistics({name: of[1] for name, of in beside.items()}, matrix, sample_pairs(matrix, counts))


def test_fact_weights_are_draws_of_n_facts_and_repeatable():
    weights = fact_weights(128, resamples=400, seed=3)
    assert (weights.sum(axis=1) == 128).all()
    np.testing.assert_array_equal(weights, fact_weights(128, resamples=400, seed=3))
    assert (weights != fact_weights(128, resamples=400, seed=4)).any()
    # A count is binomial(n, 1/n), of variance 1 - 1/n and fourth central moment about 4; 51,200 of them, five errors.
    assert weights.var() == pytest.approx(1 - 1 / 128, abs=5 * np.sqrt(3 / weights.size))


def fact_level_matrix(n, fact_std, pair_std, seed):
    rng = np.random.default_rng(seed)
    effect = fact_std * rng.standard_normal(n)
    return effect[:, None] + effect[None, :] + pair_std * rng.standard_normal((n, n))


def bootstrap_of_pairs(matrix, resamples, seed):
    """Planted fault: pairs are drawn as if each were an observation of its own."""
    values = off_diagonal(matrix)
    return np.random.default_rng(seed).choice(values, size=(resamples, len(values))).mean(axis=1)


def mean_error(error_of, n, fact_std, pair_std):
    """Root mean square over eight data sets of an estimated standard error of the mean."""
    errors = [error_of(fact_level_matrix(n, fact_std, pair_std, seed)) for seed in range(8)]
    return np.sqrt(np.mean(np.square(errors)))


# An estimated error over n = 64 facts has a relative error of 1 / sqrt(2 n) = 9 % and, from 200 resamples, of 5 %;
# over eight data sets 3.6 %. The tolerances below are four of these.
def test_bootstrap_error_is_the_true_one_where_facts_differ():
    true = np.sqrt(4 / 64 + 0.3**2 / (64 * 63))  # of the mean of a_i + a_j + e_ij
    weights = fact_weights(64, resamples=200, seed=0)
    found = mean_error(lambda matrix: bootstrap(matrix, weights)["mean"].std(ddof=1), 64, 1.0, 0.3)
    assert found == pytest.approx(true, rel=0.15)


def test_bootstrap_of_pairs_is_caught_by_fact_level_effects():
    true = np.sqrt(4 / 64 + 0.3**2 / (64 * 63))
    planted = mean_error(lambda matrix: bootstrap_of_pairs(matrix, 200, 0).std(ddof=1), 64, 1.0, 0.3)
    assert planted < true / 5


def test_bootstrap_error_of_pure_pair_noise_is_sqrt_3_too_large():
    weights = fact_weights(64, resamples=200, seed=0)
    found = mean_error(lambda matrix: bootstrap(matrix, weights)["mean"].std(ddof=1), 64, 0.0, 1.0)
    assert found == pytest.approx(np.sqrt(3 / (64 * 63)), rel=0.15)


def related_facts(seed, n=64, d=30, relations=8):
    """P of whitened keys that lie about the directions of a few relations, as the keys of real facts do."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(99).standard_normal((relations, d))
    return superposition(rng.standard_normal((n, d)) + 0.8 * directions[rng.integers(relations, size=n)])


def test_bootstrap_error_of_kurtosis_is_the_spread_over_new_facts_or_somewhat_larger():
    true = np.std([summarise(related_facts(seed))["kurtosis"] for seed in range(100)])
    weights = fact_weights(64, resamples=200, seed=0)
    errors = [bootstrap(related_facts(seed), weights)["kurtosis"].std(ddof=1) for seed in range(16)]
    ratio = np.sqrt(np.mean(np.square(errors))) / true
    # From 1 (only facts differ) to sqrt(3) (only pairs do), each give or take a fifth: the truth from 100 data sets
    # is known to 7 %, and the error of a fourth moment varies by a quarter from data set to data set.
    assert 0.8 < ratio < 1.2 * np.sqrt(3), ratio


def test_differences_between_layers_are_paired_by_common_weights():
    first = fact_level_matrix(64, 1.0, 0.1, seed=0)
    second = first + 0.1 * np.random.default_rng(1).standard_normal(first.shape)
    common, other = fact_weights(64, 200, seed=0), fact_weights(64, 200, seed=1)
    paired = bootstrap(first, common)["mean"] - bootstrap(second, common)["mean"]
    unpaired = bootstrap(first, common)["mean"] - bootstrap(second, other)["mean"]
    assert paired.std() < unpaired.std() / 20


def test_a_sample_without_pairs_or_spread_is_undefined():
    matrix = np.random.default_rng(0).standard_normal((4, 4))
    symmetric = matrix + matrix.T
    found = bootstrap(symmetric, np.array([[4, 0, 0, 0], [2, 2, 0, 0]]))
    assert all(np.isnan(values[0]) for values in found.values())
    assert all(np.isnan(values).all() for values in bootstrap(symmetric, np.array([[4, 0, 0, 0]])).values())
    assert found["mean"][1] == pytest.approx(symmetric[0, 1])
    assert found["std"][1] == 0.0
    assert all(np.isnan(found[name][1]) for name in ("skewness", "kurtosis", "tail_ratio"))


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (np.ones((5, 3)), "for 3 facts but the pair matrix is between 4"),
        (-np.ones((5, 4)), "smallest weight is -1"),
        (np.ones(4), r"shape \(4,\); expected 2 dimensions"),
    ],
)
def test_unusable_weights_are_refused(weights, said):
    with pytest.raises(InputError, match=said):
        bootstrap(np.eye(4), weights)


@pytest.mark.parametrize(("n", "resamples"), [(2, 100), (10, 1)])
def test_too_few_facts_or_resamples_are_refused(n, resamples):
    with pytest.raises(InputError, match="expected at least 3 and 2"):
        fact_weights(n, resamples, seed=0)
