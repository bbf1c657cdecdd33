"""Power laws and monotone trends: known exponents come back, SciPy agrees, and a planted reversal is seen."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress

from ks_core.errors import InputError
from ks_core.statistics.trend import monotone_trend, power_law_exponent

sizes = st.lists(st.integers(1, 10**9), min_size=2, max_size=6, unique=True)


@given(sizes, st.floats(-3, 3), st.floats(1e-3, 1e3))
def test_power_law_exponent_of_a_power_law_is_its_own(sizes, exponent, factor):
    numbers = factor * np.array(sizes, dtype=float) ** exponent
    spread = np.ptp(np.log(sizes))
    rounding = 64 * np.finfo(float).eps * (1 + np.abs(np.log(numbers)).max()) / spread
    assert abs(float(power_law_exponent(sizes, numbers)) - exponent) <= rounding


@given(sizes, st.integers(0, 2**32 - 1))
def test_power_law_exponent_is_the_least_squares_slope_of_logarithms(sizes, seed):
    numbers = np.exp(np.random.default_rng(seed).standard_normal((len(sizes), 3)))
    expected = [linregress(np.log(sizes), np.log(column)).slope for column in numbers.T]
    scale = np.abs(np.log(numbers)).max() / np.ptp(np.log(sizes))
    np.testing.assert_allclose(power_law_exponent(sizes, numbers), expected, rtol=1e-9, atol=1e-9 * scale)


def test_power_law_exponent_of_a_number_that_is_not_positive_is_undefined_without_a_warning():
    found = power_law_exponent([1, 2], np.array([[1.0, 0.0, -1.0], [2.0, 1.0, 1.0]]))
    assert float(found[0]) == pytest.approx(1.0, rel=1e-12)
    assert np.isnan(found[1:]).all()


@pytest.mark.parametrize("sizes", [[1.0], [2.0, 2.0], [0.0, 1.0], [-1.0, 1.0], [1.0, np.inf], [1.0, np.nan]])
def test_power_law_exponent_refuses_sizes_without_a_slope(sizes):
    with pytest.raises(InputError, match="expected positive numbers, two different ones at least"):
        power_law_exponent(sizes, np.ones(len(sizes)))


def test_power_law_exponent_refuses_another_count_of_numbers():
    with pytest.raises(InputError, match="got 3 numbers for 2 sizes"):
        power_law_exponent([1.0, 2.0], np.ones(3))


@pytest.mark.parametrize(
    ("numbers", "rising", "p"),
    [
        ([1, 2, 3, 4], 6, 2 / 24),  # 1 of 24 orders rises all the way, 1 falls
        ([4, 3, 2, 1], 0, 2 / 24),
        ([1, 2, 4, 3], 5, 8 / 24),  # and 3 of either kind have one pair in the other order
    ],
)
def test_monotone_trend_counts_pairs_and_its_p_is_exact(numbers, rising, p):
    found = monotone_trend([10, 20, 40, 80], numbers)
    assert (found.rising, found.pairs) == (rising, 6)
    assert found.p == pytest.approx(p, rel=1e-12)


def test_monotone_trend_does_not_depend_on_the_order_of_the_models():
    assert monotone_trend([8, 1, 4, 2], [4, 1, 3, 2]) == monotone_trend([1, 2, 4, 8], [1, 2, 3, 4])


@pytest.mark.parametrize(("sizes", "numbers"), [([1], [1]), ([1, 1], [1, 2]), ([1, 2], [1])])
def test_monotone_trend_refuses_what_has_no_order(sizes, numbers):
    with pytest.raises(InputError, match="expected one number for each size"):
        monotone_trend(sizes, numbers)


def test_power_law_exponent_takes_sizes_and_numbers_of_any_type():
    assert float(power_law_exponent([10**20, 10**22], np.array([1.0, 10.0]))) == pytest.approx(0.5, rel=1e-12)
    numbers = np.array([1.1, 2.3, 3.7], dtype=np.float32)
    expected = linregress(np.log([1, 2, 4]), np.log(numbers.astype(np.float64))).slope
    assert float(power_law_exponent([1, 2, 4], numbers)) == pytest.approx(expected, rel=1e-12)


def test_monotone_trend_of_two_sizes_is_one_pair():
    assert str(monotone_trend([1, 2], [3.0, 4.0])) == "rises in 1 of 1, p 1.00"


def test_monotone_trend_does_not_take_equal_numbers_for_a_rise():
    found = monotone_trend([1, 2, 4], [1.0, 1.0, 2.0])
    assert found.rising == 2
    assert np.isnan(found.p)
    assert str(found) == "rises in 2 of 3, p ?"


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_monotone_trend_of_what_is_not_finite_is_undefined(odd):
    assert str(monotone_trend([1, 2, 4], [1.0, odd, 2.0])).endswith("p ?")


def test_monotone_trend_of_many_sizes_is_exact_too():
    """Twenty pairs in the other order, of forty sizes; orders are counted by their number of such pairs (Mahonian)."""
    orders = [1]
    for size in range(2, 41):
        orders = [sum(orders[max(0, k - size + 1) : k + 1]) for k in range(len(orders) + size - 1)]
    swapped = [number + 1 if number % 2 == 0 else number - 1 for number in range(40)]
    found = monotone_trend(range(1, 41), swapped)
    assert found.rising == 780 - 20
    assert found.p == pytest.approx(2 * sum(orders[:21]) / math.factorial(40), rel=1e-9, abs=0)
