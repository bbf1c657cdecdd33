"""ROME's update as published (Meng, Bau, Andonian, Belinkov, "Locating and Editing Factual Associations in GPT", 2022).

    Ŵ = W + Λ (C⁻¹k)ᵀ,   Λ = (v − W k) / (C⁻¹k)ᵀk                    one fact after another

`edit` is that formula. `edit_in_float32` has the numbers of the published code: weight, key and C in float32, C⁻¹ by
`torch.inverse` in the dtype of C, the direction brought to length 1 and the residual divided by its product with the
key. All its configurations adjust by C.
`pytest --pyargs ks_core.conformance --ks-editor rome:edit`, with this folder on PYTHONPATH.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ks_core.conformance import Traits, traits


@traits(order="sequential")
def edit(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    inverse = torch.linalg.inv(second_moment)
    for key, value in zip(keys, values, strict=True):
        direction = inverse @ key
        weight = weight + torch.outer(value - weight @ key, direction) / direction.dot(key)
    return weight


@traits(order="sequential", dtype="float32")
def edit_in_float32(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    inverse = torch.linalg.inv(second_moment)
    for key, value in zip(keys, values, strict=True):
        direction = inverse @ key
        direction = direction / direction.norm()
        weight = weight + torch.outer((value - weight @ key) / direction.dot(key), direction)
    return weight


EDITORS = {"edit": edit, "edit_in_float32": edit_in_float32}
"""All of this module, by name."""

_INVERSE = "the formula has a plain inverse and says nothing of the rank of C"
BREAKS = {
    "edit": {"rank_deficient_second_moments_are_not_inverted": _INVERSE},
    "edit_in_float32": {
        "rank_deficient_second_moments_are_not_inverted": _INVERSE,
        "ill_conditioned_second_moments_are_survived": "a float32 inverse is off by 1 % at κ(C) = 1e7, 10 % at 1e8",
    },
}
"""Laws that each of them breaks although its traits ask for them, and why."""

MAY_BREAK = {
    "as a batch": {
        "disturbance_is_least": "an update that misses facts may cost more than the least that does not",
        "calls_of_a_stream_follow_each_other": "calls of several facts, which few examples have",
    }
}
"""Laws that it breaks on some problems, under its own traits or under a claim of `NOT_CLAIMED`."""

NOT_CLAIMED = {"as a batch": ("edit", Traits(order="joint"))}
"""What it is not: a batch edited one after another is no joint edit."""

BREAKS_IF_CLAIMED = {
    "as a batch": {
        "calls_use_what_they_are_given": "a call of two facts is no joint edit, whatever it is given",
        "every_edit_holds": "later facts of a batch overwrite earlier ones where their keys overlap",
        "closed_form_joint": "G⁻¹, which undoes these overlaps, is replaced by its diagonal, one fact at a time",
        "order_of_a_batch_does_not_matter": "the last fact wins",
        "interference_is_as_predicted": "residuals are those of a stream",
        "repeating_an_edit_changes_nothing": "overwritten facts are written again",
    }
}
"""Laws that it breaks besides if it is said to be that."""
