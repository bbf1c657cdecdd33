"""Errors of numbers made of pairs of two crossed kinds, such as edits × bystanders: both kinds are drawn anew."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ks_core.errors import InputError
from ks_core.statistics.estimate import Replicates
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


def draws_of_few(count: int, resamples: int, rng: np.random.Generator) -> Array:
    """Bootstrap samples of a few things, such as the orders of a stream, as how often each counts.

    One fewer is drawn than there are: a mean of n - 1 of n draws scatters as s / sqrt(n), where n draws would give
    sqrt(1 - 1 / n) of that, a fifth less of three (McCarthy and Snowden, The Bootstrap and Finite Population Sampling,
    1985). A single one is always there: nothing is known of how far another would be.

    Args:
        count: n, 1 or more.
        resamples: B.
        rng: that draws.

    Returns:
        (B, n) float64.
    """
    if count == 1:
        return np.ones((resamples, 1))
    return rng.multinomial(count - 1, np.full(count, 1 / count), size=resamples).astype(np.float64)


def crossed_mean(numbers: Array, resamples: int, seed: int, *, weights: Array | None = None) -> Replicates:
    """Mean of a number of each fact in each order of a stream; facts and orders are both drawn anew.

    Args:
        numbers: (R, M), orders in rows; NaN is left out, such as a fact that an order does not read.
        resamples: B.
        seed: of the generator.
        weights: (M,), how much each counts, such as lengths of texts; equally by default.

    Returns:
        Replicates of shape (), of no text; NaN over none, the error NaN of a single fact.

    Example:
        >>> crossed_mean(np.array([[0.0, 1.0, np.nan], [0.0, np.nan, 2.0]]), resamples=200, seed=0).value
        array(0.75)
    """
    orders, facts = numbers.shape
    known = ~np.isnan(numbers)
    if not known.any():
        return Replicates(np.array(np.nan), np.full(resamples, np.nan), np.empty(0))
    rng = np.random.default_rng(seed)
    own = np.ones(facts) if weights is None else np.asarray(weights, dtype=np.float64)
    drawn = rng.multinomial(facts, np.full(facts, 1 / facts), size=resamples) * own
    rows = draws_of_few(orders, resamples, rng)
    sums, totals = (np.einsum("br,rm,bm->b", rows, of, drawn) for of in (np.where(known, numbers, 0.0), known * 1.0))
    with np.errstate(invalid="ignore"):  # 0 / 0: a sample of nothing, an undefined replicate
        value = (np.where(known, numbers, 0.0) @ own).sum() / (known @ own).sum()
        samples = sums / totals
    alone = np.count_nonzero(known.any(axis=0)) < 2
    return Replicates(np.array(value), np.full_like(samples, np.nan) if alone else samples, np.empty(0))
