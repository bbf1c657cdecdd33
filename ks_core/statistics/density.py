"""Kernel density of the entries of a pair matrix, and its highest point, the mode."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import csr_array

from ks_core.arrays import as_float64
from ks_core.statistics.pairs import Array, as_pair_matrix, off_diagonal, pair_totals

BINS_PER_BANDWIDTH = 8  # linear binning widens the kernel's variance by (1/8)^2 / 6 = 0.3 %: the mode density by 0.1 %
KERNEL_REACH = 6  # in bandwidths; a Gaussian has 2e-9 of its mass beyond
WINDOW_IQRS = 4  # half of all entries lie within one interquartile range: the highest density is not four of them away
GAUSSIAN_IQR = 1.34  # interquartile range of a Gaussian, in standard deviations, as Silverman rounds it


def silverman_bandwidth(values: Array) -> float:
    """Bandwidth of a Gaussian kernel density, by the rule that heavy tails do not inflate.

        h = 0.9 min(std, IQR / 1.34) N^(-1/5)            (Silverman, Density Estimation, 1986, eq. 3.31)

    N counts the entries as if they were independent. Pairs that share a fact are not, so h is if anything too small;
    the rule is kept because it is the one that readers know.

    Args:
        values: (N,) float64.

    Returns:
        h in the units of the values; 0 when they are all equal.
    """
    return float(0.9 * _robust_spread(values) * len(values) ** -0.2)


def density(matrix: Any, grid: Any) -> Array:
    """Evaluate the kernel density of the off-diagonal entries, for figures.

        f(x) = 1 / (N h) sum over i != j of phi((x - X_ij) / h),    h = silverman_bandwidth

    Args:
        matrix: (n, n) pair matrix.
        grid: (G,) points.

    Returns:
        (G,) float64, in one over the units of the matrix; its integral is 1. NaN when all entries are equal.

    Raises:
        InputError: see `as_pair_matrix`.

    Numerics:
        Exact sum, O(G n^2) time, O(n^2) memory.
    """
    values = off_diagonal(as_pair_matrix(matrix))
    points: Array = as_float64("the grid", grid, ndim=1).numpy(force=True)
    bandwidth = silverman_bandwidth(values)
    if bandwidth == 0:
        return np.full(len(points), np.nan)
    heights = [float(np.exp(-0.5 * ((point - values) / bandwidth) ** 2).mean()) for point in points]
    curve: Array = np.array(heights) / (bandwidth * np.sqrt(2 * np.pi))
    return curve


def weighted_mode(matrix: Array, weights: Array) -> tuple[Array, Array]:
    """Find the highest point of the kernel density for each weighted sample of facts.

    Entries are shared out linearly over bins of an eighth of a bandwidth, the bins smoothed with the kernel, and a
    parabola laid through the highest three. The bandwidth is that of the whole matrix for every sample: a bootstrap
    then shows how the density itself varies, at one smoothing.

    Args:
        matrix: (n, n) float64, checked.
        weights: (B, n) float64, checked.

    Returns:
        Location (B,) and height (B,). Searched within four interquartile ranges of the median. For equal entries the
        location is their value and the height NaN. NaN for a sample without a pair of different facts.

    Numerics:
        Against the exact sum of `density`: location within 0.02 bandwidths where the peak is smooth, height within
        0.2 %. The kernel itself lowers a peak and pulls it towards the longer tail, as in any kernel density; for a
        Gaussian of std s the height falls by the factor 1 / sqrt(1 + h^2 / s^2), 1 % at 128 facts.
    """
    values = off_diagonal(matrix)
    bandwidth = silverman_bandwidth(values)
    totals = pair_totals(weights)
    if bandwidth == 0:
        return np.where(np.isnan(totals), np.nan, values[0]), np.full(len(weights), np.nan)
    step = bandwidth / BINS_PER_BANDWIDTH
    half_width = WINDOW_IQRS * GAUSSIAN_IQR * _robust_spread(values) + KERNEL_REACH * bandwidth
    bins = 2 * int(np.ceil(half_width / step)) + 1
    start = float(np.median(values)) - (bins // 2) * step

    counts = _binned(matrix, weights, start, step, bins)
    smooth = gaussian_filter1d(counts, BINS_PER_BANDWIDTH, axis=1, mode="constant", truncate=KERNEL_REACH)
    position, height = _peak(smooth)
    # A sample without pairs has an empty histogram; its total is NaN and makes both answers NaN.
    return start + step * position + 0 * totals, height / (totals * step)


def _robust_spread(values: Array) -> float:
    """Smaller of std and IQR / 1.34, but not 0 because half of the values are equal."""
    if values.min() == values.max():  # their std may differ from 0, as their mean is rounded
        return 0.0
    low, high = np.quantile(values, [0.25, 0.75])
    spread = float(values.std())
    return min(spread, (high - low) / GAUSSIAN_IQR) if high > low else spread


def _binned(matrix: Array, weights: Array, start: float, step: float, bins: int) -> Array:
    """Histogram (B, bins) of the entries by linear binning: each gives its weight to the two nearest bin centres."""
    # X[i, j] and X[j, i] carry the same weight w_i w_j, so the unordered pairs are enough.
    row, column = np.triu_indices(len(matrix), 1)
    by_fact = np.ascontiguousarray(weights.T)
    pair_weights = by_fact[row] * by_fact[column]  # (pairs, B)

    place = (np.concatenate([matrix[row, column], matrix[column, row]]) - start) / step
    pair = np.tile(np.arange(len(row)), 2)
    inside = (place >= 0) & (place < bins - 1)
    place, pair = place[inside], pair[inside]
    left = place.astype(np.intp)
    share = np.concatenate([left + 1 - place, place - left])
    target = (np.concatenate([left, left + 1]), np.concatenate([pair, pair]))
    binning = csr_array((share, target), shape=(bins, len(row)))
    counts: Array = (binning @ pair_weights).T
    return counts


def _peak(curves: Array) -> tuple[Array, Array]:
    """Position and height of each row's maximum, by the parabola through the highest point and its neighbours."""
    rows = np.arange(len(curves))
    top = np.clip(curves.argmax(axis=1), 1, curves.shape[1] - 2)
    left, middle, right = curves[rows, top - 1], curves[rows, top], curves[rows, top + 1]
    bend = left - 2 * middle + right
    shift = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, 1.0), 0.0)
    return top + shift, middle - 0.25 * (left - right) * shift
