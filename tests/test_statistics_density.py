from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ks_core.statistics.density import density, silverman_bandwidth, weighted_mode
from ks_core.statistics.pairs import off_diagonal
from ks_core.statistics.summaries import summarise

FAMILIES = ["standard_normal", "laplace", "standard_cauchy", "gumbel", "exponential", "uniform"]


def drawn(family, n=100, seed=0):
    return getattr(np.random.default_rng(seed), family)(size=(n, n))


def exact_peak(matrix):
    """Highest point of the exact density, on a grid of a hundredth of a bandwidth about the coarse maximum."""
    values = off_diagonal(matrix)
    bandwidth = silverman_bandwidth(values)
    coarse = np.arange(*np.quantile(values, [0.01, 0.99]), bandwidth / 2)
    centre = coarse[density(matrix, coarse).argmax()]
    fine = centre + bandwidth * np.arange(-1, 1.001, 0.01)
    heights = density(matrix, fine)
    return fine[heights.argmax()], heights.max(), bandwidth


@pytest.mark.parametrize("family", FAMILIES)
def test_density_is_scipys_at_the_same_bandwidth(family):
    matrix = drawn(family, n=20)
    values = off_diagonal(matrix)
    kernel = stats.gaussian_kde(values, bw_method=silverman_bandwidth(values) / values.std(ddof=1))
    grid = np.quantile(values, np.linspace(0, 1, 50))
    np.testing.assert_allclose(density(matrix, grid), kernel(grid), rtol=1e-9)  # exp of up to -1e4: 1e4 eps, and sums


def test_density_integrates_to_one():
    matrix = drawn("laplace", n=20)
    grid = np.linspace(-40, 40, 4001)
    assert density(matrix, grid).sum() * (grid[1] - grid[0]) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_mode_is_the_highest_point_of_the_exact_density(family):
    matrix = drawn(family)
    location, height, bandwidth = exact_peak(matrix)
    found = summarise(matrix)
    # Binning widens the kernel's variance by 1/384 of itself, which lowers a peak by at most 1/768 of its height.
    assert found["mode_density"] == pytest.approx(height, rel=0.002)
    assert found["mode"] == pytest.approx(location, abs=0.02 * bandwidth)  # the grid of the oracle, twice


def test_mode_density_of_a_gaussian_is_lowered_by_the_kernel_only():
    matrix = drawn("standard_normal", n=600)
    values = off_diagonal(matrix)
    widened = np.hypot(1, silverman_bandwidth(values))
    # Standard error of the density at its top: sqrt(f / (2 sqrt(pi) N h)) = 0.5 % of f; four of them.
    assert summarise(matrix)["mode_density"] == pytest.approx(stats.norm.pdf(0) / widened, rel=0.02)


def test_mode_stays_where_the_bulk_is_when_the_mean_does_not():
    matrix = 0.01 * drawn("standard_normal") + np.where(drawn("uniform", seed=1) < 0.1, 0.5, 0.0)
    found = summarise(matrix)
    assert found["mean"] > 0.04
    assert abs(found["mode"]) < 0.003  # a third of the bulk's std; a mode of 9,000 Gaussian entries has about 0.1


def test_bandwidth_ignores_outliers_and_survives_ties():
    values = np.random.default_rng(0).standard_normal(1000)
    outlier = np.append(values, 1e6)
    assert silverman_bandwidth(outlier) == pytest.approx(silverman_bandwidth(values), rel=0.1)
    assert silverman_bandwidth(np.array([0.0] * 90 + [1.0] * 10)) == pytest.approx(0.9 * 0.3 * 100**-0.2)
    assert silverman_bandwidth(np.full(50, 0.1)) == 0.0


def test_bandwidth_of_the_plain_std_is_caught_by_an_outlier():
    values = np.append(np.random.default_rng(0).standard_normal(1000), 1e6)
    planted = 0.9 * values.std() * len(values) ** -0.2
    assert planted > 1000 * silverman_bandwidth(values)


def test_mode_of_a_weighted_sample_is_that_of_the_expanded_one():
    rng = np.random.default_rng(2)
    matrix = rng.laplace(size=(40, 40))
    counts = rng.multinomial(40, np.full(40, 1 / 40))
    bandwidth = silverman_bandwidth(off_diagonal(matrix))
    drawn_facts = np.repeat(np.arange(40), counts)
    values = np.array([matrix[i, j] for i in drawn_facts for j in drawn_facts if i != j])
    kernel = stats.gaussian_kde(values, bw_method=bandwidth / values.std(ddof=1))
    grid = np.arange(-2, 2, bandwidth / 100)
    (mode,), (height,) = weighted_mode(matrix, counts[None].astype(np.float64))
    assert height == pytest.approx(kernel(grid).max(), rel=0.002)
    assert mode == pytest.approx(grid[kernel(grid).argmax()], abs=0.02 * bandwidth)


def test_density_of_equal_entries_is_undefined():
    assert np.isnan(density(np.ones((4, 4)), [0.0, 1.0])).all()
