"""Interference of an edit: predicted from P and residuals, and measured on the module."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ks_core.experiments.streams.agreement import Agreement, agreement
from ks_core.models.adapter import Adapter
from ks_core.models.editing import module_change
from ks_core.theory.editing import Edit
from ks_core.theory.interference import predicted_at_edits, predicted_original
from ks_core.theory.key_spaces import KeySpace
from ks_core.theory.superposition import superposition


@dataclass(frozen=True, eq=False)
class Interference:
    """Δ_o at bystanders and protected facts and Δ_e at the edits, predicted from P and residuals, and measured."""

    bystanders: Agreement
    protected: Agreement
    edits: Agreement


@dataclass(frozen=True, eq=False)
class StreamKeys:
    """One row per key of a stream, in any coordinates: the keys themselves, keys in a space, or changes at them.

    Attributes:
        edits: (n, d)
        bystanders: (M, d)
        protected: (M', d)
    """

    edits: Tensor
    bystanders: Tensor
    protected: Tensor

    def first(self, count: int) -> StreamKeys:
        """The same with the first so many edits."""
        return StreamKeys(self.edits[:count], self.bystanders, self.protected)

    def within(self, space: KeySpace) -> StreamKeys:
        """The keys in the coordinates of a space, whitened once for all that is read off them."""
        return self.split(space.whiten(self.together))

    @property
    def together(self) -> Tensor:
        """All rows."""
        return torch.cat([self.edits, self.bystanders, self.protected])

    def split(self, rows: Tensor) -> StreamKeys:
        """Other rows of the same keys, in the order of `together`."""
        return StreamKeys(*torch.split(rows, [len(self.edits), len(self.bystanders), len(self.protected)]))


def predicted_changes(edit: Edit, keys: StreamKeys, rows: StreamKeys, wanted: Tensor) -> StreamKeys:
    """Δ_e and Δ_o from P and from what each edit writes.

    Args:
        edit: of n edits.
        keys: of the same n edits, as they are.
        rows: the same in the space that the edit was made in.
        wanted: (n, d_value), v_i − W_0 k_i.

    Returns:
        Changes of values, (·, d_value) float64.
    """
    written = edit.written(keys.edits)
    onto = [predicted_original(superposition(rows.edits, of), written) for of in (rows.bystanders, rows.protected)]
    return StreamKeys(predicted_at_edits(superposition(rows.edits), written, wanted), *onto)


def measured_changes(adapter: Adapter, layer: int, delta: Tensor, keys: StreamKeys, wanted: Tensor) -> StreamKeys:
    """The same, read off the real module before and with the edit; at the edits, less what was wanted."""
    moved = keys.split(module_change(adapter, layer, delta, keys.together))
    return StreamKeys(moved.edits - wanted, moved.bystanders, moved.protected)


def compared(predicted: StreamKeys | None, measured: StreamKeys) -> Interference:
    """Prediction and measurement side by side; no prediction where the space of the edit is not known."""
    parts = ("bystanders", "protected", "edits")
    return Interference(
        *(agreement(None if predicted is None else getattr(predicted, part), getattr(measured, part)) for part in parts)
    )
