"""Edits of a linear associative memory in closed form: one, a lifelong stream, and several at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ks_core.arrays import as_float64, finite
from ks_core.errors import InputError, RankDeficientError
from ks_core.theory.cholesky import Singular, cholesky_factor
from ks_core.theory.key_spaces import KeySpace


@dataclass(frozen=True, eq=False)
class Edit:
    """A change of the weight, kept as two thin factors: ΔW = left @ right.

    Attributes:
        left: (d_value, n) float64, what is written.
        right: (n, d_key) float64, where it is written: which keys will read it.
    """

    left: Tensor
    right: Tensor

    def __post_init__(self) -> None:
        if self.left.ndim != 2 or self.right.ndim != 2 or self.left.shape[1] != self.right.shape[0]:
            raise InputError(
                f"an edit's factors have shapes {tuple(self.left.shape)} and {tuple(self.right.shape)}; "
                "expected (d_value, n) and (n, d_key)"
            )

    def delta(self) -> Tensor:
        """Return ΔW, dense, (d_value, d_key) float64."""
        return self.left @ self.right

    def written(self, keys: Any) -> Tensor:
        """Return what each edit writes at its own key, left_i ⟨right_i, k_i⟩, (n, d_value) float64.

        For lifelong edits these are the residuals δ_i. With them, Δ_o[j] = Σ_i P[i, j] written_i for any method, P
        taken in the space that the edits were made in.

        Args:
            keys: (n, d_key), of the edits, in their order.
        """
        rows = as_float64("keys", keys, ndim=2)
        if rows.shape != self.right.shape:
            raise InputError(f"keys have shape {tuple(rows.shape)}; expected {tuple(self.right.shape)}, one per edit")
        return (self.left * (self.right * rows).sum(dim=1)).T

    def apply(self, weight: Any) -> Tensor:
        """Return the edited weight W + ΔW, (d_value, d_key) float64; the one given stays as it was."""
        before = as_float64("weight", weight, ndim=2)
        expected = (self.left.shape[0], self.right.shape[1])
        if tuple(before.shape) != expected:
            raise InputError(f"weight has shape {tuple(before.shape)} but the edit was made for {expected}")
        return torch.addmm(before, self.left, self.right)


@dataclass(frozen=True, eq=False)
class EditTerms:
    """What the closed forms need of n edits, row by row: edits can be added or taken out, and the form be taken anew.

    Neither the weight nor the second moment is in it, so no edit has to be measured again when others come or go.

    Attributes:
        keys: (n, d_key) float64, in the order of the edits.
        residuals: (n, d_value) float64, at the unedited weight: v_i − W_0 k_i.
        directions: (n, d_key) float64, where they write: M k_i, C⁻¹k_i where all of key space is free.
    """

    keys: Tensor
    residuals: Tensor
    directions: Tensor

    def __post_init__(self) -> None:
        shapes = [tuple(rows.shape) for rows in (self.keys, self.residuals, self.directions)]
        if self.keys.ndim != 2 or self.residuals.ndim != 2 or shapes[0] != shapes[2] or shapes[0][0] != shapes[1][0]:
            raise InputError(
                f"keys, residuals and directions have shapes {shapes[0]}, {shapes[1]} and {shapes[2]}; expected "
                "(n, d_key), (n, d_value) and (n, d_key)"
            )

    def __len__(self) -> int:
        return len(self.keys)

    def at(self, places: Sequence[int]) -> EditTerms:
        """The edits at these places, in the order of the places."""
        chosen = list(places)
        return EditTerms(self.keys[chosen], self.residuals[chosen], self.directions[chosen])

    def then(self, later: EditTerms) -> EditTerms:
        """These edits, and after them those of `later`, made for the same weight in the same space."""
        pairs = ((self.keys, later.keys), (self.residuals, later.residuals), (self.directions, later.directions))
        return EditTerms(*(torch.cat(pair) for pair in pairs))


@dataclass(frozen=True, eq=False)
class LifelongEdits:
    """A stream of n edits, each made at the weight that the one before left.

    Attributes:
        residuals: (n, d_value) float64, δ_i = v_i − W_{i−1} k_i.
        edit: all n edits together, W_n − W_0; column i of its left and row i of its right factor are edit i.
    """

    residuals: Tensor
    edit: Edit


def single_edit(weight: Any, key: Any, value: Any, space: KeySpace) -> Edit:
    """Give one key a new value with the least disturbance of all others.

        ΔW = (v − W k) (C⁻¹k)ᵀ / kᵀC⁻¹k              (Hu et al. 2025; the update of ROME)

    Of all ΔW with (W + ΔW) k = v it is the one with the least E‖ΔW x‖² = ‖ΔW C^½‖² over the keys x of the text.

    Args:
        weight: (d_value, d_key).
        key: (d_key,).
        value: (d_value,), the value that the key shall have.
        space: where edits write: the layer's `Whitening`, or one that is `protect`ed or a `null_space`.

    Returns:
        An edit of rank 1.

    Raises:
        InputError: a zero key, or shapes that do not fit each other.

    Example:
        >>> from ks_core.theory.whitening import whiten
        >>> edit = single_edit([[1.0, 0.0]], key=[1.0, 1.0], value=[3.0], space=whiten([[4.0, 0.0], [0.0, 1.0]]))
        >>> edit.delta()
        tensor([[0.4000, 1.6000]], dtype=torch.float64)
    """
    row = as_float64("key", key, ndim=1)[None, :]
    target = as_float64("value", value, ndim=1)[None, :]
    return lifelong_edits(weight, row, target, space).edit


def lifelong_edits(weight: Any, keys: Any, values: Any, space: KeySpace) -> LifelongEdits:
    """Make n edits one after another, each at the weight the last one left, as one triangular solve.

        W_n = W_0 + Σ_{i≤n} δ_i (C⁻¹k_i)ᵀ / k_iᵀC⁻¹k_i,   δ_i = v_i − W_{i−1} k_i      (Hu et al. 2025)
        δ_i + Σ_{l<i} P[l, i] δ_l = v_i − W_0 k_i                                      (forward substitution)

    A key may come back later in the stream; its last value then holds.

    Args:
        weight: (d_value, d_key), W_0.
        keys: (n, d_key), in the order of the edits.
        values: (n, d_value), the value that each key shall have.
        space: where edits write: the layer's `Whitening`, or one that is `protect`ed or a `null_space`.

    Returns:
        The residuals and the edits as factors, from which every W_i can be had.

    Raises:
        InputError: a zero key, or shapes that do not fit each other.

    Numerics:
        O(n d_key² + n² (d_key + d_value)). Each edit holds to about eps · √condition_number, not eps ·
        condition_number, because P is taken from the very directions that are written.

    Example:
        >>> from ks_core.theory.whitening import whiten
        >>> identity = whiten([[1.0, 0.0], [0.0, 1.0]])
        >>> stream = lifelong_edits([[0.0, 0.0]], [[1.0, 0.0], [1.0, 1.0]], [[2.0], [5.0]], identity)
        >>> stream.residuals
        tensor([[2.],
                [3.]], dtype=torch.float64)
    """
    return lifelong_edits_of(edit_terms(weight, keys, values, space))


def lifelong_edits_of(terms: EditTerms) -> LifelongEdits:
    """`lifelong_edits` from what is known of the edits already, O(n² (d_key + d_value))."""
    overlaps = finite("the product of keys", terms.directions @ terms.keys.T)  # (n, n), [l, i] = k_lᵀ C⁻¹ k_i
    norms_squared = overlaps.diagonal()
    superposition = overlaps / norms_squared[:, None]
    # Residual i sees the edits before it: row i of Pᵀ left of the diagonal, which is 1.
    residuals = torch.linalg.solve_triangular(superposition.T, terms.residuals, upper=False, unitriangular=True)
    return LifelongEdits(residuals, Edit(finite("the edit", residuals / norms_squared[:, None]).T, terms.directions))


def joint_edit(weight: Any, keys: Any, values: Any, space: KeySpace, *, ridge: float = 0.0) -> Edit:
    """Give n keys their values all at once, so that none disturbs another.

        ΔW = Rᵀ (ridge · I + G)⁻¹ K C⁻¹,   G = K C⁻¹ Kᵀ,   R = V − K Wᵀ         (rows of K, R, V are edits)

    Without ridge every edit is exact. With one it is Rᵀ K (ridge · C + Kᵀ K)⁻¹, MEMIT's update on one layer with ridge
    as its weight of the second moment: edits give way to the rest of the text, and ΔW → 0 as ridge → ∞.

    Args:
        weight: (d_value, d_key).
        keys: (n, d_key).
        values: (n, d_value), the value that each key shall have.
        space: where edits write: the layer's `Whitening`, or one that is `protect`ed or a `null_space`.
        ridge: 0 or more, in units of G; it scales as 1 / C.

    Returns:
        An edit of rank n at most.

    Raises:
        RankDeficientError: keys that repeat or depend on each other, without a ridge that is large enough.
        InputError: a zero key, a negative ridge, or shapes that do not fit each other.

    Numerics:
        O(n d_key² + n² d_key + n³). Edits hold to about eps times the condition number of ridge · I + G.

    Example:
        >>> from ks_core.theory.whitening import whiten
        >>> identity = whiten([[1.0, 0.0], [0.0, 1.0]])
        >>> joint_edit([[0.0, 0.0]], [[1.0, 0.0], [1.0, 1.0]], [[2.0], [5.0]], identity).delta()
        tensor([[2., 3.]], dtype=torch.float64)
    """
    _check_ridge(ridge)
    return joint_edit_of(edit_terms(weight, keys, values, space), ridge=ridge)


def joint_edit_of(terms: EditTerms, *, ridge: float = 0.0) -> Edit:
    """`joint_edit` from what is known of the edits already, O(n² (d_key + d_value) + n³); the same errors."""
    _check_ridge(ridge)
    keys = terms.keys
    overlaps = finite("the product of keys", terms.directions @ keys.T)
    system = (overlaps + overlaps.T) / 2 + ridge * torch.eye(len(keys), dtype=keys.dtype, device=keys.device)
    factored = cholesky_factor(system, terms=max(keys.shape))
    if isinstance(factored, Singular):
        raise RankDeficientError(
            f"the {len(keys)} keys of a joint edit span only {factored.rank} directions (ridge={ridge:g}), so their "
            "values cannot be chosen freely; drop repeated keys, edit them one after another, or pass a larger ridge"
        )
    return Edit(finite("the edit", torch.cholesky_solve(terms.residuals, factored.factor)).T, terms.directions)


def _check_ridge(ridge: float) -> None:
    if not 0 <= ridge < float("inf"):
        raise InputError(f"ridge is {ridge}; expected a finite number, 0 or more")


def edit_terms(weight: Any, keys: Any, values: Any, space: KeySpace) -> EditTerms:
    """What the closed forms need of n edits; arguments and errors as `lifelong_edits`, O(n d_key (d_key + d_value)).

    Example:
        >>> from ks_core.theory.whitening import whiten
        >>> identity = whiten([[1.0, 0.0], [0.0, 1.0]])
        >>> one = edit_terms([[0.0, 0.0]], [[1.0, 0.0]], [[2.0]], identity)
        >>> two = one.then(edit_terms([[0.0, 0.0]], [[1.0, 1.0]], [[5.0]], identity))
        >>> joint_edit_of(two).delta()
        tensor([[2., 3.]], dtype=torch.float64)
    """
    matrix = as_float64("weight", weight, ndim=2)
    rows = as_float64("keys", keys, ndim=2)
    targets = as_float64("values", values, ndim=2)
    if rows.shape[1] != matrix.shape[1] or targets.shape[1] != matrix.shape[0]:
        raise InputError(
            f"keys have d_key={rows.shape[1]} and values d_value={targets.shape[1]}, but weight has shape "
            f"{tuple(matrix.shape)}; expected (d_value, d_key): transpose the weight if it is stored the other way"
        )
    if len(rows) != len(targets):
        raise InputError(f"{len(rows)} keys but {len(targets)} values; expected one value per key")
    zero = torch.nonzero((rows == 0).all(dim=1)).flatten().tolist()
    if zero:
        raise InputError(f"key {zero[0]} is zero; no weight gives it a value: look for a wrong token position")
    return EditTerms(rows, targets - rows @ matrix.T, space.solve(rows))
