"""Where an edit may write: all of key space, only what protected keys do not see, or only what the text hardly uses.

Every method of editing makes its update along directions that are linear in the edited key, M k with M positive
semidefinite, so the interference of an edit is P[i, j] = k_iᵀ M k_j / k_iᵀ M k_i whatever M is. `Whitening` has
M = C⁻¹, the paper's; the two spaces here restrict it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ks_core.arrays import as_float64
from ks_core.errors import InfeasibleEditError, InputError
from ks_core.theory.cholesky import EPS
from ks_core.theory.second_moment import check_second_moment
from ks_core.theory.whitening import Whitening


class KeySpace(Protocol):
    """Coordinates of keys whose inner products are an edit's reach: ⟨whiten(a), whiten(b)⟩ = ⟨a, solve(b)⟩ = aᵀ M b."""

    def whiten(self, keys: Any) -> Tensor:
        """Coordinates of any keys, (n, d_key) → (n, r) float64."""

    def solve(self, keys: Any) -> Tensor:
        """Directions M k that edits of these keys write along, (n, d_key) → (n, d_key) float64."""


@dataclass(frozen=True, eq=False)
class ProtectedWhitening:
    """The whitened space without the span of protected keys: M = C⁻¹ − C⁻¹Kᵀ (K C⁻¹ Kᵀ)⁻¹ K C⁻¹, rows of K protected.

    Attributes:
        whitening: of the layer.
        basis: (rank, r) float64, orthonormal rows that span the whitened protected keys.
    """

    whitening: Whitening
    basis: Tensor

    def whiten(self, keys: Any) -> Tensor:
        """Whitened keys less their part in the protected span, (n, r) float64; zero for a protected key."""
        return self._free(self.whitening.whiten(keys))

    def solve(self, keys: Any) -> Tensor:
        """Directions that no protected key sees, (n, d_key) float64.

        Raises:
            InfeasibleEditError: a key lies in the protected span, so that it cannot change while they stay.
        """
        whitened = self.whitening.whiten(keys)
        free = self._free(whitened)
        _refuse_bound(_share(free, whitened), width=free.shape[1], span=f"{len(self.basis)} protected directions")
        return self.whitening.directions(free)

    def freedom(self, keys: Any) -> Tensor:
        """Share of each key's squared whitened length that is outside the protected span, (n,) float64 in [0, 1].

        It is the price of protection: an edit of the same size at its own key is 1 / √freedom as long in ‖ΔW C^½‖, and
        impossible at 0. It is sin² of the whitened angle to the span.
        """
        whitened = self.whitening.whiten(keys)
        return _share(self._free(whitened), whitened)

    def _free(self, rows: Tensor) -> Tensor:
        """Whitened rows less their part in the protected span."""
        for _ in range(2):  # once leaves rounding of the part that is taken away, which may be far larger than the rest
            rows = rows - (rows @ self.basis.T) @ self.basis
        return rows


@dataclass(frozen=True, eq=False)
class NullSpace:
    """The directions of key space that the text hardly uses: M = U Uᵀ, U the eigenvectors of C's small eigenvalues.

    Attributes:
        basis: (r, d_key) float64, orthonormal rows.
        variance: share of the trace of C that lies in these directions: what "null" leaves of the text.
    """

    basis: Tensor
    variance: float

    def whiten(self, keys: Any) -> Tensor:
        """Coordinates along the basis, (n, r) float64."""
        return as_float64("keys", keys, ndim=2) @ self.basis.T

    def solve(self, keys: Any) -> Tensor:
        """The keys' parts in the null space, (n, d_key) float64.

        Raises:
            InfeasibleEditError: a key has no part in the null space.
        """
        _refuse_bound(self.freedom(keys), width=self.basis.shape[1], span=f"{len(self.basis)} null directions")
        return self.whiten(keys) @ self.basis

    def freedom(self, keys: Any) -> Tensor:
        """Share of each key's squared length that is in the null space, (n,) float64 in [0, 1]."""
        return _share(self.whiten(keys), as_float64("keys", keys, ndim=2))


