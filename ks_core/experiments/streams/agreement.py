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
    """Lengths of the interference at m keys, predicted and measured, and of the difference; (m,) in units of values.

    Prediction and difference are NaN where nothing was predicted.
    """

    predicted: Array
    measured: Array
    difference: Array

    @property
    def is_predicted(self) -> bool:
        """Whether there is a prediction: the space that the edit was made in is known."""
        return not bool(np.isnan(self.predicted).any())

    def relative(self, weights: Array | None = None) -> float:
        """Root mean square of the difference over that of the larger, `relative_difference` with keys weighted.

        Args:
            weights: (m,), how often each key counts; once by default.

        Returns:
            A number from 0 to 2; NaN where nothing was predicted.
        """
        if not self.is_predicted:
            return float("nan")
        counts = np.ones(len(self.difference)) if weights is None else weights
        return over_larger(
            *(float(np.sqrt(counts @ lengths**2)) for lengths in (self.difference, self.predicted, self.measured))
        )


def agreement(predicted: Any, measured: Any) -> Agreement:
    """Compare two (m, d_value) arrays row by row; the first is None where nothing was predicted.

    Example:
        >>> agreement([[3.0, 0.0]], [[4.0, 0.0]]).relative()
        0.25
        >>> agreement(None, [[4.0, 0.0]]).measured
        array([4.])
    """
    right = as_float64("measured", measured, ndim=2)
    if predicted is None:
        unknown = np.full(len(right), np.nan)
        return Agreement(unknown, torch.linalg.vector_norm(right, dim=1).numpy(), unknown)
    left = as_float64("predicted", predicted, ndim=2)
    return Agreement(*(torch.linalg.vector_norm(rows, dim=1).numpy() for rows in (left, right, left - right)))
