"""How far measured interference is from what was predicted, key by key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ks_core.arrays import as_float64
from ks_core.statistics.pairs import Array
from ks_core.theory.interference import over_larger


@dataclass(frozen=True, eq=False)
class Agreement:
    """Lengths of the interference at m keys, predicted and measured, and of the difference; (m,) in units of values."""

    predicted: Array
    measured: Array
    difference: Array

    def relative(self, weights: Array | None = None) -> float:
        """Root mean square of the difference over that of the larger, `relative_difference` with keys weighted.

        Args:
            weights: (m,), how often each key counts; once by default.
        """
        counts = np.ones(len(self.difference)) if weights is None else weights
        return over_larger(
            *(float(np.sqrt(counts @ lengths**2)) for lengths in (self.difference, self.predicted, self.measured))
        )


def agreement(predicted: Any, measured: Any) -> Agreement:
    """Compare two (m, d_value) arrays row by row.

    Example:
        >>> agreement([[3.0, 0.0]], [[4.0, 0.0]]).relative()
        0.25
    """
    left, right = as_float64("predicted", predicted, ndim=2), as_float64("measured", measured, ndim=2)
    return Agreement(*(torch.linalg.vector_norm(rows, dim=1).numpy() for rows in (left, right, left - right)))
