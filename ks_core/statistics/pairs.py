"""Pair matrices: an (n, n) array of one number per ordered pair of facts; its diagonal is never part of a statistic."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ks_core.arrays import as_float64
from ks_core.errors import InputError

Array = NDArray[np.float64]

FEWEST_FACTS = 3  # two facts give one unordered pair; no spread, let alone a fourth moment, can be read off it


def as_pair_matrix(matrix: Any) -> Array:
    """Check a pair matrix and convert it to float64.

    Args:
        matrix: (n, n) real numbers, NumPy or torch: P, Q or cosines between n facts.

    Returns:
        (n, n) float64 NumPy array.

    Raises:
        InputError: not square, fewer than three facts, or NaN or infinity inside.
    """
    array: Array = as_float64("the pair matrix", matrix, ndim=2).numpy(force=True)
    rows, columns = array.shape
    if rows != columns:
        raise InputError(f"the pair matrix has shape ({rows}, {columns}); expected a square one, one row per fact")
    if rows < FEWEST_FACTS:
        raise InputError(f"the pair matrix is between {rows} facts; expected at least {FEWEST_FACTS}")
    return array


def as_weights(weights: Any, facts: int) -> Array:
    """Check a set of fact weights and convert it to float64, which holds every count below 2^53 exactly.

    Args:
        weights: (B, n), not negative; `weights[b, i]` says how often fact i occurs in sample b.
        facts: n, the size of the pair matrix they are for.

    Returns:
        (B, n) float64.

    Raises:
        InputError: another number of facts, or a negative weight.
    """
    array: Array = as_float64("the weights", weights, ndim=2).numpy(force=True)
    if array.shape[1] != facts:
        raise InputError(f"the weights are for {array.shape[1]} facts but the pair matrix is between {facts}")
    if array.min() < 0:
        raise InputError(f"the smallest weight is {array.min():g}; expected counts, which are not negative")
    return array


def off_diagonal(matrix: Array) -> Array:
    """Return the n (n - 1) entries of a pair matrix that are between two different facts, row by row.

    Example:
        >>> off_diagonal(np.array([[9.0, 1.0], [2.0, 9.0]]))
        array([1., 2.])
    """
    return matrix[~np.eye(len(matrix), dtype=bool)]


def pair_sums(matrix: Array, weights: Array) -> Array:
    """Sum a pair matrix over the pairs of each weighted sample of facts.

        s[b] = sum over i != j of w[b, i] w[b, j] X[i, j]

    Two copies of one fact are not a pair: that is what leaving out i = j means here.

    Args:
        matrix: (n, n) float64.
        weights: (B, n) float64.

    Returns:
        (B,) float64.

    Numerics:
        One (B, n) x (n, n) product instead of B sums over n^2 pairs.

    Example:
        >>> pair_sums(np.array([[9.0, 1.0], [2.0, 9.0]]), np.array([[1.0, 1.0], [1.0, 3.0]]))
        array([3., 9.])
    """
    between = matrix.copy()
    np.fill_diagonal(between, 0.0)
    sums: Array = np.einsum("bi,bi->b", weights @ between, weights)
    return sums


def pair_totals(weights: Array) -> Array:
    """Weight of all pairs of each sample, (sum w)^2 - sum w^2; NaN for a sample that has no pair of different facts.

    Args:
        weights: (B, n) float64.

    Returns:
        (B,) float64. NaN, not 0, so that every mean over no pairs is undefined and none is silently zero.
    """
    totals = weights.sum(axis=1) ** 2 - (weights**2).sum(axis=1)
    return np.where(totals > 0, totals, np.nan)


def one_per_subject(subjects: Sequence[Hashable]) -> NDArray[np.intp]:
    """Return the index of the first fact of each distinct subject, ascending.

    Two facts of one subject have nearly the same key, so their pair says little about interference between
    *different* knowledge; statistics on `matrix[np.ix_(index, index)]` are free of such pairs.

    Example:
        >>> one_per_subject(["Nokia N70", "Armenia", "Nokia N70"])
        array([0, 1])
    """
    first: dict[Hashable, int] = {}
    for index, subject in enumerate(subjects):
        first.setdefault(subject, index)
    return np.fromiter(first.values(), dtype=np.intp, count=len(first))
