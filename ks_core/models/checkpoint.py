"""The tensors of a checkpoint: names, shapes and types from its files' headers, numbers only when asked for."""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch
from safetensors import safe_open
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, WEIGHTS_INDEX_NAME, WEIGHTS_NAME

from ks_core.errors import InputError
from ks_core.formatting import shown, shown_path
from ks_core.models.sources import Source, explained, missing
from ks_core.strict_json import parse_json

_DTYPE_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""safetensors' names of the types in which weights are stored as numbers"""


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor of a file, not read yet.

    Attributes:
        dtype: as torch calls it ("float32"), or as the file does when torch's weights are never of that type ("I8")
        content: gives the tensor by `content[...]`: a slice of a safetensors file, or a tensor that is mapped from the
            disk
    """

    shape: tuple[int, ...]
    dtype: str
    content: Any


def stored_tensors(source: Source) -> dict[str, StoredTensor]:
    """Every tensor of a model's checkpoint, by name.

    safetensors are taken before pickled weights (`pytorch_model.bin`), one file before several with an index.
    Pickled ones are read with `weights_only=True`, which makes tensors and nothing else.

    Raises:
        InputError: no weights, two different sets of safetensors, a damaged file or index, one name in two files, or
            a pickle that holds more than tensors.
        AssetError: the hub cannot be asked.
    """
    tensors: dict[str, StoredTensor] = {}
    for path in weight_files(source):
        read = _read_safetensors if path.suffix == ".safetensors" else _read_pickled
        with explained(source.location):
            found = read(path)
        if twice := sorted(found.keys() & tensors.keys()):
            raise InputError(f"{source.place} holds {shown_path(twice[0])} in two files; expected every tensor once")
        tensors |= found
    return tensors


def weight_files(source: Source) -> list[Path]:
    """The files that hold the weights, as `stored_tensors` takes them; the same errors."""
    for single, index in ((SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME), (WEIGHTS_NAME, WEIGHTS_INDEX_NAME)):
        whole = source.find(single)
        shards = _shard_names(source, index) if whole is None or source.is_folder else []
        if whole is not None and set(shards) <= {single}:
            return [whole]
        if whole is not None:
            raise InputError(
                f"{source.place} has {single} and, by {index}, other weights beside it; expected one set: remove "
                "the one that is not meant"
            )
        if shards:
            return [_shard(source, name, index) for name in shards]
    raise missing(source, f"{SAFE_WEIGHTS_NAME}, {SAFE_WEIGHTS_INDEX_NAME} or {WEIGHTS_NAME}")


def _shard_names(source: Source, index: str) -> list[str]:
    path = source.find(index)
    if path is None:
        return []
    with explained(source.location):
        content = parse_json(path.read_text(encoding="utf-8"))
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise InputError(f"{index} of {source.place} has no weight_map; expected the file of every tensor by name")
    for name in weight_map.values():
        if not isinstance(name, str) or Path(name).name != name or Path(name).suffix != _ending(index):
            raise InputError(f"{index} of {source.place} names {shown(name)}; expected a weights file in its folder")
    return sorted(set(weight_map.values()))


def _ending(index: str) -> str:
    return Path(index.removesuffix(".index.json")).suffix


def _shard(source: Source, name: str, index: str) -> Path:
    path = source.find(name)
    if path is None:
        raise InputError(f"{source.place} lacks {name}, which its {index} names; fetch or copy the whole folder")
    return path


def _read_safetensors(path: Path) -> dict[str, StoredTensor]:
    file: Any = safe_open(path, framework="pt")  # stays open for as long as its slices live
    slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  (the file is no mapping)
    return {
        name: StoredTensor(tuple(part.get_shape()), _DTYPE_NAMES.get(part.get_dtype(), part.get_dtype()), part)
        for name, part in slices.items()
    }


def _read_pickled(path: Path) -> dict[str, StoredTensor]:
    place = shown_path(path)
    try:  # only torch's newer format, a zip, can be mapped instead of copied
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
    except pickle.UnpicklingError as error:
        needed = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise InputError(
            f"{place} cannot be read as tensors and nothing else ({needed[1] if needed else 'damaged'}), and what more "
            "a pickle holds can run any code; take a revision that has safetensors, or load the model once where you "
            "trust its file and write it anew with save_pretrained"
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{place} holds a {type(content).__name__}; expected a dictionary of tensors by name")
    for name, value in content.items():
        if not isinstance(name, str) or not _is_plain(value):
            raise InputError(
                f"{place} holds {_told(value)} as {shown(name)}; expected dense tensors by name and nothing else: save "
                "the state_dict alone"
            )
    return {
        name: StoredTensor(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), tensor)
        for name, tensor in content.items()
    }


def _told(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of layout {value.layout} on the device {value.device}"
    return f"a value of type {type(value).__name__}"


def _is_plain(value: Any) -> bool:
    """Whether it is a dense tensor with its numbers in the file."""
    return isinstance(value, torch.Tensor) and value.layout is torch.strided and value.device.type == "cpu"
