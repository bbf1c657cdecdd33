"""Whitening: from the second moment of the keys to coordinates in which it is the identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ks_core.arguments import real_number
from ks_core.arrays import as_float64, finite
from ks_core.errors import InputError, RankDeficientError
from ks_core.theory.cholesky import EPS, Singular, cholesky_factor
from ks_core.theory.second_moment import ROUNDING_OF_SUMS, check_diagonal, check_second_moment


@dataclass(frozen=True, eq=False)
class Whitening:
    """A second moment, factored: the coordinates L⁻¹k in which C becomes the identity.

    A neuron that never fired over the text has a row of zeros in C. It is left out: C is factored on the others, its
    support, of size r, and keys must not use the silent neurons either, where C has no inverse.

    Attributes:
        factor: (r, r) float64, lower triangular L with L Lᵀ = C + ridge · mean eigenvalue · I on the support.
        support: (d_key,) bool, neurons that fired over the text; all of them where a ridge was given.
        rank: numerical rank of C itself: r, or less where a ridge was given.
        condition_number: estimate of the 1-norm condition number κ₁ of L Lᵀ; κ₁ lies between κ₂ and r · κ₂.
        ridge: what was added to C, in units of its mean eigenvalue; 0 for none.
        name: what errors call it.
    """

    factor: Tensor
    support: Tensor
    rank: int
    condition_number: float
    ridge: float
    name: str

    @property
    def dim(self) -> int:
        """The width d_key of the keys."""
        return len(self.support)

    @property
    def silent(self) -> int:
        """How many neurons are left out because they never fired over the text, d_key − r."""
        return self.dim - len(self.factor)

    def whiten(self, keys: Any) -> Tensor:
        """Express keys in the whitened space.

            row i = L⁻¹ k_i, so that ⟨row i, row j⟩ = k_iᵀ C⁻¹ k_j

        Args:
            keys: (n, d_key), one row per fact.

        Returns:
            (n, r) float64, where the second moment is, as all that this whitening gives.

        Raises:
            InputError: keys of another width, or not finite.
            RankDeficientError: a key uses a neuron that never fired over the text.
        """
        whitened: Tensor = torch.linalg.solve_triangular(self.factor, self._on_support(keys).T, upper=False)
        return finite("the whitened keys", whitened.T)

    def solve(self, keys: Any) -> Tensor:
        """Multiply keys by the inverse second moment: the directions in key space that edits write along.

            row i = C⁻¹ k_i, zero at silent neurons

        Args:
            keys: (n, d_key), one row per fact.

        Returns:
            (n, d_key) float64.

        Raises:
            InputError: keys of another width, or not finite.
            RankDeficientError: a key uses a neuron that never fired over the text.
        """
        solved = torch.cholesky_solve(self._on_support(keys).T, self.factor).T
        return finite("the keys times the inverse second moment", self._everywhere(solved))

    def directions(self, rows: Tensor) -> Tensor:
        """Where an edit writes that is seen in the whitened space as these rows: L⁻ᵀ row, (n, r) → (n, d_key)."""
        return self._everywhere(torch.linalg.solve_triangular(self.factor.T, rows.T, upper=True).T)

    def unwhiten(self, rows: Tensor) -> Tensor:
        """The keys that are whitened to these rows: L row, (n, r) → (n, d_key)."""
        return self._everywhere(rows @ self.factor.T)

    def length(self, delta: Tensor) -> float:
        """Root mean square change ‖ΔW C^½‖ of the layer's output over the text, of a dense edit (d_value, d_key)."""
        return float((delta[:, self.support] @ self.factor).norm())

    def _on_support(self, keys: Any) -> Tensor:
        rows = as_float64("keys", keys, ndim=2).to(self.factor.device)
        if rows.shape[1] != self.dim:
            raise InputError(
                f"keys have d_key={rows.shape[1]} but {self.name} has d_key={self.dim}; "
                "collect both from the same layer of the same model"
            )
        if not self.silent:
            return rows
        outside = torch.linalg.vector_norm(rows[:, ~self.support], dim=1)
        # Less than the rounding of a key's length moves no digit of it.
        used = torch.nonzero(outside > EPS * torch.linalg.vector_norm(rows, dim=1)).flatten().tolist()
        if used:
            raise RankDeficientError(
                f"{len(used)} keys, the first in row {used[0]}, use neurons that never fired over the text, where "
                f"{self.name} has no inverse ({self.silent} of {self.dim}); collect it over more text, or pass a ridge"
            )
        return rows[:, self.support]

    def _everywhere(self, rows: Tensor) -> Tensor:
        """Rows on the support as rows over all neurons, zero elsewhere."""
        if not self.silent:
            return rows
        spread = rows.new_zeros(len(rows), self.dim)
        spread[:, self.support] = rows
        return spread


