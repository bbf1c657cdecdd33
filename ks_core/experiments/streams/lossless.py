"""Lossless editing on real weights: the same edits with their keys as they are, and made orthogonal."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ks_core.experiments.streams.stream import EditStreams
from ks_core.measurement.keys import subject_keys
from ks_core.models.editing import module_change, promoted
from ks_core.models.loaded import LoadedModel
from ks_core.statistics.pairs import Array
from ks_core.theory.editing import lifelong_edits
from ks_core.theory.whitening import Whitening


@dataclass(frozen=True, eq=False)
class Losslessness:
    """How far a stream of lifelong edits moved values it was not for, in root mean squares of its residuals.

    Attributes:
        as_they_are: (m,) ‖Δ_o‖ at each bystander, keys as the model has them
        orthogonal: (m,) the same with edited keys and bystanders made orthogonal in the whitened space, lengths kept;
            in float64
        orthogonal_in_own_dtype: (m,) the same with the module in the model's own dtype
    """

    layer: int
    edits: int
    as_they_are: Array
    orthogonal: Array
    orthogonal_in_own_dtype: Array


def losslessness(model: LoadedModel, whitening: Whitening, streams: EditStreams) -> Losslessness:
    """Make the stream's edits one after another on the real module, with real keys and with orthogonal ones.

    Edits ask for the same changes of value in both cases. Where key space has fewer directions than there are keys,
    the last bystanders are left out.

    Args:
        model: unedited; it is edited inside and restored.
        whitening: of the stream's layer.
        streams: whose edits, values and bystanders are taken.
    """
    count = len(streams.edits)
    room = max(0, len(whitening.factor) - count)
    bystanders = subject_keys(model, streams.bystanders[:room], [streams.layer])[streams.layer]
    keys = torch.cat([streams.values.keys, bystanders])
    turned = orthogonalised(keys, whitening)
    with promoted(model.adapter, streams.layer):
        as_they_are, orthogonal = (_moved(model, streams, of, whitening) for of in (keys, turned))
    in_own_dtype = _moved(model, streams, turned, whitening)
    return Losslessness(streams.layer, count, as_they_are, orthogonal, in_own_dtype)


def orthogonalised(keys: Tensor, whitening: Whitening) -> Tensor:
    """The nearest keys that are orthogonal in the whitened space, each as long there as before.

    Whitened rows A = D Â become D (Â Âᵀ)^-½ Â, the polar factor of the unit rows (Löwdin): it favours no row.

    Args:
        keys: (n, d_key), linearly independent.
        whitening: of the layer.

    Returns:
        (n, d_key) float64.
    """
    rows = whitening.whiten(keys)
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    left, _, right = torch.linalg.svd(rows / lengths, full_matrices=False)
    return whitening.unwhiten(lengths * (left @ right))


def _moved(model: LoadedModel, streams: EditStreams, keys: Tensor, whitening: Whitening) -> Array:
    weight = model.adapter.weight(streams.layer).to("cpu", torch.float64)
    own, bystanders = keys[: len(streams.edits)], keys[len(streams.edits) :]
    edits = lifelong_edits(weight, own, own @ weight.T + streams.wanted, whitening)
    change = module_change(model.adapter, streams.layer, edits.edit.delta(), bystanders)
    moved: Array = (change.norm(dim=1) / edits.residuals.square().sum(dim=1).mean().sqrt()).numpy()
    return moved
