"""All statistics of a pair matrix for many weighted samples of facts at once; the one engine behind every number."""

from __future__ import annotations

import numpy as np

from ks_core.statistics.density import weighted_mode
from ks_core.statistics.pairs import Array
from ks_core.statistics.tails import RIGHT_ANGLE_COSINE, weighted_fraction, weighted_tail_ratio
from ks_core.statistics.weighted_moments import weighted_moments


def weighted_statistics(matrix: Array, weights: Array, threshold: float) -> dict[str, Array]:
    """Compute every statistic over the pairs of each weighted sample of facts.

    A pair (i, j), i != j, counts w_i w_j times: weights of one give the plain statistics, counts of a draw with
    replacement a bootstrap sample, and zeros and ones a subset of the facts.

    Args:
        matrix: (n, n) float64, checked.
        weights: (B, n) float64, checked.
        threshold: for `share_above`.

    Returns:
        name → (B,) float64; `summarise` says what each name means.
    """
    moments = weighted_moments(matrix, weights)
    mode, mode_density = weighted_mode(matrix, weights)
    return {
        "mean": moments.mean,
        "mode": mode,
        "mode_density": mode_density,
        "std": np.sqrt(moments.variance),
        "rms": np.hypot(moments.mean, np.sqrt(moments.variance)),
        "skewness": moments.skewness,
        "kurtosis": moments.kurtosis,
        "share_above": weighted_fraction((matrix > threshold).astype(np.float64), weights),
        "tail_ratio": weighted_tail_ratio(matrix, weights, moments),
        "near_right_angle": weighted_fraction((np.abs(matrix) < RIGHT_ANGLE_COSINE).astype(np.float64), weights),
    }