def protect(whitening: Whitening, keys: Any) -> ProtectedWhitening:
    """Keep the values at given keys: no edit made in the space that is returned changes them.

        direction of an edit of k:   C⁻¹k − C⁻¹Kᵀ (K C⁻¹ Kᵀ)⁻¹ K C⁻¹k,   C⁻¹-orthogonal to every protected key

    So P from any edited key to a protected one is zero by construction, and of all updates that give an edited key its
    value and leave the protected ones, each has the least E‖ΔW x‖² over the text. What it costs is `freedom`, and the
    other keys pay for it: a longer update disturbs them more.

    Args:
        whitening: of the layer.
        keys: (m, d_key), the keys to protect; repeated and dependent ones are allowed.

    Returns:
        A space to edit in, with `lifelong_edits` or `joint_edit`. Joint edits protect one another as well.

    Raises:
        InfeasibleEditError: the keys span all of key space, so that nothing could be edited.
        InputError: a zero key, or keys of another width than the second moment.

    Numerics:
        O(m d_key min(m, d_key) + m d_key²).

    Example:
        >>> from ks_core.theory.whitening import whiten
        >>> space = protect(whiten([[1.0, 0.0], [0.0, 1.0]]), keys=[[1.0, 0.0]])
        >>> space.freedom([[1.0, 1.0], [0.0, 3.0]])
        tensor([0.5000, 1.0000], dtype=torch.float64)
    """
    basis = leading_directions(whitening, keys, "protected key")
    rank, width = basis.shape
    if rank == width:
        raise InfeasibleEditError(
            f"the {len(keys)} protected keys span all {rank} directions of key space, so no edit is possible; "
            "protect fewer keys"
        )
    return ProtectedWhitening(whitening, basis)


def leading_directions(whitening: Whitening, keys: Any, name: str) -> Tensor:
    """Orthonormal rows that span the whitened keys, those that most of the keys share first, (rank, r) float64.

    Args:
        whitening: of the layer.
        keys: (m, d_key); each counts as much, whatever its length.
        name: what an error calls one of them.

    Raises:
        InputError: a zero key, or keys of another width than the second moment.
    """
    white = whitening.whiten(keys)
    lengths = torch.linalg.vector_norm(white, dim=1, keepdim=True)
    if not bool((lengths > 0).all()):
        raise InputError(f"{name} {int(lengths.argmin())} is zero; no edit changes its value: leave it out")
    # Unit rows, so that a short key counts as much as a long one when the rank is decided.
    _, singular, basis = torch.linalg.svd(white / lengths, full_matrices=False)
    # Whitening multiplies the rounding of keys by up to the root of the condition number.
    rounding = EPS * max(white.shape) * whitening.condition_number**0.5
    rank = int((singular > rounding * singular[0]).sum())
    leading: Tensor = basis[:rank]
    return leading


NULL_VARIANCE = 0.1
"""Share of the text's variance that a null space may hold unless another cut is asked for."""

ALPHAEDIT_EIGENVALUE = 0.02
"""Where AlphaEdit's own code cuts the second moment, in every model (`nullspace_threshold`; its ridge `L2` is 10)."""


