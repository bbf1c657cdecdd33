"""How nearly singular a factored matrix is: its condition number in the 1-norm, from a few triangular solves."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

MOST_COLUMNS = 4
"""Columns of the inverse that are looked at: nearly always the second look finds none that is longer."""


def condition_estimate(matrix: Tensor, factor: Tensor) -> float:
    """Estimate κ₁ = ‖matrix‖₁ ‖matrix⁻¹‖₁, which lies between κ₂ and n κ₂.

    It is computed where the factor is, and is what LAPACK's `pocon` gives on a CPU; that one has no other device.

    Args:
        matrix: (n, n) float64, symmetric.
        factor: (n, n) float64, lower triangular L with L Lᵀ = matrix.

    Returns:
        A lower bound, hardly ever below a third of the truth; infinity where it leaves the range of float64.

    Numerics:
        O(n²): the matrix is read once, the factor eight times as a rule.

    Example:
        >>> factor = torch.tensor([[2.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
        >>> round(condition_estimate(factor @ factor.T, factor), 12)  # inverse: [[0.5, -0.5], [-0.5, 1]]
        9.0
    """
    # Sums along rows, which lie together in memory; the matrix is symmetric.
    norm = float(torch.linalg.vector_norm(matrix, 1, dim=1).max())
    if not 0 < norm < math.inf:
        return math.inf
    root = math.sqrt(norm)

    def inverse(columns: Tensor) -> Tensor:
        """Of the matrix in units of its norm, half of it before and half between the solves, so that none overflows."""
        half = torch.linalg.solve_triangular(factor, columns * root, upper=False)
        solved: Tensor = torch.linalg.solve_triangular(factor.mT, half.mul_(root), upper=True)
        return solved

    found = norm_estimate(inverse, factor.new_empty(len(factor), 0))
    return found if math.isfinite(found) else math.inf


def norm_estimate(times: Callable[[Tensor], Tensor], like: Tensor) -> float:
    """Estimate the 1-norm of a symmetric matrix B that is known by its products alone.

    ‖B‖₁ is the largest ‖B x‖₁ over the simplex, a convex function, so it is at a corner: from the middle one goes to
    the corner of the steepest slope, B sign(B x), until none is steeper (Hager 1984; Higham 1988, "FORTRAN codes for
    estimating the one-norm", algorithm 4.1). A vector of alternating signs is tried beside it, against the matrices
    that mislead the climb.

    Args:
        times: (n, m) → B times it, (n, m).
        like: a tensor of n rows, with the dtype and the device of what `times` takes.

    Returns:
        A lower bound of ‖B‖₁; NaN or infinity where a product is.

    Example:
        >>> matrix = torch.tensor([[2.0, 1.0], [1.0, 1.0]])
        >>> norm_estimate(lambda columns: matrix @ columns, matrix)
        3.0
    """
    size = len(like)
    middle, alternating = like.new_full((size,), 1 / size), _alternating(like)
    both = times(torch.stack([middle, alternating], dim=1))
    column, beside = both[:, :1], both[:, 1:]
    longest, signs = float(column.abs().sum()), _signs(column)
    least = 2 * float(beside.abs().sum()) / (3 * size)  # ‖alternating‖₁ is 3 n / 2
    corner = None
    for _ in range(MOST_COLUMNS):
        slopes = times(signs).abs().flatten()
        steepest = int(slopes.argmax())
        if corner is not None and bool(slopes[corner] == slopes[steepest]):
            break
        corner = steepest
        unit = torch.zeros_like(signs)
        unit[corner] = 1
        column = times(unit)
        length, turned = float(column.abs().sum()), _signs(column)
        if length <= longest or torch.equal(turned, signs):
            longest = max(length, longest)
            break
        longest, signs = length, turned
    return max(longest, least) if math.isfinite(longest + least) else math.inf


def _alternating(like: Tensor) -> Tensor:
    """1, −(1 + 1/(n−1)), 1 + 2/(n−1), …: no smooth column of a matrix is orthogonal to it."""
    places = torch.arange(len(like), dtype=like.dtype, device=like.device)
    return (1 + places / max(len(like) - 1, 1)) * (1 - 2 * (places % 2))


def _signs(column: Tensor) -> Tensor:
    return 2 * (column > 0).to(column.dtype) - 1
