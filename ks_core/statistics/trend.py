"""How a number changes with size: the exponent of a power law, and whether it only rises."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import kendalltau

from ks_core.errors import InputError
from ks_core.statistics.pairs import Array


def power_law_exponent(sizes: Sequence[float] | Array, numbers: Array) -> Array:
    """Exponent of number ~ size^exponent: the least-squares slope of logarithms.

    Args:
        sizes: (m,) positive, two different ones at least.
        numbers: (m, *S) positive.

    Returns:
        Shape S; NaN where a number is not positive.

    Raises:
        InputError: fewer than two different sizes, or one that is not positive.

    Example:
        >>> round(float(power_law_exponent([1.0, 10.0, 100.0], np.array([2.0, 20.0, 200.0]))), 12)
        1.0
    """
    sizes, numbers = np.asarray(sizes, dtype=np.float64), np.asarray(numbers, dtype=np.float64)
    if sizes.ndim != 1 or len(np.unique(sizes)) < 2 or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise InputError(f"sizes are {sizes.tolist()}; expected positive numbers, two different ones at least")
    if len(numbers) != len(sizes):
        raise InputError(f"got {len(numbers)} numbers for {len(sizes)} sizes; expected one for each")
    centred = np.log(sizes) - np.log(sizes).mean()
    logarithms = np.log(np.where(numbers > 0, numbers, np.nan))
    slope: Array = np.tensordot(centred, logarithms, axes=1) / (centred @ centred)
    return slope


@dataclass(frozen=True)
class MonotoneTrend:
    """Whether a number only rises, or only falls, with size.

    Attributes:
        rising: pairs of sizes of which the larger has the larger number
        p: exact two-sided probability, by Kendall's test, of a trend as clear where order means nothing; NaN where
            numbers tie or are NaN
    """

    rising: int
    pairs: int
    p: float

    def __str__(self) -> str:
        """In short, for a table."""
        p = "?" if math.isnan(self.p) else f"{self.p:.2f}"
        return f"rises in {self.rising} of {self.pairs}, p {p}"


def monotone_trend(sizes: Sequence[float], numbers: Sequence[float]) -> MonotoneTrend:
    """Kendall's test for a monotone trend (Mann 1945).

    With four sizes even a number that rises all the way has p = 0.08: so few say little about order alone.

    Args:
        sizes, numbers: (m,) finite, m >= 2, no two sizes alike.

    Raises:
        InputError: fewer than two, or a size twice.

    Example:
        >>> str(monotone_trend([1, 2, 4, 8], [0.1, 0.2, 0.4, 0.3]))
        'rises in 5 of 6, p 0.33'
    """
    if len(sizes) != len(numbers) or len(sizes) < 2 or len(set(sizes)) < len(sizes):
        raise InputError(f"got sizes {list(sizes)} and {len(numbers)} numbers; expected one number for each size")
    ordered = [number for _, number in sorted(zip(sizes, numbers, strict=True))]
    pairs = list(combinations(ordered, 2))
    rising = sum(later > earlier for earlier, later in pairs)
    if not np.isfinite(ordered).all() or len(set(ordered)) < len(ordered):
        return MonotoneTrend(rising, len(pairs), math.nan)
    return MonotoneTrend(rising, len(pairs), float(kendalltau(range(len(ordered)), ordered, method="exact").pvalue))
