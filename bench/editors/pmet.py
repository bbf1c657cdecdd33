"""PMET's update as published (Li, Li, Song, Yang, Ma, Yu, "PMET: Precise Model Editing in a Transformer", 2024).

    Δ = r R K₁ᵀ (C₀ + K₁K₁ᵀ)⁻¹,   C₀ = λ E[k kᵀ],   r = 1/√L           all facts at once, on one layer

MEMIT's update but for r: with `left` layers to go, the square root of their number divides the residual, so that early
layers write more than an equal part. λ is 6,000 for GPT-J and 15,000 for GPT-NeoX in its authors' configurations,
15,000 in all of EasyEdit's. The published code inverts in float64.
`pytest --pyargs ks_core.conformance --ks-editor pmet:first_of_six`, with this folder on PYTHONPATH.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ks_core.conformance import Traits, traits

LAMBDA = 6_000.0
LAYERS = 6  # of GPT-J

Edit = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def at_layer(left: int, weight_of_text: float = LAMBDA) -> Edit:
    """The update of a layer with `left` layers to go, itself among them; `weight_of_text` is λ."""

    @traits(order="joint", ridge=weight_of_text, share=left**-0.5)
    def edit(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
        residuals = (values - keys @ weight.T) / left**0.5
        return weight + residuals.T @ keys @ torch.linalg.inv(keys.T @ keys + weight_of_text * second_moment)

    return edit


first_of_six = at_layer(LAYERS)

EDITORS = {"first_of_six": first_of_six}
"""All of this module, by name."""

BREAKS = {
    "first_of_six": {
        "rank_deficient_second_moments_are_not_inverted": "the formula has a plain inverse and says nothing of its rank"
    }
}
"""Laws that each of them breaks although its traits ask for them, and why."""

MAY_BREAK: dict[str, dict[str, str]] = {}
"""Laws that it breaks on some problems, under its own traits or under a claim of `NOT_CLAIMED`."""

NOT_CLAIMED = {"an equal part": ("first_of_six", Traits(order="joint", ridge=LAMBDA, share=1 / LAYERS))}
"""What it is not: MEMIT."""

_MORE = "√6 times an equal part is written"
BREAKS_IF_CLAIMED = {
    "an equal part": {
        "single_edit_is_the_formula": _MORE,
        "closed_form_ridge": _MORE,
        "share_of_the_residual_is_as_claimed": _MORE,
        "square_weights_are_not_transposed": _MORE,
        "interference_is_as_predicted": _MORE,
        "disturbance_is_least": _MORE,
        "float32_agrees_with_exact_arithmetic": _MORE,
        "ill_conditioned_second_moments_are_survived": _MORE,
        "calls_of_a_stream_follow_each_other": _MORE,
        "calls_use_what_they_are_given": _MORE,
    }
}
"""Laws that it breaks besides if it is said to be that."""
