"""ROME's update as published (Meng, Bau, Andonian, Belinkov, "Locating and Editing Factual Associations in GPT", 2022).

    Ŵ = W + Λ (C⁻¹k)ᵀ,   Λ = (v − W k) / (C⁻¹k)ᵀk                    one fact after another

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


BREAKS = {
    "rank_deficient_second_moments_are_not_inverted": "the formula has a plain inverse and says nothing of its rank",
}
"""Laws that the update breaks although its traits ask for them."""

MAY_BREAK = {
    "disturbance_is_least": "as a batch: an update that misses facts may cost more than the least that does not"
}
"""Laws that it breaks on some problems, if it is said to be what follows."""

NOT_CLAIMED = Traits(order="joint")
"""What it is not: a batch edited one after another is no joint edit."""

BREAKS_IF_CLAIMED = {
    "every_edit_holds": "later facts of a batch overwrite earlier ones where their keys overlap",
    "closed_form_joint": "G⁻¹, which undoes these overlaps, is replaced by its diagonal, one fact at a time",
    "order_of_a_batch_does_not_matter": "the last fact wins",
    "interference_is_as_predicted": "residuals are those of a stream",
    "repeating_an_edit_changes_nothing": "overwritten facts are written again",
}
"""Laws that it breaks besides if it is said to be that."""
