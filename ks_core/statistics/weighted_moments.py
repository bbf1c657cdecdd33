"""Mean, spread, skewness and kurtosis of a pair matrix, for many weighted samples of facts at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ks_core.statistics.pairs import Array, off_diagonal, pair_sums, pair_totals


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of the off-diagonal entries, one value per sample; each is (B,) float64.

    Attributes:
        variance: population variance (divided by the number of pairs, not by one less)
        skewness: third standardised moment, as `scipy.stats.skew` by default; NaN where the entries do not vary
        kurtosis: excess kurtosis, as `scipy.stats.kurtosis` by default; NaN where the entries do not vary
    """

    mean: Array
    variance: Array
    skewness: Array
    kurtosis: Array


def weighted_moments(matrix: Array, weights: Array) -> Moments:
    """Compute the moments of a pair matrix over the pairs of each weighted sample of facts.

        M_k = sum over i != j of w_i w_j (X_ij - c)^k / sum over i != j of w_i w_j,    c = mean of X

    and from M_1 … M_4 the central moments. Entries are first centred at the mean c of the whole matrix: a raw fourth
    moment of entries at distance c from zero loses (c / std)^4 of its digits, while a sample's own mean stays within
    a fraction of a std of c.

    Args:
        matrix: (n, n) float64, checked.
        weights: (B, n) float64, checked.

    Returns:
        The moments, (B,) each; all NaN for a sample without a pair of different facts.

    Example:
        >>> matrix = np.array([[9.0, 0.0, 1.0], [2.0, 9.0, 3.0], [4.0, 5.0, 9.0]])
        >>> float(weighted_moments(matrix, np.ones((1, 3))).mean[0])
        2.5
    """
    centre = off_diagonal(matrix).mean()
    centred = matrix - centre
    squared = centred * centred
    totals = pair_totals(weights)
    powers = (centred, squared, squared * centred, squared * squared)
    first, second, third, fourth = (pair_sums(power, weights) / totals for power in powers)

    mean = centre + first
    variance = second - first**2
    cubed = third - 3 * first * second + 2 * first**3
    fourth_power = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4

    # Below this bound the variance is the rounding of the subtraction that gave it: each M is two nested sums of n
    # terms, with a relative error of up to 2 n eps, and M_1 enters twice.
    constant = variance <= 6 * len(matrix) * np.finfo(np.float64).eps * second
    variance = np.where(constant, 0.0, variance)
    scale = np.where(constant, np.nan, variance)
    return Moments(mean, variance, cubed / scale**1.5, fourth_power / scale**2 - 3.0)
