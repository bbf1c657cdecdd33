"""A checkpoint with some weights changed and every other byte as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from ks_core.errors import InputError
from ks_core.formatting import quoted, shown_path
from ks_core.models.checkpoint import StoredTensor, stored_tensors, weight_files
from ks_core.models.fingerprint import weights_sha256
from ks_core.models.packaged import MANIFEST
from ks_core.models.placing import place
from ks_core.models.settings import load_config
from ks_core.models.sources import Source
from ks_core.models.weights import architecture_of

WEIGHT_ENDINGS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".onnx_data", ".gguf")
PICKLED_INDEX = ".bin.index.json"
"""Of files that may hold the weights once more, and then the unedited ones."""

FROM_A_HUB = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "model.safetensors.index.json",
    "README.md",
    "LICENSE",
)
"""What is asked of a repository beside its weights; a folder is copied whole."""


@dataclass(frozen=True, eq=False)
class Change:
    """What to add to the weight of one module.

    Attributes:
        module: its path in the model
        delta: in the layout of the module's weight, any dtype
        before_sha256: `weights_sha256` of the module as it was loaded, in `dtype`
    """

    module: str
    delta: Tensor
    before_sha256: str
    dtype: torch.dtype


def rewrite_checkpoint(
    source: Source, folder: Path, changes: Sequence[Change], without: Collection[str] = ()
) -> list[str]:
    """Copy a checkpoint with weights changed: each rounded once, to the dtype in which it is stored.

    Files that hold the weights in another format, or that no loader of the model reads, would keep the unedited ones:
    they are left out. So is the record of a packaged model's conversion, which would not be true any more.

    Args:
        source: of the checkpoint, in safetensors.
        folder: to write into; it is there.
        changes: of different modules.
        without: names of files to leave out too, such as what says of the source how it was made.

    Returns:
        Names of what was left out.

    Raises:
        InputError: pickled weights, a weight that several modules share, one that is not what the change was made
            for, or one that leaves the range of its dtype.
        AssetError: the hub cannot be asked.
    """
    paths = weight_files(source)
    if pickled := [path for path in paths if path.suffix != ".safetensors"]:
        raise InputError(
            f"{source.place} has its weights in {pickled[0].name}, a pickle, in which no tensor can be changed alone; "
            "expected safetensors: load it with transformers and write it anew with save_pretrained, or write an "
            "adapter"
        )
    stored = stored_tensors(source)
    architecture = architecture_of(source, load_config(source))
    placed = place(stored, architecture, source.place)
    for change in changes:
        refuse_shared(architecture, change.module, source.place)
        _require_before(architecture, stored, placed, change, source.place)
    left_out = _copy(source, {path.name for path in paths}, folder, {MANIFEST, *without})
    for change in changes:
        name = placed[f"{change.module}.weight"]
        before: Tensor = stored[name].content[...]
        after = (before.double() + change.delta.double()).to(before.dtype)
        if not bool(torch.isfinite(after).all()):
            raise InputError(
                f"the edited {quoted(name)} leaves the range of {before.dtype}, in which {source.place} stores it; "
                "expected finite weights: write an adapter, or store the model in a wider dtype first"
            )
        _overwrite([folder / path.name for path in paths], name, after)
    return left_out


def refuse_shared(architecture: PreTrainedModel, module: str, location: str) -> None:
    """Refuse a module whose weight is that of another module too.

    Raises:
        InputError: names both.
    """
    weight = architecture.get_parameter(f"{module}.weight")
    names = [name for name, other in architecture.named_parameters(remove_duplicate=False) if other is weight]
    if len(names) > 1:
        raise InputError(
            f"{' and '.join(names)} of {location} are one tensor, so one cannot be changed alone; expected a weight of "
            "its own: write an adapter"
        )


def _require_before(
    architecture: PreTrainedModel,
    stored: Mapping[str, StoredTensor],
    placed: Mapping[str, str],
    change: Change,
    location: str,
) -> None:
    """Refuse a checkpoint in which the module is not the one that the change was made for."""
    module = nn.Module()
    for name, _ in architecture.get_submodule(change.module).named_parameters():
        content: Tensor = stored[placed[f"{change.module}.{name}"]].content[...]
        module.register_parameter(name, nn.Parameter(content.to(change.dtype), requires_grad=False))
    if weights_sha256(module) != change.before_sha256:
        raise InputError(
            f"{change.module} of {location} has another weight than the one that the edits were made for; expected the "
            "model as it was: fetch it again, or make the edits anew"
        )


def _copy(source: Source, weights: set[str], folder: Path, without: set[str]) -> list[str]:
    root, left_out = _folder_of(source), []
    for path in _files(root):
        name = path.relative_to(root).as_posix()
        is_weights = path.name.endswith(PICKLED_INDEX) or path.suffix.lower() in WEIGHT_ENDINGS
        if (is_weights and name not in weights) or name in without:
            left_out.append(name)
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
    return left_out


def _folder_of(source: Source) -> Path:
    """The folder of a source's files, for a hub that of its commit in the cache."""
    if source.is_folder:
        return Path(source.location)
    there = [path for path in map(source.find, FROM_A_HUB) if path is not None]
    return there[0].parent


def _files(root: Path) -> Iterator[Path]:
    """Every file below a folder, but for hidden folders: those of version control and of download caches."""
    for path in sorted(root.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            yield from _files(path)
        elif path.is_file():
            yield path


def _overwrite(paths: Sequence[Path], name: str, after: Tensor) -> None:
    """Put a tensor's bytes in the place of those of the same name; its dtype and shape are the stored ones."""
    content = after.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    for path in paths:
        with path.open("r+b") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))  # safetensors has checked it when the tensors were listed
            if name in header:
                start, end = header[name]["data_offsets"]
                if end - start != len(content):
                    raise InputError(f"{shown_path(path)} changed while it was read; expected it to stay: run again")
                file.seek(8 + length + start)
                file.write(content)
                return
    raise InputError(f"{quoted(name)} is in none of the copied files; expected a checkpoint that stays: run again")