def null_space(second_moment: Any, *, variance: float | None = None, eigenvalue: float | None = None) -> NullSpace:
    """Find the directions of key space that hold little of the text, AlphaEdit's null space of preserved knowledge.

        U = the most eigenvectors of C whose eigenvalues, the smallest ones, sum to at most variance · trace(C)
        U = all eigenvectors of C whose eigenvalues are below `eigenvalue`                  (as AlphaEdit cuts, at 0.02)

    AlphaEdit's update (Fang et al. 2025, arXiv 2410.02355), with the keys of all earlier batches in K_p,

        ΔW = R K₁ᵀ P (K_p K_pᵀ P + K₁ K₁ᵀ P + L2 · I)⁻¹,   P = U Uᵀ

    is recursive least squares, so after any number of batches W is `joint_edit` of all edits so far in this space with
    ridge L2 (1 in the paper, 10 in its code), in whatever batches and order they came.

    Args:
        second_moment: (d_key, d_key), uncentred, symmetric.
        variance: the largest share of the text's variance that may be left in the space; 0.1 where neither is given.
        eigenvalue: instead of a share, where to cut, in units of C. It means something else in each model: where no
            eigenvalue is small, nothing is below it, and where all are, the space is all of key space. The share that
            is returned says how much the text uses it.

    Returns:
        The space, with the share it holds.

    Raises:
        InfeasibleEditError: the smallest eigenvalue alone is more than that share, or is not below the cut.
        InputError: a matrix that is no second moment, a share that is not between 0 and 1, a cut that is not above 0,
            or both of them.

    Numerics:
        O(d_key³), one symmetric eigendecomposition.

    Example:
        >>> space = null_space([[1.0, 0.0], [0.0, 0.001]])
        >>> space.basis.abs(), round(space.variance, 6)
        (tensor([[0., 1.]], dtype=torch.float64), 0.000999)
        >>> null_space([[1.0, 0.0], [0.0, 0.01]], eigenvalue=ALPHAEDIT_EIGENVALUE).basis.abs()
        tensor([[0., 1.]], dtype=torch.float64)
    """
    variance = _check_cut(variance, eigenvalue)
    eigenvalues, vectors = torch.linalg.eigh(check_second_moment(second_moment))
    shares = eigenvalues.clamp(min=0).cumsum(dim=0) / eigenvalues.clamp(min=0).sum()
    inside = shares <= variance if eigenvalue is None else eigenvalues < eigenvalue
    size = int(inside.sum())
    if size == 0 and eigenvalue is None:
        raise InfeasibleEditError(
            f"the smallest eigenvalue of the second moment holds {float(shares[0]):.3g} of its trace; expected at most "
            f"{variance:g}: there is no null space, pass a larger share"
        )
    if size == 0:
        raise InfeasibleEditError(
            f"the smallest eigenvalue of the second moment is {float(eigenvalues[0]):.3g}; expected less than "
            f"{eigenvalue:g}: there is no null space, pass a larger eigenvalue"
        )
    return NullSpace(vectors[:, :size].T.contiguous(), float(shares[size - 1]))


def _check_cut(variance: float | None, eigenvalue: float | None) -> float:
    """The share that may be left, where that is what cuts."""
    if variance is not None and eigenvalue is not None:
        raise InputError(f"variance is {variance} and eigenvalue is {eigenvalue}; expected one of them: leave one out")
    if eigenvalue is not None and not 0 < eigenvalue < float("inf"):
        raise InputError(f"eigenvalue is {eigenvalue}; expected a finite number above 0, in units of the second moment")
    variance = NULL_VARIANCE if variance is None else variance
    if not 0 < variance < 1:
        raise InputError(f"variance is {variance}; expected a share of the text's variance, between 0 and 1")
    return variance


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return (part.square().sum(dim=1) / whole.square().sum(dim=1)).clamp(max=1.0)  # rounding may take it past 1


def _refuse_bound(freedom: Tensor, *, width: int, span: str) -> None:
    """Refuse keys whose free part is mostly rounding.

    A projection in `width` dimensions leaves rounding of about width · eps of the key's length. Where the free part is
    less than width · √eps of it, fewer than half of the direction's digits are right.
    """
    least = width**2 * EPS
    for edit in torch.nonzero(~(freedom >= least)).flatten().tolist()[:1]:
        raise InfeasibleEditError(
            f"edit {edit} cannot be made with these {span}: {float(freedom[edit]):.2g} of its key's squared length is "
            f"free to write along; expected more than {least:.2g}, the rounding: protect fewer keys, or drop this edit"
        )
