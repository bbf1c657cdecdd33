"""Whitening: from the second moment of the keys to coordinates in which it is the identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ks_core.arrays import as_float64
from ks_core.errors import InputError, RankDeficientError
from ks_core.theory.cholesky import cholesky_factor, numerical_rank

# Statistics files often hold float32 sums. A sum of n products, added one by one, strays by about eps32 √n of
# √(C_ii C_jj): 1e-3 admits 7e7 tokens. A wrong block or an unfilled triangle strays by the correlations themselves.
ROUNDING_OF_SUMS = 1e-3


@dataclass(frozen=True, eq=False)
class Whitening:
    """A second moment, factored: the coordinates L⁻¹k in which C becomes the identity.

    Attributes:
        factor: (d_key, d_key) float64, lower triangular L with L Lᵀ = C + ridge · mean eigenvalue · I.
        rank: numerical rank of C itself; below d_key only where a ridge was given.
        condition_number: estimate of the 1-norm condition number κ₁ of L Lᵀ; κ₁ lies between κ₂ and d_key · κ₂.
        ridge: what was added to C, in units of its mean eigenvalue; 0 for none.
    """

    factor: Tensor
    rank: int
    condition_number: float
    ridge: float

    @property
    def dim(self) -> int:
        """The width d_key of the keys."""
        return self.factor.shape[0]

    def whiten(self, keys: Any) -> Tensor:
        """Express keys in the whitened space.

            row i = L⁻¹ k_i, so that ⟨row i, row j⟩ = k_iᵀ C⁻¹ k_j

        Args:
            keys: (n, d_key), one row per fact.

        Returns:
            (n, d_key) float64.

        Raises:
            InputError: keys of another width, or not finite.
        """
        whitened: Tensor = torch.linalg.solve_triangular(self.factor, self._checked(keys).T, upper=False)
        return whitened.T

    def solve(self, keys: Any) -> Tensor:
        """Multiply keys by the inverse second moment: the directions in key space that edits write along.

            row i = C⁻¹ k_i

        Args:
            keys: (n, d_key), one row per fact.

        Returns:
            (n, d_key) float64.

        Raises:
            InputError: keys of another width, or not finite.
        """
        return torch.cholesky_solve(self._checked(keys).T, self.factor).T

    def _checked(self, keys: Any) -> Tensor:
        rows = as_float64("keys", keys, ndim=2)
        if rows.shape[1] != self.dim:
            raise InputError(
                f"keys have d_key={rows.shape[1]} but the second moment has d_key={self.dim}; "
                "collect both from the same layer of the same model"
            )
        return rows


def whiten(second_moment: Any, *, ridge: float = 0.0, count: int | None = None) -> Whitening:
    """Factor the second moment of the keys, C = E[k kᵀ].

        L Lᵀ = C + ridge · (trace(C) / d_key) · I          (ridge 0: the paper's C)

    Superposition does not depend on which whitening is taken (Cholesky, ZCA and PCA differ by a rotation); Cholesky is
    the cheapest. The ridge counts in mean eigenvalues of C, so the scale of C still cancels.

    Args:
        second_moment: (d_key, d_key), uncentred, symmetric; its lower triangle is used.
        ridge: how many mean eigenvalues to add to every eigenvalue; none by default.
        count: how many tokens the second moment was averaged over, where known: fewer than d_key are refused at once.

    Returns:
        The factor in float64 with the rank and the condition number of what was factored.

    Raises:
        RankDeficientError: C has directions that no token reached, and the ridge does not fill them.
        InputError: not square, not symmetric, a negative eigenvalue, NaN or infinity inside, or a ridge below 0.

    Numerics:
        O(d_key³ / 3). Products ⟨L⁻¹a, L⁻¹b⟩ are good to about eps · d_key · condition_number of ‖L⁻¹a‖ ‖L⁻¹b‖.

    Example:
        >>> whitening = whiten([[4.0, 0.0], [0.0, 1.0]])
        >>> whitening.whiten([[2.0, 3.0]])
        tensor([[1., 3.]], dtype=torch.float64)
        >>> whitening.rank, whitening.condition_number
        (2, 4.0)
    """
    matrix = check_second_moment(second_moment)
    _check_ridge(ridge)
    dim = matrix.shape[0]
    if ridge == 0 and count is not None and count < dim:
        raise RankDeficientError(
            f"the second moment saw {count} tokens but has d_key={dim}, so its rank is at most {count}; "
            f"collect it over at least {dim} tokens (better many times that), or pass a ridge"
        )
    factored = cholesky_factor(matrix, terms=dim)
    rank = _deficient_rank(matrix) if factored is None else dim
    if ridge > 0:
        factored = cholesky_factor(_add_ridge(matrix, ridge), terms=dim)
    if factored is None:
        raise RankDeficientError(_deficiency(rank, dim, ridge))
    return Whitening(factored.factor, rank, factored.condition_number, float(ridge))


def _add_ridge(matrix: Tensor, ridge: float) -> Tensor:
    mean_eigenvalue = matrix.diagonal().mean()
    return matrix + ridge * mean_eigenvalue * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)


def check_second_moment(second_moment: Any) -> Tensor:
    """A second moment as a float64 tensor.

    Raises:
        InputError: not square, not symmetric, a negative mean square, or not finite.
    """
    matrix = as_float64("second_moment", second_moment, ndim=2).detach()
    if matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"second_moment has shape {tuple(matrix.shape)}; expected a square matrix (d_key, d_key)")
    lowest = float(matrix.diagonal().min())
    if lowest < 0:
        raise InputError(f"second_moment has {lowest:.3g} on its diagonal; mean squares of keys cannot be negative")
    rms = matrix.diagonal().sqrt()
    asymmetry = (matrix - matrix.T).abs() - ROUNDING_OF_SUMS * rms[:, None] * rms[None, :]
    if float(asymmetry.max()) > 0:
        row, column = divmod(int(asymmetry.argmax()), len(matrix))
        raise InputError(
            f"second_moment is not symmetric: entry [{row}, {column}] is {float(matrix[row, column]):.6g} but "
            f"[{column}, {row}] is {float(matrix[column, row]):.6g}; fill both triangles"
        )
    return matrix


def _check_ridge(ridge: float) -> None:
    if not 0 <= ridge < float("inf"):
        raise InputError(f"ridge is {ridge}; expected a finite number of mean eigenvalues, 0 or more")


def _deficient_rank(matrix: Tensor) -> int:
    """Rank of a matrix that Cholesky could not factor; refuse one that is no second moment at all."""
    eigenvalues = torch.linalg.eigvalsh(matrix)
    lowest, trace = float(eigenvalues[0]), float(matrix.trace())
    # Entries that stray by ROUNDING_OF_SUMS · √(C_ii C_jj) move no eigenvalue by more than that share of the trace.
    if lowest < -ROUNDING_OF_SUMS * trace:
        raise InputError(
            f"second_moment has the eigenvalue {lowest:.3g} (trace {trace:.3g}); "
            "an uncentred second moment E[k kᵀ] has none below 0, so this matrix is something else"
        )
    # Where the eigenvalues sit just above the threshold, the failed factorisation has the last word.
    return min(numerical_rank(eigenvalues, terms=len(matrix)), len(matrix) - 1)


def _deficiency(rank: int, dim: int, ridge: float) -> str:
    if ridge > 0:
        return f"the second moment (rank {rank}, d_key={dim}) stays singular with ridge={ridge:g}; pass a larger ridge"
    return (
        f"the second moment has numerical rank {rank} but d_key={dim}, so it has no inverse; "
        f"collect it over more text (many times {dim} tokens), or pass a ridge"
    )
