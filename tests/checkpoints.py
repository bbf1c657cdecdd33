"""Checkpoints with one thing wrong: copies of a whole one with files, settings or tensors changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file


def rewritten(checkpoint: Path, folder: Path, **files: bytes | None) -> Path:
    """A copy of a checkpoint with some files replaced or added, or left out where None ("." is written "_")."""
    folder.mkdir(exist_ok=True)
    for file in checkpoint.iterdir():
        content = files.get(file.name.replace(".", "_"), file.read_bytes())
        if content is not None:
            (folder / file.name).write_bytes(content)
    return folder


def with_settings(checkpoint: Path, folder: Path, **settings: Any) -> Path:
    """A copy with other entries in its config.json."""
    stored = json.loads((checkpoint / "config.json").read_text())
    return rewritten(checkpoint, folder, config_json=json.dumps(stored | settings).encode())


def with_tensors(checkpoint: Path, folder: Path, tensors: Mapping[str, torch.Tensor | None]) -> Path:
    """A copy with tensors added or replaced, or left out where None."""
    rewritten(checkpoint, folder)
    stored = load_file(checkpoint / "model.safetensors") | tensors
    kept = {name: tensor for name, tensor in stored.items() if tensor is not None}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
