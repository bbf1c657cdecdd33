"""Rank correlation."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from ks_core.statistics.pairs import Array


def rank_correlation(x: Array, y: Array) -> float:
    """Spearman's ρ, ties sharing their mean rank; NaN where one of the two does not vary, or there are fewer than two.

    Args:
        x, y: (n,) finite numbers.

    Example:
        >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 9.0]))
        1.0
    """
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])
