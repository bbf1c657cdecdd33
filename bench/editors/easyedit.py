"""ROME as EasyEdit ships it (Wang et al., "EasyEdit: An Easy-to-use Knowledge Editing Framework for LLMs", 2024).

    Ŵ = W + (v − W k) kᵀ / kᵀk                                        one fact after another

All fourteen of its configurations of ROME switch the adjustment by C off, so that C is the identity, whatever the text
was. `edit` is what it says it does; `first_of_a_batch` is what a batch given in one call gets: its first fact. (Its
editor hands facts over one at a time, so that only who calls ROME itself meets this.)
`pytest --pyargs ks_core.conformance --ks-editor easyedit:edit`, with this folder on PYTHONPATH.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ks_core.conformance import Traits, traits

METRIC = "identity"


@traits(order="sequential", metric=METRIC)
def edit(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    del second_moment  # mom2_adjustment: false
    for key, value in zip(keys, values, strict=True):
        weight = weight + torch.outer(value - weight @ key, key) / key.dot(key)
    return weight


@traits(order="sequential", metric=METRIC)
def first_of_a_batch(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    return edit(weight, keys[:1], values[:1], second_moment)


EDITORS = {"edit": edit, "first_of_a_batch": first_of_a_batch}
"""All of this module, by name."""

_DROPPED = "all facts of a call but the first are dropped"
BREAKS = {
    "edit": {},
    "first_of_a_batch": {
        "calls_use_what_they_are_given": _DROPPED,
        "last_edit_is_exact": _DROPPED,
        "no_edit_of_a_call_is_left_out": _DROPPED,
        "closed_form_sequential": _DROPPED,
        "stream_can_be_cut_anywhere": "cut in two calls, two facts are written",
        "orthogonal_keys_are_edited_without_loss": _DROPPED,
        "interference_is_as_predicted": _DROPPED,
    },
}
"""Laws that each of them breaks although its traits ask for them, and why."""

MAY_BREAK: dict[str, dict[str, str]] = {}
"""Laws that it breaks on some problems, under its own traits or under a claim of `NOT_CLAIMED`."""

NOT_CLAIMED = {"whitened": ("edit", Traits(order="sequential"))}
"""What it is not: ROME as published."""

_NORM = "the weight moves least, and not the values of the text"
BREAKS_IF_CLAIMED = {
    "whitened": {
        "calls_use_what_they_are_given": _NORM,
        "single_edit_is_the_formula": _NORM,
        "closed_form_sequential": _NORM,
        "square_weights_are_not_transposed": _NORM,
        "direction_is_whitened": "it writes along k and not along C⁻¹k",
        "orthogonal_keys_are_edited_without_loss": "keys that C tells apart may overlap without C",
        "interference_is_as_predicted": "shares are ⟨k_i, k_j⟩ and not k_iᵀC⁻¹k_j",
        "disturbance_is_least": _NORM,
        "change_of_key_basis_carries_over": "lengths of keys go by their coordinates",
        "float32_agrees_with_exact_arithmetic": _NORM,
        "ill_conditioned_second_moments_are_survived": _NORM,
        "rank_deficient_second_moments_are_not_inverted": _NORM,
    }
}
"""Laws that it breaks besides if it is said to be that."""
