"""Which numbers of a model are held against its size, and at which depths."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ks_core.statistics.pairs import Array
from ks_core.statistics.weighted_moments import weighted_moments

PLACES: Mapping[str, float] = {"first": 0.0, "middle": 0.5, "last": 1.0}
"""Relative depths at which models of different depth are compared."""

NUMBERS: Mapping[str, tuple[str, str, str]] = {
    "kurtosis": ("kurtosis of P (excess + 3)", "P", "kurtosis"),
    "spread": ("standard deviation of P", "P", "std"),
    "cosine_spread": ("standard deviation of whitened cosines", "whitened_cosine", "std"),
}
"""What is held against size: in words, of which matrix, which statistic. All are positive, so that a power law can be
fitted: an excess kurtosis can be negative, the kurtosis itself is at least 1."""


def at_places(by_layer: Array) -> Array:
    """Numbers at the relative depths of `PLACES`, between layers on a logarithmic scale; (layers,) → (places,)."""
    depths = np.linspace(0, 1, len(by_layer)) if len(by_layer) > 1 else np.array([0.5])
    logarithms: Array = np.interp(list(PLACES.values()), depths, np.log(by_layer))
    return np.exp(logarithms)


def geometric_mean(numbers: Array) -> Array:
    """Geometric mean of positive numbers."""
    mean: Array = np.exp(np.log(numbers).mean())
    return mean


def statistic_of(matrix: Array, statistic: str, weights: Array) -> Array:
    """A statistic of `NUMBERS` of an (n, n) matrix for weighted samples of its facts, (B, n) → (B,)."""
    moments = weighted_moments(matrix, weights)
    return moments.kurtosis + 3 if statistic == "kurtosis" else np.sqrt(moments.variance)
