"""Means over facts or texts with their standard errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ks_core.statistics.pairs import Array


@dataclass(frozen=True)
class Mean:
    """A mean over facts or texts.

    Attributes:
        value: NaN over none
        error: standard error; NaN over fewer than two, 0 where all are alike
        count: n, what it is a mean over
    """

    value: float
    error: float
    count: int


def mean_of(numbers: Array) -> Mean:
    """Mean of n numbers, those that are NaN left out, with s / √n.

    Example:
        >>> mean_of(np.array([1.0, 3.0, float("nan")]))
        Mean(value=2.0, error=1.0, count=2)
    """
    known = numbers[~np.isnan(numbers)]
    count = len(known)
    value = float(known.mean()) if count else math.nan
    return Mean(value, float(known.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan, count)


def weighted_mean(numbers: Array, weights: Array) -> Mean:
    """Mean over n texts that count by their lengths: a ratio of sums, whose error is linearised.

    Source: Cochran, Sampling Techniques, 1977, ch. 6.

    Args:
        numbers: (n,), such as the losses of texts in nats a token.
        weights: (n,), positive.

    Example:
        >>> weighted_mean(np.array([1.0, 4.0]), np.array([2.0, 1.0])).value
        2.0
    """
    if not len(numbers):
        return Mean(math.nan, math.nan, 0)
    total = float(weights.sum())
    mean = float(weights @ numbers) / total
    error = math.sqrt(float(((weights * (numbers - mean)) ** 2).sum())) / total if len(numbers) > 1 else math.nan
    return Mean(mean, error, len(numbers))
