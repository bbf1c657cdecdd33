"""The plan of a collection, of a model in memory or of one whose config alone is read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ks_core import arguments, defaults
from ks_core.errors import InputError, RankDeficientError, UnknownNameError
from ks_core.formatting import shown
from ks_core.measurement.moments.plan import BYTES, CUDA_CONTEXT, Kind, MomentPlan, Need, plan_moments
from ks_core.measurement.moments.resident import host_memory, resident_bytes
from ks_core.models.loaded import LoadedModel
from ks_core.models.shape import ModelShape, shape_by_name, shape_of


def plan_of_model(
    model: LoadedModel,
    tokens: int,
    layers: tuple[int, ...],
    *,
    batch_tokens: int,
    longest: int,
    memory: int | None = None,
) -> MomentPlan:
    """What collecting from a model in memory will take; on a GPU without `memory` what is free there may be used.

    Raises:
        InputError: less memory than one layer needs.
    """
    kind: Kind = "cuda" if model.adapter.device.type == "cuda" else "cpu"
    shape = shape_of(model.model, model.name)
    device = model.adapter.device
    # of a model on several devices those on the first; it has the embedding, and no less than any other
    weights = sum(tensor.nbytes for tensor in _tensors(model) if tensor.device.type == kind and _is_on(tensor, device))
    if kind == "cuda" and memory is None:
        memory = torch.cuda.mem_get_info(device)[0] + weights + CUDA_CONTEXT
    need = Need(
        tokens=tokens,
        layers=layers,
        read_at_once=max(batch_tokens, longest),
        longest=longest,
        weights=weights,
        dtype=model.dtype,
        kind=kind,
        memory=memory,
        host_memory=_own_host_memory() if kind == "cuda" else None,
        base=max(0, resident_bytes() - (weights if kind == "cpu" else 0)),
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

    Nothing is asked of the device, which may be another machine's; of this one the memory is, for sums on the host.

    Args:
        name, revision: of the model.
        tokens, layers, batch_tokens, longest_text: as `collect_second_moments` takes them.
        dtype: of the forward passes.
        device: "cpu", or anything that begins with "cuda".
        memory: bytes of the device that may be used; as many as one pass takes when left out.
        offload: whether a part of the weights may stay on the host (`device_map`).

    Raises:
        RankDeficientError: half the text has fewer tokens than d_key.
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
    check_halves(tokens, shape.d_key)
    longest = shape.context_length if longest_text is None else min(longest_text, shape.context_length)
    need = Need(
        tokens=tokens,
        layers=_layers(shape, layers),
        read_at_once=max(batch_tokens, longest),
        longest=longest,
        dtype=dtype,
        kind="cuda" if kind == "cuda" else "cpu",
        memory=memory,
        host_memory=_own_host_memory() if kind == "cuda" else None,
        base=resident_bytes(),
        offload=offload,
    )
    return plan_moments(shape, need)


def check_halves(tokens: int, d_key: int) -> None:
    """Refuse an amount of text whose halves could not have full rank.

    Raises:
        RankDeficientError: half the text has fewer tokens than d_key.
    """
    if tokens // 2 < d_key:
        raise RankDeficientError(
            f"{tokens:,} tokens of text were asked for, but the keys have d_key = {d_key:,} and the error over text "
            f"needs two halves of full rank; expected at least {2 * d_key:,} tokens: ask for more"
        )


def _tensors(model: LoadedModel) -> Iterator[Tensor]:
    yield from model.model.parameters()
    yield from model.model.buffers()


def _is_on(tensor: Tensor, device: torch.device) -> bool:
    return tensor.device.index in (None, device.index)


def _own_host_memory() -> int:
    """Half of the machine's memory, of which every process on it has its share."""
    processes = os.environ.get("LOCAL_WORLD_SIZE", "1")  # torchrun's
    return host_memory() // 2 // max(1, int(processes) if processes.isdecimal() else 1)


def _layers(shape: ModelShape, layers: Sequence[int] | None) -> tuple[int, ...]:
    if layers is None:
        return tuple(range(shape.layers))
    given = arguments.distinct_numbers("layers", layers, "a collection of layer numbers, such as (0, 8)")
    if beyond := [layer for layer in given if not 0 <= layer < shape.layers]:
        raise InputError(f"layer {beyond[0]} does not exist; expected 0 to {shape.layers - 1}")
    return given
