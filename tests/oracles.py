"""Slow and obvious versions of the theory, in exact rational arithmetic, and the rounding error that is allowed.

Floats are rational numbers, so these have no rounding of their own: what differs is the fast path's error.
"""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from ks_core.conformance.rational import Matrix, dot, exact, inverse, rounded, times
from ks_core.conformance.tolerances import UNIT_ROUNDOFF, tolerance

__all__ = [
    "UNIT_ROUNDOFF",
    "Matrix",
    "assert_close",
    "condition_number",
    "dot",
    "exact",
    "inverse",
    "joint_by_normal_equations",
    "lifelong_step_by_step",
    "pca_whitening",
    "rounded",
    "superposition_by_loops",
    "times",
    "tolerance",
    "zca_whitening",
]


def assert_close(actual: Tensor, expected: Tensor, allowed: float | Tensor) -> None:
    """Fail, with the values, where actual and expected differ by more than allowed (a number or one per entry)."""
    assert actual.shape == expected.shape, f"shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    excess = (actual - expected).abs() - torch.as_tensor(allowed, dtype=torch.float64)
    assert not bool((excess > 0).any() | excess.isnan().any()), (
        f"off by up to {float((actual - expected).abs().max()):.3g}, "
        f"allowed {float(torch.as_tensor(allowed).max()):.3g}\nactual:\n{actual}\nexpected:\n{expected}"
    )


def superposition_by_loops(second_moment: Tensor, keys: Tensor, others: Tensor | None = None) -> Tensor:
    """P[i, j] = k_iᵀ C⁻¹ k_j / k_iᵀ C⁻¹ k_i, entry by entry from the explicit inverse."""
    inverted = inverse(exact(second_moment))
    editors = exact(keys)
    disturbed = editors if others is None else exact(others)
    entries = []
    for editor in editors:
        direction = times(inverted, editor)
        entries.append([dot(direction, other) / dot(direction, editor) for other in disturbed])
    return rounded(entries)


def lifelong_step_by_step(
    weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor
) -> tuple[list[Tensor], Tensor]:
    """Edit the weight once for each key; return W_0 … W_n and the residuals (n, d_value) met on the way."""
    inverted = inverse(exact(second_moment))
    current = exact(weight)
    path, residuals = [rounded(current)], []
    for key, value in zip(exact(keys), exact(values), strict=True):
        direction = times(inverted, key)
        residual = [wanted - got for wanted, got in zip(value, times(current, key), strict=True)]
        step = [entry / dot(direction, key) for entry in residual]
        current = [
            [w + s * d for w, d in zip(row, direction, strict=True)] for row, s in zip(current, step, strict=True)
        ]
        path.append(rounded(current))
        residuals.append(residual)
    return path, rounded(residuals)


def joint_by_normal_equations(
    weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor, ridge: float
) -> Tensor:
    """ΔW = Rᵀ K (ridge · C + Kᵀ K)⁻¹ with R = V − K Wᵀ: MEMIT's form, inverted in key space; needs ridge > 0."""
    rows, before = exact(keys), exact(weight)
    moment, size = exact(second_moment), len(second_moment)
    system = [
        [Fraction(ridge) * moment[a][b] + sum(row[a] * row[b] for row in rows) for b in range(size)]
        for a in range(size)
    ]
    inverted = inverse(system)
    residuals = [
        [wanted - got for wanted, got in zip(value, times(before, row), strict=True)]
        for row, value in zip(rows, exact(values), strict=True)
    ]
    written = [
        [sum(r[v] * row[a] for r, row in zip(residuals, rows, strict=True)) for a in range(size)]
        for v in range(len(before))
    ]
    return rounded([[dot(row, column) for column in inverted] for row in written])  # the inverse is symmetric


def condition_number(second_moment: Tensor) -> float:
    """‖C‖₁ ‖C⁻¹‖₁, exactly."""
    matrix = exact(second_moment)
    largest_column_sum = [max(sum(abs(entry) for entry in row) for row in m) for m in (matrix, inverse(matrix))]
    return float(largest_column_sum[0] * largest_column_sum[1])  # both symmetric: rows are columns


def pca_whitening(second_moment: Tensor) -> Tensor:
    """A = Λ^-½ Uᵀ, the whitening along the eigenvectors."""
    eigenvalues, basis = torch.linalg.eigh(second_moment)
    return (basis / eigenvalues.sqrt()).T


def zca_whitening(second_moment: Tensor) -> Tensor:
    """A = U Λ^-½ Uᵀ = C^-½, the symmetric whitening of the paper."""
    eigenvalues, basis = torch.linalg.eigh(second_moment)
    return (basis / eigenvalues.sqrt()) @ basis.T
