"""AlphaEdit's update as published (Fang, Jiang, Wang, Ma, Shi, Wang, He, Chua, "AlphaEdit: Null-Space Constrained
Knowledge Editing for Language Models", 2025).

    Δ = r R K₁ᵀ P (K_pK_pᵀ P + K₁K₁ᵀ P + λ I)⁻¹,   λ = 10              a batch, after batches with keys K_p

P projects onto the null space of K₀K₀ᵀ, K₀ the keys to be kept; columns in the paper are rows here. λ is 1 in the paper
and 10 in its authors' configurations (in EasyEdit's 10 or 1). r is MEMIT's part: 1 on the last layer, which this is.
K_p makes it stateful and gives it a memory: a factory gives a fresh editor for each stream.

What is moved least is the weight, so that the metric is the identity: C is not used beyond P. Here K₀ is handed over as
`protected`, so its rank is known. The published code takes E[k kᵀ] of a text for K₀K₀ᵀ and keeps the eigenvectors with
eigenvalues below 2e-2, whatever the scale of the keys: `CutAtAConstant` does that, and so uses C.
`pytest --pyargs ks_core.conformance --ks-editor alphaedit:AlphaEdit`, with this folder on PYTHONPATH.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ks_core.conformance import Traits, traits

LAMBDA = 10.0
THRESHOLD = 2e-2


def update(weight: Tensor, keys: Tensor, values: Tensor, projector: Tensor, seen: Tensor) -> Tensor:
    """The formula, transposed; `seen` is K_pK_pᵀ."""
    system = projector @ (seen + keys.T @ keys) + LAMBDA * torch.eye(keys.shape[1], dtype=keys.dtype)
    return weight + torch.linalg.solve(system, projector @ keys.T @ (values - keys @ weight.T)).T


@traits(order="joint", ridge=LAMBDA, metric="identity", protected=True, stateful=True, remembers=True)
class AlphaEdit:
    def __init__(self) -> None:
        self.seen: Tensor | None = None

    def __call__(
        self, weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor, protected: Tensor
    ) -> Tensor:
        del second_moment  # the text counts only as what is protected
        seen = torch.zeros(2 * keys.shape[1:], dtype=keys.dtype) if self.seen is None else self.seen
        self.seen = seen + keys.T @ keys
        projector = torch.eye(keys.shape[1], dtype=keys.dtype) - torch.linalg.pinv(protected) @ protected
        return update(weight, keys, values, projector, seen)


@traits(order="joint", ridge=LAMBDA, metric="identity", stateful=True, remembers=True)
class CutAtAConstant:
    def __init__(self) -> None:
        self.seen: Tensor | None = None

    def __call__(self, weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
        eigenvalues, basis = torch.linalg.eigh(second_moment)
        small = basis[:, eigenvalues < THRESHOLD]
        seen = torch.zeros_like(second_moment) if self.seen is None else self.seen
        self.seen = seen + keys.T @ keys
        return update(weight, keys, values, small @ small.T, seen)


EDITORS = {"AlphaEdit": AlphaEdit, "CutAtAConstant": CutAtAConstant}
"""All of this module, by name."""

_CUT = "directions of large eigenvalues are closed to it, all of them or none by the scale of the keys"
BREAKS = {
    "AlphaEdit": {},
    "CutAtAConstant": {
        "second_moment_is_not_used": "P is made of C",
        "single_edit_is_the_formula": _CUT,
        "closed_form_ridge": _CUT,
        "square_weights_are_not_transposed": _CUT,
        "interference_is_as_predicted": _CUT,
        "disturbance_is_least": _CUT,
        "orthogonal_keys_are_edited_without_loss": "keys that do not overlap do where some directions are closed",
        "float32_agrees_with_exact_arithmetic": _CUT,
        "calls_of_a_stream_follow_each_other": _CUT,
        "calls_use_what_they_are_given": _CUT,
        "no_edit_of_a_call_is_left_out": "keys in closed directions are not written at all",
    },
}
"""Laws that each of them breaks although its traits ask for them, and why."""

_DIGITS = "rounding goes by kᵀk / λ, which in the metric that is claimed has no bound"
MAY_BREAK = {
    "CutAtAConstant": {
        "direction_is_whitened": "it writes along P k, where C has eigenvalues on both sides of the cut"
    },
    "whitened": {
        "change_of_value_basis_carries_over": _DIGITS,
        "rank_is_at_most_the_number_of_edits": _DIGITS,
        "protected_keys_are_untouched": _DIGITS,
        "order_of_a_batch_does_not_matter": _DIGITS,
    },
}
"""Laws that it breaks on some problems, under its own traits or under a claim of `NOT_CLAIMED`."""

NOT_CLAIMED = {
    "whitened": ("AlphaEdit", Traits(order="joint", ridge=LAMBDA, protected=True, stateful=True, remembers=True)),
    "exact": ("AlphaEdit", Traits(order="joint", metric="identity", protected=True, stateful=True)),
    "without a memory": (
        "AlphaEdit",
        Traits(order="joint", ridge=LAMBDA, metric="identity", protected=True, stateful=True),
    ),
}
"""What it is not: one that moves the text least, exact, or blind to the calls before."""

_NORM = "sizes are measured by ‖Δ‖, where these laws measure ‖Δ C^½‖"
_RIDGE = "λ keeps it from meeting any fact in full"
_MEMORY = "the keys of earlier calls count as text"
BREAKS_IF_CLAIMED = {
    "whitened": {
        "single_edit_is_the_formula": _NORM,
        "closed_form_ridge": _NORM,
        "square_weights_are_not_transposed": _NORM,
        "direction_is_whitened": "it writes along P k and not along C⁻¹k",
        "orthogonal_keys_are_edited_without_loss": "keys that C tells apart may overlap without C",
        "interference_is_as_predicted": "shares are ⟨P k_i, k_j⟩ and not k_iᵀC⁻¹k_j",
        "disturbance_is_least": _NORM,
        "change_of_key_basis_carries_over": "the identity in its ridge is another matrix in other coordinates",
        "float32_agrees_with_exact_arithmetic": _NORM,
        "ill_conditioned_second_moments_are_survived": _NORM,
        "rank_deficient_second_moments_are_not_inverted": _NORM,
        "calls_of_a_stream_follow_each_other": _NORM,
        "calls_use_what_they_are_given": _NORM,
    },
    "exact": {
        "last_edit_is_exact": _RIDGE,
        "every_edit_holds": _RIDGE,
        "single_edit_is_the_formula": _RIDGE,
        "closed_form_joint": _RIDGE,
        "square_weights_are_not_transposed": _RIDGE,
        "orthogonal_keys_are_edited_without_loss": _RIDGE,
        "interference_is_as_predicted": _RIDGE,
        "float32_agrees_with_exact_arithmetic": _RIDGE,
        "calls_of_a_stream_follow_each_other": _RIDGE,
        "calls_use_what_they_are_given": _RIDGE,
        "repeating_an_edit_changes_nothing": "what was not met the first time is tried again",
    },
    "without a memory": {
        "calls_of_a_stream_follow_each_other": _MEMORY,
        "calls_use_what_they_are_given": _MEMORY,
    },
}
"""Laws that it breaks besides if it is said to be that."""
