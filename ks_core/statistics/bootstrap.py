"""Sampling error over facts: statistics of samples in which the facts, never the pairs, are drawn anew.

The n (n - 1) entries of a pair matrix are not independent observations: a fact with a large key is in 2 (n - 1) of
them. Drawing pairs would treat them as such and give errors that are too small, several times so at 128 facts. What
was sampled from the world is facts, so facts are what is resampled (Efron and Tibshirani, An Introduction to the
Bootstrap, 1993, ch. 8). A fact that is drawn twice makes no pair with its copy: its own diagonal entry (1 in P) never
enters.

For X_ij = a_i + a_j + e_ij the bootstrap variance of the mean is 4 var(a) / n + 3 var(e) / (n (n - 1)), to leading
order, where the truth has 1 in place of 3. The error is right where facts differ from one another, and too large, never
more than sqrt(3) times, where only pairs do: it errs towards "undecided".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ks_core.errors import InputError
from ks_core.statistics.pairs import FEWEST_FACTS, Array, as_pair_matrix, as_weights
from ks_core.statistics.summaries import SHARE_THRESHOLD
from ks_core.statistics.weighted import weighted_statistics


def fact_weights(n: int, resamples: int, seed: int) -> NDArray[np.int64]:
    """Draw bootstrap samples of facts, as the number of times each fact was drawn.

    Use one set of weights for all layers and matrices of a model: their differences are then paired, and what the
    layers have in common cancels from the error of a difference.

    Args:
        n: number of facts.
        resamples: B, number of bootstrap samples; the standard error has a relative error of about 1 / sqrt(2 B).
        seed: of the generator; the same seed gives the same samples.

    Returns:
        (B, n) int64; each row sums to n.

    Raises:
        InputError: fewer than three facts or two resamples.

    Example:
        >>> fact_weights(5, resamples=3, seed=0).sum(axis=1)
        array([5, 5, 5])
    """
    if n < FEWEST_FACTS or resamples < 2:
        raise InputError(f"got {n} facts and {resamples} resamples; expected at least {FEWEST_FACTS} and 2")
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)


def bootstrap(matrix: Any, weights: Any, *, threshold: float = SHARE_THRESHOLD) -> dict[str, Array]:
    """Compute the statistics of a pair matrix for each bootstrap sample of its facts.

    Args:
        matrix: (n, n) pair matrix.
        weights: (B, n) from `fact_weights`; a pair of facts i != j counts w_i w_j times.
        threshold: for `share_above`.

    Returns:
        name → (B,) float64, for the names of `summarise` but `min` and `max`: the bootstrap is not consistent for
        extremes. NaN where a statistic is undefined for a sample, as when all its pairs are equal.

    Raises:
        InputError: a matrix or weights that cannot be used, or that are for different numbers of facts.

    Numerics:
        Moments and shares are products of (B, n) with (n, n); no sample is ever expanded.

    Example:
        >>> matrix = np.random.default_rng(0).standard_normal((40, 40))
        >>> found = bootstrap(matrix, fact_weights(40, resamples=200, seed=1))
        >>> bool(0.03 < found["mean"].std(ddof=1) < 0.06)  # pure pair noise: sqrt(3) / sqrt(40 * 39) = 0.044
        True
    """
    checked = as_pair_matrix(matrix)
    return weighted_statistics(checked, as_weights(weights, len(checked)), threshold)
