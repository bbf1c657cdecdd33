"""Statistics at their limits: fewest facts and draws, thresholds met exactly, peaks at an edge, divisions by zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from errors import refused
from scipy.stats import kurtosis

from ks_core.errors import InputError
from ks_core.statistics.bootstrap import bootstrap, fact_weights
from ks_core.statistics.convergence import kurtosis_by_size, relative_change
from ks_core.statistics.crossed import crossed_bootstrap
from ks_core.statistics.density import _binned, _peak, density, weighted_mode
from ks_core.statistics.estimate import Replicates, derive, mean_replicates
from ks_core.statistics.null import lengths_null, null_summaries
from ks_core.statistics.pairs import as_pair_matrix, as_weights, off_diagonal
from ks_core.statistics.summaries import summarise
from ks_core.statistics.tails import GAUSSIAN_TAIL, RIGHT_ANGLE_COSINE

MATRIX = np.random.default_rng(0).standard_normal((8, 8))


def test_fewest_facts_and_resamples_are_allowed() -> None:
    assert fact_weights(3, 2, 0).sum(axis=1).tolist() == [3, 3]


def test_two_crossed_samples_are_enough() -> None:
    assert crossed_bootstrap(lambda x: float(x.mean()), np.ones((1, 1, 2)), resamples=2, seed=0).tolist() == [1.0, 1.0]


def test_weights_of_a_mean_are_float64_whatever_is_given() -> None:
    """A thousand times 1/10 in half the digits: in their own type the weights would add up to less than they do."""
    weights = np.full(1000, 0.1, dtype=np.float32)
    assert float(mean_replicates(np.ones(1000), 2, 0, weights=weights).value) == pytest.approx(1.0, abs=1e-12)


def test_sizes_are_int64_whatever_is_given() -> None:
    assert kurtosis_by_size(MATRIX, np.array([4, 6], dtype=np.int32), 2, 0).sizes.dtype == np.int64


@pytest.mark.parametrize(
    "statistic",
    [
        as_pair_matrix,
        lambda ones: as_weights(ones, 3),
        lambda ones: density(MATRIX, ones[0]),
        lambda ones: lengths_null(ones, d=2, draws=2, seed=0)["kurtosis"].mean,
    ],
)
def test_tensors_that_carry_gradients_are_numbers(statistic: Callable[[Any], Any]) -> None:
    ones = torch.ones(3, 3)
    np.testing.assert_array_equal(statistic(ones.clone().requires_grad_()), statistic(ones))


def test_subsets_depend_on_the_seed_alone() -> None:
    first, second, other = (kurtosis_by_size(MATRIX, [4, 6], 5, seed) for seed in (1, 1, 2))
    assert first.mean.tolist() == second.mean.tolist()
    assert first.mean.tolist() != other.mean.tolist()
    weights = fact_weights(8, 3, 0)
    again, changes, others = (relative_change(MATRIX, 5, weights, 4, seed) for seed in (1, 1, 2))
    assert again[0] == changes[0] != others[0]
    assert again[1].tolist() == changes[1].tolist()


def test_spread_of_subsets_is_their_sample_standard_deviation() -> None:
    orders = np.random.default_rng(3).permuted(np.tile(np.arange(8), (2, 1)), axis=1)
    two = [kurtosis(off_diagonal(MATRIX[np.ix_(order[:5], order[:5])])) for order in orders]
    found = kurtosis_by_size(MATRIX, [5], 2, 3)
    assert found.mean[0] == pytest.approx(np.mean(two))
    assert found.spread[0] == pytest.approx(abs(two[0] - two[1]) / np.sqrt(2))


def test_change_relative_to_a_kurtosis_of_zero_is_undefined() -> None:
    """One third of the entries ±1, the others 0: m4 / m2² = (1/3) / (1/3)² = 3, which doubles give exactly."""
    matrix = np.zeros((3, 3))
    matrix[0, 1], matrix[1, 0] = 1.0, -1.0
    assert kurtosis_by_size(matrix, [3], 2, 0).mean[0] == 0
    value, replicates = relative_change(matrix, 3, np.ones((2, 3)), 2, 0)
    assert np.isnan([value, *replicates]).all()


def test_bins_take_entries_from_the_first_centre_up_to_the_last() -> None:
    matrix = np.array([[9.0, 0.0, 0.25], [2.5, 9.0, 4.0], [3.5, -0.5, 9.0]])
    counts = _binned(matrix, np.ones((1, 3)), start=0.0, step=1.0, bins=5)
    assert counts.tolist() == [[1.75, 0.25, 0.5, 1.0, 0.5]]  # 4 is the last centre and −0.5 lies before the first


@pytest.mark.parametrize(
    ("curve", "position", "height"),
    [
        ([5 - (x - 2.3) ** 2 for x in range(6)], 2.3, 5.0),
        ([5 - (x - 0.8) ** 2 for x in range(4)], 0.8, 5.0),
        ([5 - (x - 2.2) ** 2 for x in range(4)], 2.2, 5.0),
        ([3.0, 1.0, 0.0, 0.0], 1.0, 1.0),
        ([0.0, 0.0, 1.0, 2.0], 2.0, 1.0),
        ([0.0, 0.0, 1.0, 2.5], 2.0, 1.0),
    ],
)
def test_peak_is_that_of_the_parabola_and_the_inner_point_at_an_edge(
    curve: list[float], position: float, height: float
) -> None:
    flat = [0.0] * len(curve)
    positions, heights = _peak(np.array([curve, flat]))
    assert (positions[0], heights[0]) == (pytest.approx(position), pytest.approx(height))
    assert (positions[1], heights[1]) == (1.0, 0.0)


@pytest.mark.parametrize("side", [-1.0, 1.0])
@pytest.mark.parametrize(("ranges", "found"), [(3.9, True), (6.0, False)])
def test_mode_is_looked_for_within_four_interquartile_ranges(ranges: float, found: bool, side: float) -> None:
    """Four fifths of the entries lie evenly in [0, 1], one fifth at one point so many interquartile ranges off.

    The window ends at four of them and six bandwidths, 0.9 / 1.34 · 3540^(-1/5) = 0.13 of a range each: below 4.8.
    """
    n = 60
    count = n * (n - 1)
    bulk = np.linspace(0, 1, count - count // 5)
    quarter, median, three = np.quantile(np.concatenate([bulk, np.full(count // 5, 9.0)]), [0.25, 0.5, 0.75])
    spike = median + ranges * (three - quarter)
    matrix = np.zeros((n, n))
    matrix[~np.eye(n, dtype=bool)] = np.random.default_rng(0).permutation(
        np.concatenate([bulk, np.full(count // 5, spike)])
    )
    (location,), _ = weighted_mode(side * matrix, np.ones((1, n)))
    if found:
        assert location == pytest.approx(side * spike, abs=0.02)
    else:
        assert 0 < side * location < 1


def test_mode_of_equal_entries_is_a_number() -> None:
    location, height = weighted_mode(np.full((3, 3), 2.0), np.array([[1.0, 1.0, 1.0], [3.0, 0.0, 0.0]]))
    assert location.dtype == height.dtype == np.float64
    assert location[0] == 2.0
    assert np.isnan([location[1], *height]).all()


def test_replicates_are_float64_whatever_is_given() -> None:
    made = Replicates(np.int32(1), [1, 2], np.zeros((0,), dtype=np.float32))  # type: ignore[arg-type]
    assert {made.value.dtype, made.facts.dtype, made.text.dtype} == {np.dtype(np.float64)}


def test_entry_that_is_zero_in_every_sample_has_no_deviation() -> None:
    facts = np.array([[0.0, 0.5], [0.0, 1.5], [0.0, 1.0]])
    low, high = Replicates(np.array([0.0, 1.0]), facts, np.zeros((0, 2))).simultaneous
    assert (low[0], high[0]) == (0.0, 0.0)
    assert low[1] < 1.0 < high[1]


def test_divisions_by_zero_in_a_sample_are_undefined_replicates_and_no_warning() -> None:
    zero = Replicates(np.float64(1.0), np.array([0.0, 2.0]), np.zeros(0))  # type: ignore[arg-type]
    one = Replicates(np.float64(1.0), np.array([1.0, 2.0]), np.zeros(0))  # type: ignore[arg-type]
    assert derive(lambda a, b: a / b, one, zero).undefined == 1
    assert derive(lambda a, b: a / b, zero, zero).undefined == 1


def test_samples_of_different_numbers_are_refused() -> None:
    two, three = (Replicates(np.float64(0), np.zeros(n), np.zeros(0)) for n in (2, 3))  # type: ignore[arg-type]
    with refused(
        InputError, got=("[2, 3]", "[]"), expected="one number of each", remedy=("same fact weights", "same text")
    ):
        derive(lambda a, b: a - b, two, three)


def test_null_summaries_are_of_the_draws_given() -> None:
    """Three matrices with means 0, 1 and 5; two draws are enough for the median."""
    base = np.array([[0.0, 1.0, -1.0], [2.0, 0.0, -2.0], [3.0, -3.0, 0.0]])
    shifts = iter([0.0, 1.0, 5.0])
    found = null_summaries(lambda _: base, lambda keys: keys + next(shifts), 3, 0, level=0.5)["mean"]
    assert (found.mean, found.std, found.upper) == (pytest.approx(2), pytest.approx(7**0.5), pytest.approx(1))
    assert null_summaries(lambda _: base, lambda keys: keys, 2, 0, level=0.5)["mean"].std == 0
    with pytest.raises(InputError, match=r"expected 0 < level < 1"):
        null_summaries(lambda _: base, lambda keys: keys, 3, 0, level=0.0)


def test_one_dimension_has_random_directions_too() -> None:
    assert lengths_null([[1.0, 2.0, 4.0]], d=1, draws=2, seed=0)["kurtosis"].mean.shape == (1,)


def test_thresholds_are_not_counted_themselves() -> None:
    matrix = np.full((3, 3), 0.1)
    matrix[0, 1] = 0.2
    assert summarise(matrix, threshold=0.1)["share_above"] == pytest.approx(1 / 6)
    matrix = np.full((3, 3), RIGHT_ANGLE_COSINE)
    matrix[0, 1] = 0.0
    assert summarise(matrix)["near_right_angle"] == pytest.approx(1 / 6)


def test_tail_begins_beyond_four_deviations_not_at_them() -> None:
    """31 entries of 992 are 1 and 31 are −1, the others 0: mean 0, variance 62/992 = 1/16, so that 4 std are 1.

    In the other sample the facts without such entries count three times: variance 182/8192, and 4 std are 0.6.
    """
    matrix = np.zeros((32, 32))
    matrix[0], matrix[1] = 1.0, -1.0
    found = bootstrap(matrix, [[1] * 32, [1] * 2 + [3] * 30])
    assert (found["mean"].tolist(), found["std"][0]) == ([0.0, 0.0], 0.25)
    assert found["tail_ratio"].tolist() == [0.0, pytest.approx(182 / 8192 / GAUSSIAN_TAIL)]


def test_sample_of_equal_entries_has_no_shape_whatever_lies_around() -> None:
    """Five facts of thirty with one number between them; its square and its mean's square differ by rounding."""
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((30, 30))
    matrix[:5, :5] = rng.standard_normal()
    weights = np.zeros((500, 30))
    weights[:, :5] = rng.integers(1, 6, size=(500, 5))
    found = bootstrap(matrix, weights)
    assert not found["std"].any()
    assert np.isnan([found["skewness"], found["kurtosis"], found["tail_ratio"]]).all()


def test_statistics_depend_on_the_ratios_of_weights_alone() -> None:
    """A power of two scales every sum exactly."""
    weights = fact_weights(8, 5, 0).astype(np.float64)
    of_counts, of_shares = bootstrap(MATRIX, weights), bootstrap(MATRIX, weights / 64)
    for name, numbers in of_counts.items():
        np.testing.assert_array_equal(of_shares[name], numbers, err_msg=name)
