"""AlphaEdit's update as published (Fang, Jiang, Wang, Ma, Shi, Wang, He, Chua, "AlphaEdit: Null-Space Constrained
Knowledge Editing for Language Models", 2025).

    Δ = R K₁ᵀ P (K_pK_pᵀ P + K₁K₁ᵀ P + I)⁻¹                            a batch, after batches with keys K_p

P projects onto the null space of K₀K₀ᵀ, K₀ the keys to be kept. The paper finds it from the eigenvalues of K₀K₀ᵀ that
are small; here K₀ is handed over as `protected`, so its rank is known. Columns in the paper are rows here. K_p makes it
stateful: a factory gives a fresh editor for each stream.
`pytest --pyargs ks_core.conformance --ks-editor alphaedit:AlphaEdit`, with this folder on PYTHONPATH.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ks_core.conformance import Traits, traits


@traits(order="joint", ridge=1.0, protected=True, stateful=True)
class AlphaEdit:
    def __init__(self) -> None:
        self.earlier: list[Tensor] = []

    def __call__(
        self, weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor, protected: Tensor
    ) -> Tensor:
        del second_moment  # the text counts only as what is protected
        identity = torch.eye(keys.shape[1], dtype=keys.dtype)
        projector = identity - torch.linalg.pinv(protected) @ protected
        seen = torch.cat([*self.earlier, keys])
        residuals = values - keys @ weight.T
        system = projector @ seen.T @ seen + identity  # the formula, transposed
        self.earlier.append(keys)
        return weight + torch.linalg.solve(system, projector @ keys.T @ residuals).T


_NORM = "sizes are measured by ‖Δ‖, where the laws measure ‖Δ C^½‖: the text's other keys count as if C were I"
BREAKS = {
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
}
"""Laws that the update breaks by design although its traits ask for them."""

_DIGITS = "P KᵀK + I has the condition number 1 + ‖P Kᵀ‖², whatever C is: 1e6 for keys of length 1,000"
MAY_BREAK = {
    "protected_keys_are_untouched": _DIGITS,
    "rank_is_at_most_the_number_of_edits": _DIGITS,
    "order_of_a_batch_does_not_matter": _DIGITS,
    "change_of_value_basis_carries_over": _DIGITS,
}
"""Laws that hold for the formula, and that rounding may break on some problems, those with long keys."""

NOT_CLAIMED = Traits(order="joint", protected=True, stateful=True)
"""What it is not: exact."""

BREAKS_IF_CLAIMED = {
    "last_edit_is_exact": "the identity in its ridge keeps it from meeting any fact in full",
    "every_edit_holds": "the identity in its ridge keeps it from meeting any fact in full",
    "closed_form_joint": _NORM,
    "repeating_an_edit_changes_nothing": "what was not met the first time is tried again",
}
"""Laws that it breaks besides if it is said to be that."""
