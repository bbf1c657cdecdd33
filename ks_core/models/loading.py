"""Models by packaged name, local folder or hub id, loaded in a dtype that is always said."""

from __future__ import annotations

from pathlib import Path

import torch

from ks_core.errors import InputError
from ks_core.models.adapter import Adapter
from ks_core.models.loaded import LoadedModel
from ks_core.models.quiet import quiet_unless_terminal
from ks_core.models.settings import load_config
from ks_core.models.sources import reason, source_of
from ks_core.models.tokenizers import check_rows, load_tokenizer
from ks_core.models.weights import architecture_of, load_weights

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def load_model(
    spec: str | Path, *, revision: str | None = None, device: str = "cpu", dtype: str = "float32"
) -> LoadedModel:
    """Load a causal language model and its fast tokenizer.

    Args:
        spec: name of a packaged model, else a local folder, else a hub id (kept in transformers' own cache).
        revision: branch, tag or commit of a hub model.
        device: torch device, such as "cpu" or "cuda:0".
        dtype: "float32", "float64", "bfloat16" or "float16". Left unsaid, transformers would take the checkpoint's
            own, often bfloat16, and keys would lose most of their digits without a word.

    Raises:
        InputError: an unknown dtype, device, folder or model family; a checkpoint that is damaged, incomplete or
            quantised, holds tensors that the model has no place for, or numbers that are not finite; a tokenizer with
            more tokens than the model has rows.
        AssetError: a packaged or hub model that cannot be fetched.
    """
    torch_dtype, torch_device = _dtype(dtype), checked_device(device)
    source = source_of(str(spec), revision)
    with quiet_unless_terminal():
        config = load_config(source)  # before gigabytes of weights are fetched
        tokenizer = load_tokenizer(source)
        architecture = architecture_of(source, config)
        check_rows(tokenizer, architecture, source.place)
        model = load_weights(source, architecture, torch_dtype)
    model = model.to(torch_device).eval().requires_grad_(False)  # gradients are taken of values, never of weights
    return LoadedModel(Adapter(model), tokenizer, name=str(spec), revision=source.revision)


def _dtype(name: str) -> torch.dtype:
    if name not in DTYPES:
        raise InputError(f"dtype is {name!r}; expected one of {', '.join(DTYPES)}")
    return DTYPES[name]


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
