"""Edits of one layer, ready to be made in any way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ks_core.data.fact import Fact
from ks_core.errors import RankDeficientError
from ks_core.measurement.cached_values import cached_target_values
from ks_core.measurement.values import TargetValues, ValueSettings
from ks_core.models.loaded import LoadedModel
from ks_core.theory.editing import Edit, joint_edit, lifelong_edits
from ks_core.theory.whitening import Whitening


@dataclass(frozen=True, eq=False)
class Wanted:
    """E edits of one layer, with their values.

    Attributes:
        layer: that is edited
        weight: (d_value, d_key) float64, unedited
        values: their keys and the values that these are to have
        target: probability per token of a new object at which the search of its value ended
        whitening: of the layer's text
    """

    facts: tuple[Fact, ...]
    layer: int
    weight: Tensor
    values: TargetValues
    target: float
    whitening: Whitening

    def alone(self) -> tuple[Tensor, Tensor]:
        """Each edit on its own, left_i right_iᵀ = δ_i (C⁻¹k_i)ᵀ / k_iᵀC⁻¹k_i: (E, d_value) and (E, d_key) float64."""
        directions = self.whitening.solve(self.values.keys)
        return self.residuals, directions / (directions * self.values.keys).sum(dim=1, keepdim=True)

    @property
    def residuals(self) -> Tensor:
        """(E, d_value) float64, how each value is to change."""
        return self.values.residuals(self.weight)

    def one_after_another(self, order: Sequence[int] | None = None) -> Edit:
        """All of them, each exact at the weight that the one before left; in their order, or in another."""
        places = list(range(len(self.facts)) if order is None else order)
        keys, values = self.values.keys[places], self.values.values[places]
        return lifelong_edits(self.weight, keys, values, self.whitening).edit

    def jointly(self) -> Edit | None:
        """All at once, so that none disturbs another; None where their keys depend on one another."""
        try:
            return joint_edit(self.weight, self.values.keys, self.values.values, self.whitening)
        except RankDeficientError:
            return None


def wanted_edits(
    model: LoadedModel,
    facts: tuple[Fact, ...],
    layer: int,
    whitening: Whitening,
    search: ValueSettings,
    values: TargetValues | None = None,
) -> Wanted:
    """Search the values of edits in a layer, cached, unless they are given.

    Args:
        model: unedited.
        facts: E edits.
        layer: to edit.
        whitening: of the layer's text.
        search: how values are searched.
        values: of the edits in this layer, where they were searched already.

    Raises:
        InputError: as `target_values`.
    """
    found = cached_target_values(model, facts, layer, search) if values is None else values
    weight = model.adapter.weight(layer).to("cpu", torch.float64)
    return Wanted(facts, layer, weight, found, search.target_probability, whitening)
