"""Models by packaged name, local folder or hub id, loaded in a dtype that is always said; or as they are in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeAlias

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ks_core import defaults
from ks_core.errors import InputError
from ks_core.formatting import shown
from ks_core.models.adapter import Adapter
from ks_core.models.dispatching import DeviceMap, dispatched
from ks_core.models.dtypes import dtype_of
from ks_core.models.in_memory import wrap_model
from ks_core.models.loaded import LoadedModel
from ks_core.models.quiet import quiet_unless_terminal
from ks_core.models.settings import load_config
from ks_core.models.sources import reason, source_of
from ks_core.models.tokenizers import check_rows, load_tokenizer
from ks_core.models.weights import architecture_of, load_weights

Model: TypeAlias = LoadedModel | PreTrainedModel | str | Path
"""a model, or where to find it: what `load_model` takes; one of transformers goes in together with its tokenizer"""


def load_model(
    model: Model = defaults.MODEL,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    device_map: DeviceMap | None = None,
    max_memory: Mapping[int | str, int | str] | None = None,
    offload_dir: str | Path | None = None,
) -> LoadedModel:
    """Load a causal language model and its fast tokenizer, or take one that is in memory already.

    Every function that takes a model takes it as this one does, so what is loaded already passes through unchanged.

    Args:
        model: name of a packaged model, else a local folder, else a hub id (cached by transformers); or a
            transformers model in memory, in evaluation mode, which stays on its device, in its dtype, and as it is.
        tokenizer: of a model in memory, and then needed.
        revision: branch, tag or commit of a hub model.
        device: torch device to load to, such as "cpu" (the default) or "cuda:0".
        dtype: to load in: "float32" (the default), "float64", "bfloat16" or "float16". Left to itself, transformers
            would take the checkpoint's own, often bfloat16, and keys would lose most of their digits without a word.
        device_map: instead of a device, for a model that is larger than one: "auto" (or another of `DEVICE_MAPS`)
            spreads it over all GPUs, then the CPU, then the disk; or a device for each module, "disk" too. It is read
            into the CPU's memory first. Keys can be read and second moments collected wherever a layer is; the weight
            of a layer that is kept on the CPU or the disk beside GPUs, or on the disk, can be neither read nor edited.
        max_memory: what it may use, by GPU number, "cpu" or "disk": bytes or "20GiB"; default what is free.
        offload_dir: folder for what goes to the disk; that is removed with the model.

    Raises:
        InputError: an unknown dtype, device, folder or model family; a checkpoint that is damaged, incomplete or
            quantised, holds tensors that the model has no place for, or numbers that are not finite; a tokenizer with
            more tokens than the model has rows; a model in memory without its tokenizer, in training mode, or with
            hooks.
        AssetError: a packaged or hub model that cannot be fetched.

    Example:
        >>> from ks_core.models.tiny import byte_level_tokenizer, tiny_model
        >>> loaded = load_model(tiny_model("gpt2"), byte_level_tokenizer())
        >>> loaded.name, loaded.dtype, loaded.adapter.num_layers
        ('GPT2LMHeadModel', 'float64', 2)
        >>> load_model(loaded) is loaded
        True
    """
    spread = {"device_map": device_map, "max_memory": max_memory, "offload_dir": offload_dir}
    options = {"revision": revision, "device": device, "dtype": dtype, **spread}
    if isinstance(model, LoadedModel):
        _refuse("a model that is loaded already", {"tokenizer": tokenizer, **options})
        return model
    if isinstance(model, PreTrainedModel):
        _refuse("a model in memory", options)
        return wrap_model(model, tokenizer)
    if not isinstance(model, (str, os.PathLike)):
        raise InputError(
            f"model is {shown(model)}; expected a name, a folder, a transformers model or what load_model gave"
        )
    _refuse("a model that is loaded by name with its own", {"tokenizer": tokenizer})
    if device_map is None:
        _refuse("a model that goes to one device", spread)
        put = partial(_on_device, checked_device(defaults.DEVICE if device is None else device))
    else:
        _refuse("a device_map", {"device": device})
        put = partial(dispatched, device_map=device_map, max_memory=max_memory, offload_dir=offload_dir)
    return _from_checkpoint(str(model), revision, dtype_of(defaults.DTYPE if dtype is None else dtype), put)


def _on_device(device: torch.device, model: PreTrainedModel) -> PreTrainedModel:
    return model.to(device)


def _from_checkpoint(
    name: str, revision: str | None, dtype: torch.dtype, put: Callable[[PreTrainedModel], PreTrainedModel]
) -> LoadedModel:
    source = source_of(name, revision)
    with quiet_unless_terminal():
        config = load_config(source)  # before gigabytes of weights are fetched
        tokenizer = load_tokenizer(source)
        architecture = architecture_of(source, config)
        check_rows(tokenizer, architecture, source.place)
        model = load_weights(source, architecture, dtype)
        model = put(model.eval().requires_grad_(False))  # gradients are taken of values, never of weights
    return LoadedModel(Adapter(model), tokenizer, name=name, revision=source.revision)


def _refuse(what: str, options: Mapping[str, object]) -> None:
    """Refuse options that would mean nothing for this kind of model."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise InputError(f"{given[0]} was given with {what}, where it means nothing; expected none: leave it out")


def checked_device(name: str) -> torch.device:
    """A torch device by name.

    Raises:
        InputError: no such device, or none that this machine has.
    """
    try:
        device = torch.device(name)
        torch.ones(1, device=device).add(1).item()  # the meta device makes tensors and holds no numbers
    except (RuntimeError, AssertionError) as error:  # torch asserts when it was built without CUDA
        raise InputError(f"device {name!r} cannot be used here: {reason(error)}; 'cpu' always can") from error
    return device
