"""The two-way bootstrap: against drawing by hand, against known errors, and blind to nothing it should see."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ks_core.errors import InputError
from ks_core.statistics.crossed import crossed_bootstrap, crossed_mean, draws_of_few, of_pairs
from ks_core.statistics.estimate import mean_replicates
from ks_core.statistics.ranks import rank_correlation


def mean(x):
    return float(x.mean())


@given(st.integers(0, 10**6))
def test_samples_are_those_drawn_by_hand(seed):
    rng = np.random.default_rng(seed)
    array = rng.standard_normal((2, 4, 5))
    array[rng.random(array.shape) < 0.2] = np.nan
    found = crossed_bootstrap(mean, array, resamples=3, seed=seed)
    drawn = np.random.default_rng(seed)
    for number in found:
        rows, columns = drawn.integers(4, size=4), drawn.integers(5, size=5)
        entries = [array[layer, i, j] for layer in range(2) for i in rows for j in columns]
        known = [entry for entry in entries if not np.isnan(entry)]
        assert number == pytest.approx(np.mean(known)) if known else np.isnan(number)


def test_error_respects_that_pairs_of_one_edit_go_together():
    """With effects of edits and of facts, the mean of E x M pairs scatters as E + M numbers, not as E x M."""
    found, errors = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        array = (
            rng.standard_normal((1, 10, 1)) + rng.standard_normal((1, 1, 20)) + 0.1 * rng.standard_normal((1, 10, 20))
        )
        found.append(array.mean())
        errors.append(crossed_bootstrap(mean, array, resamples=60, seed=seed).std(ddof=1))
    truth = np.std(found, ddof=1)
    assert truth == pytest.approx(np.sqrt(1 / 10 + 1 / 20), rel=0.15)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(truth, rel=0.15)
    pretending_independence = np.sqrt(2.01 / 200)
    assert np.mean(errors) > 2 * pretending_independence


def test_pairs_that_are_unknown_in_one_array_are_left_out_of_all():
    x, y = np.array([[[1.0, np.nan, 3.0]]]), np.array([[[2.0, 5.0, np.nan]]])
    assert of_pairs(lambda a, b: float(a.sum() + b.sum()), x, y) == 3.0
    assert np.isnan(of_pairs(mean, np.full((1, 1, 2), np.nan)))


@given(st.integers(0, 10**6), st.integers(2, 30))
def test_rank_correlation_is_pearson_of_ranks(seed, n):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 6, n).astype(float), rng.integers(0, 6, n).astype(float)
    found = rank_correlation(x, y)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1])


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((1, 2, 3), (1, 3, 2))])
def test_arrays_that_do_not_fit_are_refused(shapes):
    with pytest.raises(InputError, match="expected one shape"):
        crossed_bootstrap(mean, *(np.ones(shape) for shape in shapes), resamples=10, seed=0)
    with pytest.raises(InputError, match="1 resamples"):
        crossed_bootstrap(mean, np.ones((1, 2, 2)), resamples=1, seed=0)


@given(st.integers(0, 10**6), st.integers(2, 20))
def test_mean_replicates_are_means_of_expanded_samples(seed, n):
    rng = np.random.default_rng(seed)
    numbers, weights = rng.standard_normal(n), rng.uniform(0.5, 2.0, n)
    found = mean_replicates(numbers, 5, seed, text=[numbers + 1], weights=weights)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=5)
    expected = [np.average(np.repeat(numbers, times), weights=np.repeat(weights, times)) for times in drawn]
    np.testing.assert_allclose(found.facts, expected, rtol=1e-9, atol=1e-12)
    assert float(found.value) == pytest.approx(np.average(numbers, weights=weights))
    assert float(found.text_error) == pytest.approx(1.0)


def test_mean_of_nothing_is_refused():
    with pytest.raises(InputError, match="no numbers"):
        mean_replicates(np.empty(0), 10, 0)


@given(st.integers(0, 10**6), st.integers(2, 5))
def test_a_few_are_drawn_such_that_their_mean_scatters_as_it_does(seed, n):
    """Over all draws the variance of a mean is exactly s^2 / n; that of n draws would be too small."""
    rng = np.random.default_rng(seed)
    numbers = rng.standard_normal(n)
    drawn = draws_of_few(n, 4000, rng)
    assert set(drawn.sum(axis=1)) == {n - 1}
    variance = (drawn @ numbers / (n - 1)).var()
    assert variance == pytest.approx(numbers.var(ddof=1) / n, rel=0.15)


def test_a_single_one_is_always_drawn():
    assert (draws_of_few(1, 3, np.random.default_rng(0)) == 1).all()


@given(st.integers(0, 10**6))
def test_crossed_mean_is_that_of_what_is_known_by_weight(seed):
    rng = np.random.default_rng(seed)
    numbers, weights = rng.standard_normal((3, 6)), rng.uniform(1, 2, 6)
    numbers[rng.random(numbers.shape) < 0.3] = np.nan
    entries = [(numbers[i, j], weights[j]) for i in range(3) for j in range(6) if not np.isnan(numbers[i, j])]
    found = crossed_mean(numbers, 5, seed, weights=weights)
    expected = np.average([x for x, _ in entries], weights=[w for _, w in entries]) if entries else np.nan
    assert float(found.value) == pytest.approx(expected, nan_ok=True)


def test_error_of_a_crossed_mean_has_both_orders_and_facts_in_it():
    """Three orders that differ and 40 facts that differ: planted spreads of 0.3 and 1, each alone and both."""
    for between, within in ((0.3, 0.0), (0.0, 1.0), (0.3, 1.0)):
        found, errors = [], []
        for seed in range(300):
            rng = np.random.default_rng(seed)
            numbers = between * rng.standard_normal((3, 1)) + within * rng.standard_normal((1, 40))
            found.append(numbers.mean())
            errors.append(float(crossed_mean(numbers, 60, seed).facts_error))
        truth = np.sqrt(between**2 / 3 + within**2 / 40)
        assert np.std(found, ddof=1) == pytest.approx(truth, rel=0.15)
        assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(truth, rel=0.15)


def test_of_one_fact_the_error_is_unknown_and_of_one_order_it_is_that_over_facts():
    assert np.isnan(crossed_mean(np.array([[1.0, np.nan], [2.0, np.nan]]), 20, 0).facts_error)
    assert np.isnan(crossed_mean(np.full((2, 3), np.nan), 20, 0).value)
    numbers = np.random.default_rng(0).standard_normal(30)
    alone = crossed_mean(numbers[None], 400, 0).facts_error
    assert alone == pytest.approx(mean_replicates(numbers, 400, 0).facts_error, rel=0.1)
