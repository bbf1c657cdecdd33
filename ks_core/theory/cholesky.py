"""Cholesky factors of second moments and Gram matrices, with an honest answer to "is it singular?"."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ks_core.theory.condition import condition_estimate

EPS = torch.finfo(torch.float64).eps

# The estimate of the 1-norm condition number is a lower bound, hardly ever below a third of the truth (Higham,
# "Accuracy and Stability of Numerical Algorithms", ch. 15). A matrix within this factor of singular is looked at twice.
ESTIMATE_MARGIN = 10.0


@dataclass(frozen=True, eq=False)
class CholeskyFactor:
    """A lower Cholesky factor, and how far its matrix is from a singular one.

    Attributes:
        factor: (n, n) float64, lower triangular L with L Lᵀ = matrix.
        condition_number: estimate of κ₁ = ‖matrix‖₁ ‖matrix⁻¹‖₁, itself between κ₂ and n κ₂.
    """

    factor: Tensor
    condition_number: float


@dataclass(frozen=True)
class Singular:
    """A matrix that has no Cholesky factor.

    Attributes:
        rank: its numerical rank, less than n.
        lowest: its lowest eigenvalue, below 0 by more than rounding where the matrix is not positive semidefinite.
    """

    rank: int
    lowest: float


def cholesky_factor(matrix: Tensor, *, terms: int) -> CholeskyFactor | Singular:
    """Factor a symmetric matrix if it is numerically positive definite.

    Cholesky and a condition estimate cost about a quarter of the eigenvalues (width 1536), so the eigenvalues are
    computed only where the estimate cannot tell a singular matrix from a regular one.

    Args:
        matrix: (n, n) float64, symmetric, on any device, where the factor is made too.
        terms: see `numerical_rank`.

    Returns:
        The factor; where the numerical rank is below n, that rank.

    Example:
        >>> cholesky_factor(torch.diag(torch.tensor([4.0, 1.0], dtype=torch.float64)), terms=2).condition_number
        4.0
    """
    factor, failed_at = torch.linalg.cholesky_ex(matrix)
    factored = None if int(failed_at) else CholeskyFactor(factor, condition_estimate(matrix, factor))
    if factored is not None and factored.condition_number * ESTIMATE_MARGIN * EPS * terms < 1:
        return factored
    eigenvalues = torch.linalg.eigvalsh(matrix)
    rank = numerical_rank(eigenvalues, terms=terms)
    if factored is not None and rank == len(matrix):
        return factored
    # Where the eigenvalues sit just above the threshold, the failed factorisation has the last word.
    return Singular(min(rank, len(matrix) - 1), float(eigenvalues[0]))


def numerical_rank(eigenvalues: Tensor, *, terms: int) -> int:
    """Count the eigenvalues that rounding cannot have made: those above eps · terms · λ_max.

    Args:
        eigenvalues: (n,) float64, of a positive semidefinite matrix; rounding may have made some negative.
        terms: the larger of the matrix's width and the number of products summed in each of its entries.

    Returns:
        The numerical rank, 0 for the zero matrix.

    Example:
        >>> numerical_rank(torch.tensor([1.0, 1e-3, 1e-17, -1e-17], dtype=torch.float64), terms=4)
        2
    """
    return int((eigenvalues > EPS * terms * eigenvalues.max()).sum())
