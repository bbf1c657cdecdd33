"""One logistic curve through many points."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import curve_fit

from ks_core.statistics.pairs import Array


@dataclass(frozen=True)
class Logistic:
    """height = 1 / (1 + e^(−slope (place − middle))), by least squares.

    Attributes:
        middle: place of height 1/2
        slope: of the logarithm of the odds
        residual: root mean square of what it misses the heights by
    """

    middle: float
    slope: float
    residual: float


def fit_logistic(places: Array, heights: Array) -> Logistic:
    """One logistic curve, from 0 to 1, through all points; `residual` says how far they lie from it.

    Args:
        places: (n,), n > 2.
        heights: (n,), 0 to 1.

    Example:
        >>> places = np.arange(-4.0, 5.0)
        >>> fitted = fit_logistic(places, 1 / (1 + np.exp(-2 * (places - 1))))
        >>> round(fitted.middle, 6), round(fitted.slope, 6), round(fitted.residual, 6)
        (1.0, 2.0, 0.0)
    """
    (middle, slope), _ = curve_fit(_height, places, heights, p0=(float(np.median(places)), 1.0), maxfev=10_000)
    residual = math.sqrt(float(np.mean((_height(places, middle, slope) - heights) ** 2)))
    return Logistic(float(middle), float(slope), residual)


def _height(places: Array, middle: float, slope: float) -> Array:
    odds = np.clip(slope * (places - middle), -500, 500)  # beyond, e^x leaves float64 and the height is 0 or 1
    height: Array = 1 / (1 + np.exp(-odds))
    return height
