"""After how many edits a curve reaches a level, between the numbers of edits at which it was looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ks_core.statistics.pairs import Array


def crossing(counts: Sequence[int] | NDArray[np.intp], values: Array, level: float) -> float:
    """The number of edits at which a rising curve first reaches a level.

    A curve that falls back has reached what it reached: its running maximum counts. Between two looks it is drawn
    straight over log n, as looks are at doubled numbers of edits; a look that is NaN was none.

    Args:
        counts: (c,), increasing.
        values: (c,), after so many edits; negate both these and the level of a curve that falls.
        level: to be reached.

    Returns:
        A number between the first count and the last: the first where the curve is there at once, NaN where it never
        is.

    Example:
        >>> crossing([1, 2, 4], np.array([0.0, 0.1, 0.3]), 0.2), crossing([1, 2], np.array([0.0, 0.1]), 0.2)
        (2.828..., nan)
    """
    looked = ~np.isnan(values)
    counts, highest = np.asarray(counts)[looked], np.maximum.accumulate(values[looked])
    there = np.flatnonzero(highest >= level)
    if not len(there):
        return math.nan
    after = int(there[0])
    if after == 0:
        return float(counts[0])
    low, high = highest[after - 1], highest[after]
    share = (level - low) / (high - low)
    return math.exp((1 - share) * math.log(counts[after - 1]) + share * math.log(counts[after]))
