"""MEMIT's update as published (Meng, Sharma, Andonian, Belinkov, Bau, "Mass-Editing Memory in a Transformer", 2023).

    Δ = R K₁ᵀ (C₀ + K₁K₁ᵀ)⁻¹,   C₀ = λ E[k kᵀ],   λ = 15,000          all facts at once, on one layer

Columns in the paper are rows here. The paper spreads R over several layers; each of them makes this update.
`pytest --pyargs ks_core.conformance --ks-editor memit:edit`, with this folder on PYTHONPATH.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ks_core.conformance import Traits, traits

LAMBDA = 15_000.0


@traits(order="joint", ridge=LAMBDA)
def edit(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    residuals = values - keys @ weight.T
    directions = torch.linalg.solve(LAMBDA * second_moment + keys.T @ keys, keys.T).T
    return weight + residuals.T @ directions


BREAKS = {
    "rank_deficient_second_moments_are_not_inverted": "the formula has a plain inverse and says nothing of its rank",
}
"""Laws that the update breaks although its traits ask for them."""

NOT_CLAIMED = Traits(order="joint")
"""What it is not: exact."""

_GIVES_WAY = "with λ > 0 every fact gives way to the text, and is met only in part"
BREAKS_IF_CLAIMED = {
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
    "scale_of_the_second_moment_cancels": "λ multiplies C: a sum for a mean is another λ",
}
"""Laws that it breaks besides if it is said to be that."""
