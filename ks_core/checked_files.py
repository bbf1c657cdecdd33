"""JSON and tensors that are read back: written with a checksum of their content, refused when anything is off."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ks_core.arrays import all_finite
from ks_core.errors import NotStoredError, ProvenanceError
from ks_core.files import atomic_path, is_stored
from ks_core.formatting import shown
from ks_core.strict_json import parse_json

REMEDY = "remove it and it is made again"


def sealed_json(form: str, content: Mapping[str, Any]) -> str:
    """A JSON object as text, with its format and checksum beside its own fields.

    Args:
        form: the format's name and number, such as "ks_core/baseline/2".
        content: plain JSON values, no NaN.
    """
    plain = _plain(content)
    sealed = {"format": form, "sha256": _sha256_of_json(plain), **plain}
    return json.dumps(sealed, indent=1, allow_nan=False) + "\n"


def write_json(path: Path, form: str, content: Mapping[str, Any]) -> None:
    """Write `sealed_json`; an existing file is replaced only when the new one is whole."""
    with atomic_path(path) as made:
        made.write_text(sealed_json(form, content), encoding="utf-8")


def read_json(path: Path, form: str, *, remedy: str = REMEDY) -> dict[str, Any]:
    """What `sealed_json` was given, after checking format and checksum.

    Args:
        path: the file.
        form: its format.
        remedy: what to do about a damaged file.

    Raises:
        NotStoredError: there is no such file.
        ProvenanceError: the file cannot be read, is damaged, or has another format.
    """
    _require_stored(path)
    with _damage(path, remedy):
        content = parse_json(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"a JSON {type(content).__name__}, no object")
        _require_format(path, [content.pop("format", None)], form, remedy)
        if content.pop("sha256", None) != _sha256_of_json(content):
            raise ValueError("its content does not have its sha256")
        return content


def write_tensors(path: Path, form: str, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors, with a checksum of each and one of what is said about them.

    Args:
        path: where to; an existing file is replaced only when the new one is whole.
        form: the format's name and number, such as "ks_core/second-moments/2".
        about: plain JSON values, for `read_tensors` to give back.
        tensors: by name, on any device.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = {"about": _plain(about), "tensors": {name: _sha256_of_tensor(tensor) for name, tensor in plain.items()}}
    # One entry only: safetensors writes several in no fixed order, and equal content should be equal files.
    metadata = {form: json.dumps({"sha256": _sha256_of_json(content), **content}, sort_keys=True, allow_nan=False)}
    with atomic_path(path) as made:
        save_file(plain, made, metadata)


class StoredTensors:
    """An open file of `write_tensors`; tensors are read and checked one at a time."""

    def __init__(self, path: Path, form: str, file: Any) -> None:
        self._path, self._file = path, file
        metadata = file.metadata() or {}
        _require_format(path, metadata, form)
        content = parse_json(metadata[form])
        if not isinstance(content, dict) or content.pop("sha256", None) != _sha256_of_json(content):
            raise ValueError("its header does not have its sha256")
        self.about: dict[str, Any] = content["about"]
        self._sha256: dict[str, str] = content["tensors"]

    def get(self, name: str, *, dtype: torch.dtype, shape: tuple[int | None, ...]) -> Tensor:
        """Read one tensor.

        Args:
            name: which.
            dtype: that it must have.
            shape: that it must have; None stands for any length.

        Raises:
            ProvenanceError: there is none of that name, it does not have its checksum, dtype or shape, or is not
                finite.
        """
        with _damage(self._path):
            if name not in self._sha256:
                raise ValueError(f"it has no {name}")
            tensor: Tensor = self._file.get_tensor(name)
            if _sha256_of_tensor(tensor) != self._sha256[name]:
                raise ValueError(f"{name} does not have its sha256")
            fits = len(shape) == tensor.ndim and all(
                want in (None, got) for want, got in zip(shape, tensor.shape, strict=True)
            )
            if tensor.dtype != dtype or not fits:
                want = ", ".join("any" if length is None else str(length) for length in shape)
                raise ValueError(f"{name} is {tensor.dtype} of {tuple(tensor.shape)}, not {dtype} of ({want})")
            if not all_finite(tensor):
                raise ValueError(f"{name} is not finite")
            return tensor


@contextmanager
def read_tensors(path: Path, form: str) -> Iterator[StoredTensors]:
    """Open a file of `write_tensors`.

    Raises:
        NotStoredError: there is no such file.
        ProvenanceError: the file cannot be read, is damaged, or has another format.
    """
    _require_stored(path)
    with ExitStack() as opened:
        with _damage(path):
            stored = StoredTensors(path, form, opened.enter_context(safe_open(path, framework="pt")))
        yield stored


def _require_stored(path: Path) -> None:
    if not is_stored(path):
        raise NotStoredError(f"{path} does not exist; expected what was stored there: make it again")


def _require_format(path: Path, found: Iterable[Any], expected: str, remedy: str = REMEDY) -> None:
    marks = list(found)
    if expected not in marks:
        raise ProvenanceError(
            f"{path} is marked {shown(marks)}; expected {expected!r}: it was not written by this version of "
            f"ks_core; {remedy}"
        )


@contextmanager
def _damage(path: Path, remedy: str = REMEDY) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:  # removed since it was looked for
        raise NotStoredError(
            f"{path} does not exist any more; expected what was stored there: make it again"
        ) from error
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise ProvenanceError(
            f"{path} is truncated or damaged ({error}); expected it as ks_core wrote it: {remedy}"
        ) from error


def _plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """As it will be read: lists for tuples, texts for keys."""
    plain: dict[str, Any] = json.loads(json.dumps(content, allow_nan=False))
    return plain


def _sha256_of_json(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _sha256_of_tensor(tensor: Tensor) -> str:
    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
    digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