def whiten(
    second_moment: Any, *, ridge: float = 0.0, count: int | None = None, name: str = "the second moment"
) -> Whitening:
    """Factor the second moment of the keys, C = E[k kᵀ].

        L Lᵀ = C + ridge · (trace(C) / d_key) · I          (ridge 0: the paper's C)

    Superposition does not depend on which whitening is taken (Cholesky, ZCA and PCA differ by a rotation); Cholesky is
    the cheapest. The ridge counts in mean eigenvalues of C, so the scale of C still cancels.

    Args:
        second_moment: (d_key, d_key), uncentred, symmetric; its lower triangle is used.
        ridge: how many mean eigenvalues to add to every eigenvalue; none by default.
        count: how many tokens the second moment was averaged over, where known: fewer than neurons that fired are
            refused at once.
        name: what errors call it, such as "the second moment of layer 3".

    Returns:
        The factor in float64 with the rank and the condition number of what was factored. Without a ridge, neurons that
        never fired (zero rows of C) are left out.

    Raises:
        RankDeficientError: C has directions that no token reached, other than silent neurons, and the ridge does not
            fill them.
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
    return whiten_symmetric(check_second_moment(second_moment, name), ridge=ridge, count=count, name=name)


def whiten_symmetric(
    matrix: Tensor, *, ridge: float = 0.0, count: int | None = None, name: str = "the second moment"
) -> Whitening:
    """`whiten` for a matrix that is finite and symmetric because of how it was made, as sums of one triangle are.

    To look whether a matrix is symmetric takes a tenth of the time of its factor (d_key 1536, one core): time that is
    well spent on anyone's matrix, and not on three of each layer that were read under a checksum. What such sums can
    still be wrong in, their diagonal, is checked here too.

    Args:
        matrix: (d_key, d_key) float64.
        ridge: see `whiten`, as are the rest and what is raised.
        count: see there.
        name: see there.
    """
    check_diagonal(matrix, name)
    ridge = check_ridge(ridge)
    support = matrix.diagonal() > 0
    if ridge > 0:
        support = torch.ones_like(support)
    silent = int((~support).sum())
    if silent:
        matrix = matrix[support][:, support]
    dim = len(matrix)
    if ridge == 0 and count is not None and count < dim:
        raise RankDeficientError(
            f"{name} saw {count} tokens but has d_key={dim + silent}, so its rank is at most {count}; "
            f"collect it over at least {dim} tokens (better many times that), or pass a ridge"
        )
    factored = cholesky_factor(matrix, terms=dim) if dim else Singular(rank=0, lowest=0.0)
    if isinstance(factored, Singular):
        _refuse_negative(factored.lowest, matrix, name)
    rank = factored.rank if isinstance(factored, Singular) else dim
    if ridge > 0:
        factored = cholesky_factor(add_ridge(matrix, ridge), terms=dim)
    if isinstance(factored, Singular):
        raise RankDeficientError(f"{name} {_deficiency(rank, dim, silent, ridge)}")
    return Whitening(factored.factor, support, rank, factored.condition_number, ridge, name)


def add_ridge(matrix: Tensor, ridge: float) -> Tensor:
    """A second moment with so many mean eigenvalues added to every eigenvalue; itself where the ridge is 0."""
    if ridge == 0:
        return matrix
    lifted = matrix.clone()
    lifted.diagonal().add_(ridge * matrix.diagonal().mean())
    return lifted


def check_ridge(ridge: Any) -> float:
    """A ridge as a float.

    Raises:
        InputError: negative, infinite or NaN, or no number.
    """
    expected = "a finite number of mean eigenvalues, 0 or more"
    number = real_number("ridge", ridge, expected)
    if number < 0:
        raise InputError(f"ridge is {ridge}; expected {expected}")
    return number


def _refuse_negative(lowest: float, matrix: Tensor, name: str) -> None:
    """Refuse a matrix that Cholesky could not factor because it is no second moment at all."""
    trace = float(matrix.trace())
    # Entries that stray by ROUNDING_OF_SUMS · √(C_ii C_jj) move no eigenvalue by more than that share of the trace.
    if lowest < -ROUNDING_OF_SUMS * trace:
        raise InputError(
            f"{name} has the eigenvalue {lowest:.3g} (trace {trace:.3g}); "
            "an uncentred second moment E[k kᵀ] has none below 0, so this matrix is something else"
        )


def _deficiency(rank: int, dim: int, silent: int, ridge: float) -> str:
    if ridge > 0:
        return f"(rank {rank}, d_key={dim}) stays singular with ridge={ridge:g}; pass a larger ridge"
    never = f" ({silent} neurons never fired)" if silent else ""
    return (
        f"has numerical rank {rank} but d_key={dim + silent}{never}, so it has no inverse; collect it over more text "
        f"(many times {dim + silent} tokens), or pass a ridge: where two neurons always fire alike, only a ridge helps"
    )
