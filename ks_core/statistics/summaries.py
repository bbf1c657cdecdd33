"""The statistics of one pair matrix, as plain numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ks_core.statistics.pairs import as_pair_matrix, off_diagonal
from ks_core.statistics.weighted import weighted_statistics

SHARE_THRESHOLD = 0.1
"""Superposition above this is counted by `share_above`; the value for which the paper's figures give the fraction."""


def summarise(matrix: Any, *, threshold: float = SHARE_THRESHOLD) -> dict[str, float]:
    """Summarise the off-diagonal entries of a pair matrix.

    * `mean`, `std` (population), `rms`, `min`, `max`: in the units of the matrix.
    * `mode`, `mode_density`: place and height of the highest point of the kernel density; see `density.weighted_mode`.
    * `skewness`, `kurtosis`: as SciPy by default: biased, and kurtosis in excess of a Gaussian's 3.
    * `share_above`: fraction of the entries greater than `threshold`.
    * `tail_ratio`: fraction further than four standard deviations from the mean, over a Gaussian's fraction.
    * `near_right_angle`: fraction with |x| < sin 10°; for cosines, the pairs within 10 degrees of a right angle.

    Args:
        matrix: (n, n) pair matrix between n >= 3 facts; the diagonal is not used.
        threshold: for `share_above`.

    Returns:
        name → number. `skewness`, `kurtosis`, `tail_ratio` and `mode_density` are NaN when all entries are equal, as
        for keys that are orthogonal: one value has no shape.

    Raises:
        InputError: not square, fewer than three facts, or NaN or infinity inside.

    Example:
        >>> found = summarise(np.array([[1.0, 0.0, 0.2], [0.4, 1.0, 0.6], [0.8, 1.0, 1.0]]))
        >>> round(found["mean"], 12), round(found["kurtosis"], 12), round(found["share_above"], 12)
        (0.5, -1.268571428571, 0.833333333333)
    """
    checked = as_pair_matrix(matrix)
    everything = weighted_statistics(checked, np.ones((1, len(checked))), threshold)
    values = off_diagonal(checked)
    extremes = {"min": float(values.min()), "max": float(values.max())}
    return {name: float(of_sample[0]) for name, of_sample in everything.items()} | extremes
