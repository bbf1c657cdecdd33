"""The plan of a collection, of a model in memory or of one whose config alone is read."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ks_core import arguments, defaults
from ks_core.errors import InputError, UnknownNameError
from ks_core.formatting import shown
from ks_core.measurement.moments.plan import BYTES, CUDA_CONTEXT, Kind, MomentPlan, Need, plan_moments
from ks_core.measurement.moments.resident import host_memory, resident_bytes
from ks_core.models.loaded import LoadedModel
from ks_core.models.shape import ModelShape, shape_by_name, shape_of


def plan_of_model(
    model: LoadedModel, tokens: int, layers: tuple[int, ...], *, read_at_once: int, memory: int | None = None
) -> MomentPlan:
    """What collecting from a model in memory will take; on a GPU without `memory` what is free there may be used.

    Raises:
        InputError: less memory than one layer needs.
    """
    kind: Kind = "cuda" if model.adapter.device.type == "cuda" else "cpu"
    shape = shape_of(model.model, model.name)
    weights = shape.parameters * BYTES[model.dtype]
    if kind == "cuda" and memory is None:
        memory = torch.cuda.mem_get_info(model.adapter.device)[0] + weights + CUDA_CONTEXT
    need = Need(
        tokens=tokens,
        layers=layers,
        read_at_once=read_at_once,
        dtype=model.dtype,
        kind=kind,
        memory=memory,
        host_memory=host_memory() // 2 if kind == "cuda" else None,
        base=max(0, resident_bytes() - (weights if kind == "cpu" else 0)),
        offload=model.adapter.offloaded,
    )
    return plan_moments(shape, need)


def plan_by_name(
    name: str,
    *,
    revision: str | None = None,
    tokens: int = defaults.TOKENS,
    layers: Sequence[int] | None = None,
    batch_tokens: int = defaults.BATCH_TOKENS,
    longest_text: int | None = defaults.LONGEST_TEXT,
    dtype: str = defaults.DTYPE,
    device: str = defaults.DEVICE,
    memory: int | None = None,
    offload: bool = False,
) -> MomentPlan:
    """What collecting will take, of a model by name, folder or hub id; of its files the config alone is read.

    Nothing is asked of the device, which may be another machine's.

    Args:
        name, revision: of the model.
        tokens, layers, batch_tokens, longest_text: as `collect_second_moments` takes them.
        dtype: of the forward passes.
        device: "cpu", or anything that begins with "cuda".
        memory: bytes of the device that may be used; as many as one pass takes when left out.
        offload: whether a part of the weights may stay on the host (`device_map`).

    Raises:
        InputError: a model, layers, dtype or device that there is not, or memory that is too little for one layer.
        AssetError: a hub model that cannot be reached.

    Example:
        >>> plan = plan_by_name("smollm2-135m-instruct", tokens=16_384)  # doctest: +SKIP
        >>> len(plan.passes), plan.device["sums"]                        # doctest: +SKIP
        (1, 353894400)
    """
    tokens = arguments.whole_number("tokens", tokens, 1)
    if dtype not in BYTES:
        raise UnknownNameError(f"dtype is {shown(dtype)}; expected {', '.join(BYTES)}")
    kind = device.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise InputError(f"device is {shown(device)}; expected cpu or cuda, which are what a plan knows of")
    shape = shape_by_name(name, revision)
    context = shape.context_length
    need = Need(
        tokens=tokens,
        layers=_layers(shape, layers),
        read_at_once=max(batch_tokens, context if longest_text is None else min(longest_text, context)),
        dtype=dtype,
        kind="cuda" if kind == "cuda" else "cpu",
        memory=memory,
        host_memory=host_memory() // 2 if kind == "cuda" else None,
        base=resident_bytes(),
        offload=offload,
    )
    return plan_moments(shape, need)


def _layers(shape: ModelShape, layers: Sequence[int] | None) -> tuple[int, ...]:
    if layers is None:
        return tuple(range(shape.layers))
    given = arguments.distinct_numbers("layers", layers, "a collection of layer numbers, such as (0, 8)")
    if beyond := [layer for layer in given if not 0 <= layer < shape.layers]:
        raise InputError(f"layer {beyond[0]} does not exist; expected 0 to {shape.layers - 1}")
    return given
