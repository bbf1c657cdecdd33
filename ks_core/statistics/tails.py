"""Fractions of the entries of a pair matrix: above a threshold, near zero, and far out compared with a Gaussian."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from ks_core.statistics.pairs import Array, pair_sums, pair_totals
from ks_core.statistics.weighted_moments import Moments

TAIL_DEVIATIONS = 4.0
"""Where the tail begins, in standard deviations: a Gaussian has 6e-5 there, one entry of 128 facts' 16,256."""

GAUSSIAN_TAIL = float(2 * ndtr(-TAIL_DEVIATIONS))
"""Fraction of a Gaussian that is further than `TAIL_DEVIATIONS` from its mean."""

RIGHT_ANGLE_COSINE = float(np.sin(np.radians(10)))
"""A cosine smaller than this belongs to an angle within 10 degrees of 90."""


def weighted_fraction(mask: Array, weights: Array) -> Array:
    """Fraction of the pairs of each weighted sample for which a condition holds.

    Args:
        mask: (n, n), 1.0 where the condition holds, else 0.0; the diagonal is ignored.
        weights: (B, n) float64.

    Returns:
        (B,) between 0 and 1; exact for counts, whose sums are whole numbers. NaN for a sample without pairs.
    """
    return pair_sums(mask, weights) / pair_totals(weights)


def weighted_tail_ratio(matrix: Array, weights: Array, moments: Moments) -> Array:
    """Compare the fraction of entries far from the mean with a Gaussian's.

        ratio = fraction(|X_ij - mean| > 4 std) / (2 Phi(-4))

    1 for a Gaussian, 55 for a Laplace distribution, 0 for a bounded one. Unlike kurtosis it cannot be carried by one
    entry: one of 16,256 counts for 0.97.

    Args:
        matrix: (n, n) float64.
        weights: (B, n) float64.
        moments: the samples' own moments; each sample is judged by its own mean and std.

    Returns:
        (B,) float64. NaN where the entries do not vary, or there are none.
    """
    varies = moments.variance > 0
    reach = TAIL_DEVIATIONS * np.sqrt(np.where(varies, moments.variance, np.nan))
    low, high = moments.mean - reach, moments.mean + reach
    # Only entries outside the narrowest of all bands can be in any sample's tail: a few hundred, not n^2. (fmax and
    # fmin pass over the NaN of samples that do not vary.)
    candidates = (matrix < np.fmax.reduce(low)) | (matrix > np.fmin.reduce(high))
    np.fill_diagonal(candidates, False)
    row, column = np.nonzero(candidates)
    values = matrix[row, column]
    beyond = (values < low[:, None]) | (values > high[:, None])  # (B, candidates)
    far = np.einsum("bc,bc,bc->b", weights[:, row], weights[:, column], beyond.astype(np.float64))
    fraction = far / pair_totals(weights)
    return np.where(varies, fraction / GAUSSIAN_TAIL, np.nan)
