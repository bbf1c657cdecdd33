"""Kurtosis against the number of facts: has it converged, and how sure is that?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ks_core.errors import InputError
from ks_core.statistics.pairs import FEWEST_FACTS, Array, as_pair_matrix, as_weights
from ks_core.statistics.weighted_moments import weighted_moments


@dataclass(frozen=True, eq=False)
class KurtosisBySize:
    """Kurtosis of random subsets of the facts, by their size; each (len(sizes),).

    Attributes:
        spread: standard deviation from subset to subset (ddof 1); near the standard error of m facts only for m well
            below n As m nears n the subsets share their facts and it falls to 0, whatever the error; see
            `relative_change` for that.
    """

    sizes: NDArray[np.int64]
    mean: Array
    spread: Array


def kurtosis_by_size(matrix: Any, sizes: Sequence[int], draws: int, seed: int) -> KurtosisBySize:
    """Compute the kurtosis of random subsets of the facts, drawn without replacement.

    Subsets are nested: the m facts of a draw are among its facts for every larger m, which keeps the curve smooth.

    Args:
        matrix: (n, n) pair matrix.
        sizes: numbers of facts m, each from 3 to n.
        draws: random subsets of each size, at least 2.
        seed: of the generator.

    Returns:
        Mean and spread by size; NaN for a size of which a subset's entries do not vary.

    Raises:
        InputError: a size out of range, or fewer than two draws.

    Example:
        >>> matrix = np.random.default_rng(0).standard_normal((20, 20))
        >>> bool(kurtosis_by_size(matrix, [5, 20], draws=10, seed=0).spread[-1] < 1e-12)  # one subset: all facts
        True
    """
    checked = as_pair_matrix(matrix)
    n = len(checked)
    _check_sizes(sizes, n, draws)
    order = _orders(n, draws, seed)
    found = np.stack([_kurtosis(checked, _counts(order[:, :m], n)) for m in sizes])
    return KurtosisBySize(np.array(sizes, dtype=np.int64), found.mean(axis=1), found.std(axis=1, ddof=1))


def relative_change(matrix: Any, m: int, weights: Any, draws: int, seed: int) -> tuple[float, Array]:
    """Compute how much the kurtosis still moves from m facts to all of them, and the same for each bootstrap sample.

        (K(all) - mean over random m-subsets of K) / K(all)

    In a bootstrap sample the subsets are drawn from the n drawn facts, copies included; two copies of one fact make no
    pair there either.

    Args:
        matrix: (n, n) pair matrix.
        m: size of the subsets, from 3 to n.
        weights: (B, n) counts from `fact_weights`, each row summing to n.
        draws: random subsets per sample, at least 2; their mean has a random error of (spread of K at m) / sqrt(draws),
            which is part of the spread of the replicates too.
        seed: of the generator; the subsets are at the same places of every sample.

    Returns:
        The value, and (B,) replicates. NaN where a kurtosis is undefined or K(all) is 0.

    Raises:
        InputError: a size out of range, or weights that are not counts of n facts.

    Example:
        >>> matrix = np.random.default_rng(0).standard_normal((20, 20))
        >>> value, replicates = relative_change(matrix, 20, np.ones((2, 20)), draws=4, seed=0)
        >>> abs(value) < 1e-12, replicates.shape  # from all facts to all facts
        (True, (2,))
    """
    checked = as_pair_matrix(matrix)
    n = len(checked)
    _check_sizes([m], n, draws)
    counts = _check_counts(as_weights(weights, n))
    places = _orders(n, draws, seed)[:, :m]
    value = _change(checked, np.ones(n, dtype=np.int64), places)
    return value, np.array([_change(checked, sample, places) for sample in counts])


def _change(matrix: Array, sample: NDArray[np.int64], places: NDArray[np.int64]) -> float:
    n = len(matrix)
    drawn = np.repeat(np.arange(n), sample)  # (n,) the sample's facts, copies beside each other
    whole = _kurtosis(matrix, sample[None])[0]
    parts = _kurtosis(matrix, _counts(drawn[places], n))
    return float((whole - parts.mean()) / whole) if whole else float("nan")


def _kurtosis(matrix: Array, counts: NDArray[np.int64]) -> Array:
    return weighted_moments(matrix, counts.astype(np.float64)).kurtosis


def _orders(n: int, draws: int, seed: int) -> NDArray[np.int64]:
    """Random orders of n things, (draws, n); the first m of each are a random subset."""
    return np.random.default_rng(seed).permuted(np.tile(np.arange(n), (draws, 1)), axis=1)


def _counts(chosen: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """How often each of n facts occurs in each row of `chosen`; (draws, m) → (draws, n)."""
    offset = n * np.arange(len(chosen))[:, None]
    return np.bincount((chosen + offset).ravel(), minlength=n * len(chosen)).reshape(-1, n)


def _check_sizes(sizes: Sequence[int], n: int, draws: int) -> None:
    wrong = [m for m in sizes if not FEWEST_FACTS <= m <= n]
    if wrong or not len(sizes):
        raise InputError(f"got subset sizes {list(sizes)} of {n} facts; expected sizes from {FEWEST_FACTS} to {n}")
    if draws < 2:
        raise InputError(f"got {draws} draws; expected at least 2, for a spread")


def _check_counts(weights: Array) -> NDArray[np.int64]:
    counts = np.rint(weights).astype(np.int64)
    if (counts != weights).any() or (counts.sum(axis=1) != weights.shape[1]).any():
        raise InputError("the weights are not counts of n drawn facts; expected whole numbers, each row summing to n")
    return counts
