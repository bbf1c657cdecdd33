"""The difference of two weights: how large it is, and of which rank beyond what rounding makes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Difference:
    """Of two tensors of one shape.

    Attributes:
        norm: ‖ΔW‖, Frobenius
        weight_norm: ‖W‖ of the first
        entries: how many there are
        changed: how many differ
    """

    norm: float
    weight_norm: float
    entries: int
    changed: int

    @property
    def growth(self) -> float:
        """‖ΔW‖ / ‖W‖; infinite where the first is zero and the second is not."""
        if self.norm == 0:
            return 0.0
        return self.norm / self.weight_norm if self.weight_norm else float("inf")


def difference(before: Tensor, after: Tensor) -> Difference:
    """Compare two tensors of one shape and of any dtypes, in float64.

    Example:
        >>> found = difference(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.5], dtype=torch.bfloat16))
        >>> found.norm, found.growth, found.changed
        (0.5, 0.1, 1)
    """
    first, second = before.double(), after.double()
    delta = second - first
    return Difference(float(delta.norm()), float(first.norm()), delta.numel(), int(torch.count_nonzero(delta)))


def numerical_rank(delta: Tensor, rounding: float) -> int:
    """Rank of ΔW beyond rounding: how many singular values exceed what storing the edited weight can have made.

    An entry that is stored with unit roundoff u is off by u |w| at most, so the stored ΔW is the exact one plus E with
    ‖E‖₂ ≤ ‖E‖_F ≤ u ‖W'‖_F, and a singular value above that bound cannot be E's (Weyl).

    Args:
        delta: (m, n), in float64.
        rounding: u ‖W'‖_F of the edited weight.

    Numerics:
        Singular values are exact to eps ‖ΔW‖, which is added to the bound.

    Example:
        >>> numerical_rank(torch.tensor([[1.0, 0.0], [0.0, 1e-9]]), rounding=1e-8)
        1
    """
    singular = torch.linalg.svdvals(delta.double())
    own = torch.finfo(torch.float64).eps * max(delta.shape) * float(singular[0])
    return int((singular > rounding + own).sum())
