"""Slow and obvious versions of the theory, in exact rational arithmetic, and the rounding error that is allowed.

Floats are rational numbers, so these have no rounding of their own: what differs is the fast path's error.
"""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

Matrix = list[list[Fraction]]

UNIT_ROUNDOFF = torch.finfo(torch.float64).eps / 2


def tolerance(condition_number: float, d_key: int, edits: int = 1) -> float:
    """Rounding error that a product ⟨L⁻¹a, L⁻¹b⟩ may have, relative to ‖L⁻¹a‖ ‖L⁻¹b‖.

        4 d (3 d + 1) u · condition_number · edits

    A solve by Cholesky is exact for some C + ΔC with ‖ΔC‖₂ ≤ 4 d (3 d + 1) u ‖C‖₂ (Higham, "Accuracy and Stability of
    Numerical Algorithms", ch. 10), which moves the product by at most ‖ΔC‖₂ ‖C⁻¹‖₂. An edit is a projection in the
    whitened space and does not amplify the errors of those before it; they add up.
    """
    return 4 * d_key * (3 * d_key + 1) * UNIT_ROUNDOFF * condition_number * edits


def assert_close(actual: Tensor, expected: Tensor, allowed: float | Tensor) -> None:
    """Fail, with the values, where actual and expected differ by more than allowed (a number or one per entry)."""
    assert actual.shape == expected.shape, f"shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    excess = (actual - expected).abs() - torch.as_tensor(allowed, dtype=torch.float64)
    assert not bool((excess > 0).any() | excess.isnan().any()), (
        f"off by up to {float((actual - expected).abs().max()):.3g}, "
        f"allowed {float(torch.as_tensor(allowed).max()):.3g}\nactual:\n{actual}\nexpected:\n{expected}"
    )


def exact(array: Tensor) -> Matrix:
    """The same numbers as fractions."""
    return [[Fraction(float(entry)) for entry in row] for row in array]


def rounded(matrix: Matrix) -> Tensor:
    """The nearest float64 of each fraction."""
    return torch.tensor([[float(entry) for entry in row] for row in matrix], dtype=torch.float64)


def dot(left: list[Fraction], right: list[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(left, right, strict=True)), Fraction(0))


def times(matrix: Matrix, vector: list[Fraction]) -> list[Fraction]:
    return [dot(row, vector) for row in matrix]


def inverse(matrix: Matrix) -> Matrix:
    """Gauss-Jordan elimination; exact, so that any non-zero pivot will do."""
    size = len(matrix)
    work = [row + [Fraction(int(i == j)) for j in range(size)] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = next((i for i in range(column, size) if work[i][column] != 0), None)
        if pivot is None:
            raise ZeroDivisionError("the matrix is singular")
        work[column], work[pivot] = work[pivot], work[column]
        work[column] = [entry / work[column][column] for entry in work[column]]
        for i in range(size):
            if i != column and work[i][column] != 0:
                factor = work[i][column]
                work[i] = [a - factor * b for a, b in zip(work[i], work[column], strict=True)]
    return [row[size:] for row in work]


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
