"""MEMIT's update as published (Meng, Sharma, Andonian, Belinkov, Bau, "Mass-Editing Memory in a Transformer", 2023).

    Δ = r R K₁ᵀ (C₀ + K₁K₁ᵀ)⁻¹,   C₀ = λ E[k kᵀ]                      all facts at once, on one layer

Columns in the paper are rows here. λ is 15,000, and 20,000 for GPT-2 XL. Facts are spread over L layers, one after
another, and each writes an equal part of what is still missing: r = 1/L, 1/(L − 1), …, 1. `edit` is the last of them;
`at_layer(left)` the one with `left` layers to go, itself among them. The published code solves in float64.
`pytest --pyargs ks_core.conformance --ks-editor memit:edit`, with this folder on PYTHONPATH.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ks_core.conformance import Traits, traits

LAMBDA = 15_000.0
LAMBDA_GPT2_XL = 20_000.0
LAYERS = 5

Edit = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def at_layer(left: int, weight_of_text: float = LAMBDA) -> Edit:
    """The update of a layer with `left` layers to go, itself among them; `weight_of_text` is λ."""

    @traits(order="joint", ridge=weight_of_text, share=1 / left)
    def edit(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
        residuals = (values - keys @ weight.T) / left
        directions = torch.linalg.solve(weight_of_text * second_moment + keys.T @ keys, keys.T).T
        return weight + residuals.T @ directions

    return edit


edit = at_layer(1)
first_of_five = at_layer(LAYERS)
first_of_five_gpt2_xl = at_layer(LAYERS, LAMBDA_GPT2_XL)

EDITORS = {"edit": edit, "first_of_five": first_of_five, "first_of_five_gpt2_xl": first_of_five_gpt2_xl}
"""All of this module, by name."""

_SINGULAR = {
    "rank_deficient_second_moments_are_not_inverted": "the formula has a plain inverse and says nothing of its rank"
}
BREAKS = dict.fromkeys(EDITORS, _SINGULAR)
"""Laws that each of them breaks although its traits ask for them, and why."""

MAY_BREAK: dict[str, dict[str, str]] = {}
"""Laws that it breaks on some problems, under its own traits or under a claim of `NOT_CLAIMED`."""

NOT_CLAIMED = {
    "exact": ("edit", Traits(order="joint")),
    "all of the residual": ("first_of_five", Traits(order="joint", ridge=LAMBDA)),
}
"""What it is not: exact, nor on a layer before the last the whole edit."""

_GIVES_WAY = "with λ > 0 every fact gives way to the text, and is met only in part"
_PART = "a fifth of the residual is written"
BREAKS_IF_CLAIMED = {
    "exact": {
        "last_edit_is_exact": _GIVES_WAY,
        "every_edit_holds": _GIVES_WAY,
        "single_edit_is_the_formula": _GIVES_WAY,
        "closed_form_joint": _GIVES_WAY,
        "square_weights_are_not_transposed": _GIVES_WAY,
        "orthogonal_keys_are_edited_without_loss": _GIVES_WAY,
        "interference_is_as_predicted": _GIVES_WAY,
        "float32_agrees_with_exact_arithmetic": _GIVES_WAY,
        "ill_conditioned_second_moments_are_survived": _GIVES_WAY,
        "repeating_an_edit_changes_nothing": "what was not met the first time is tried again",
        "calls_of_a_stream_follow_each_other": _GIVES_WAY,
        "calls_use_what_they_are_given": _GIVES_WAY,
        "scale_of_the_second_moment_cancels": "λ multiplies C: a sum for a mean is another λ",
    },
    "all of the residual": {
        "single_edit_is_the_formula": _PART,
        "closed_form_ridge": _PART,
        "square_weights_are_not_transposed": _PART,
        "interference_is_as_predicted": _PART,
        "disturbance_is_least": _PART,
        "float32_agrees_with_exact_arithmetic": _PART,
        "ill_conditioned_second_moments_are_survived": _PART,
        "calls_of_a_stream_follow_each_other": _PART,
        "calls_use_what_they_are_given": _PART,
    },
}
"""Laws that it breaks besides if it is said to be that."""
