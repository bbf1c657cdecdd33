"""Which keys a change writes along, and which facts' values it moves: exact, from ΔW and the keys of the base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ks_core.data.fact import Fact
from ks_core.measurement.keys import subject_keys
from ks_core.models.loaded import LoadedModel
from ks_core.statistics.pairs import Array
from ks_core.theory.whitening import Whitening


@dataclass(frozen=True, eq=False)
class LayerChange:
    """What the change of one layer's projection does at n facts.

    Attributes:
        moved: (n,) ‖ΔW k‖ / ‖v‖, the change of the fact's value in lengths of that value, v = W k + b: what this
            layer's change alone does, at the key that the base has
        along: (n,) share of ‖ΔW‖² that lies along each fact's direction
        within: share of ‖ΔW‖² that lies within the span of the directions of the edits (of all facts where there are no
            edits)
        chance: the same of a ΔW that has nothing to do with them: their rank over d_key; at 1 they span everything
        direction: "C⁻¹k", along which closed-form edits write, where the second moment is known, else "k"
        text_length: ‖ΔW C^½‖, root mean square change of the layer's output over the text; None without one
    """

    layer: int
    moved: Array
    along: Array
    within: float
    chance: float
    direction: str
    text_length: float | None


@dataclass(frozen=True, eq=False)
class FactKeys:
    """Keys and values of n facts in one layer of the base, float64.

    Attributes:
        keys: (n, d_key)
        values: (n, d_value), what the projection puts out, with its bias
    """

    keys: Tensor
    values: Tensor


def fact_keys(model: LoadedModel, layers: Sequence[int], facts: Sequence[Fact]) -> dict[int, FactKeys]:
    """Read the keys and values of facts by layer, in one pass; empty without facts.

    Raises:
        InputError: a fact whose key cannot be read.
    """
    if not facts or not layers:
        return {}
    found = {}
    for layer, keys in subject_keys(model, facts, layers).items():
        weight, bias = model.adapter.weight(layer).to("cpu", torch.float64), model.adapter.bias(layer)
        values = keys @ weight.T + (0 if bias is None else bias.to("cpu", torch.float64))
        found[layer] = FactKeys(keys, values)
    return found


def layer_change(
    layer: int, delta: Tensor, facts: FactKeys | None, edits: int, whitening: Whitening | None
) -> LayerChange:
    """Hold the change of a projection against facts.

    Args:
        layer: whose projection changed.
        delta: (d_value, d_key) float64, not zero.
        facts: their keys and values in this layer, where there are any.
        edits: how many of them, the first, are edits.
        whitening: of the layer's text, where there is one.
    """
    text_length = None if whitening is None else whitening.length(delta)
    direction = "k" if whitening is None else "C⁻¹k"
    if facts is None:
        nothing = np.zeros(0)
        return LayerChange(layer, nothing, nothing, 0.0, 0.0, direction, text_length)
    directions = facts.keys if whitening is None else whitening.solve(facts.keys)
    units = directions / directions.norm(dim=1, keepdim=True)
    basis, total = _span(units[:edits] if edits else units), delta.square().sum()
    return LayerChange(
        layer=layer,
        moved=((facts.keys @ delta.T).norm(dim=1) / facts.values.norm(dim=1)).numpy(),
        along=((units @ delta.T).square().sum(dim=1) / total).numpy(),
        within=float((basis @ delta.T).square().sum() / total),
        chance=len(basis) / delta.shape[1],
        direction=direction,
        text_length=text_length,
    )


def _span(rows: Tensor) -> Tensor:
    """Orthonormal rows with the span of unit rows, to the rounding of float64."""
    _, singular, basis = torch.linalg.svd(rows, full_matrices=False)
    kept: Tensor = basis[singular > singular[0] * max(rows.shape) * torch.finfo(torch.float64).eps]
    return kept
