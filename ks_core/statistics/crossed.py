"""Errors of numbers made of pairs of two crossed kinds, such as edits × bystanders: both kinds are drawn anew."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ks_core.errors import InputError
from ks_core.statistics.pairs import Array

CrossedStatistic = Callable[..., float]


def crossed_bootstrap(statistic: CrossedStatistic, *arrays: Array, resamples: int, seed: int) -> Array:
    """Recompute a statistic for samples in which edits and bystanders are both drawn with replacement.

    What one edit does to forty facts are not forty observations: they share its residual, and the same forty facts come
    back under each edit. Drawing rows and columns apart respects both (the pigeonhole bootstrap: Owen, Annals of
    Applied Statistics 1, 2007); where there are no row or column effects its error is too large, never too small.

    Args:
        statistic: takes as many flat arrays as are given, NaN pairs left out, in one order; returns a number.
        arrays: (L, E, M) each: all L layers of a drawn pair are kept together. A pair that is NaN in any is left out.
        resamples: B.
        seed: of the generator.

    Returns:
        (B,) float64; NaN where a sample has no pair, or the statistic is undefined for it.

    Raises:
        InputError: arrays of different shapes, or fewer than two resamples.

    Example:
        >>> from ks_core.statistics.ranks import rank_correlation
        >>> dose = np.random.default_rng(0).standard_normal((1, 8, 40))
        >>> bool(crossed_bootstrap(rank_correlation, dose, dose, resamples=5, seed=0).min() == 1.0)
        True
    """
    shape = arrays[0].shape
    if resamples < 2 or len(shape) != 3 or any(array.shape != shape for array in arrays):
        raise InputError(
            f"got arrays of shapes {[array.shape for array in arrays]} and {resamples} resamples; expected one shape "
            "(layers, edits, others), and 2 or more"
        )
    rng = np.random.default_rng(seed)
    found = np.empty(resamples)
    for sample in range(resamples):
        rows, columns = (rng.integers(size, size=size) for size in shape[1:])
        found[sample] = of_pairs(statistic, *(array[:, rows][:, :, columns] for array in arrays))
    return found


def of_pairs(statistic: CrossedStatistic, *arrays: Array) -> float:
    """A statistic of all pairs that are NaN in none of the arrays; NaN without such a pair."""
    known = np.logical_and.reduce([~np.isnan(array) for array in arrays])
    return float(statistic(*(array[known] for array in arrays))) if known.any() else float("nan")
