"""Sums that are larger than memory: zeros mapped from a nameless file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from ks_core.errors import StorageError
from ks_core.formatting import shown_path


def mapped_zeros(count: int, folder: Path) -> Tensor:
    """(count,) float64 zeros in a file without a name, whose room is taken at once and given back with the tensor.

    Taken at once, because a full disk would otherwise end the process by a signal, in the middle of an addition.

    Raises:
        StorageError: no room, or no permission.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, 8 * count)
            else:  # macOS
                _fill(file, 8 * count)
            return torch.from_numpy(np.memmap(file, dtype=np.float64, mode="r+", shape=(count,)))
    except OSError as error:
        raise StorageError(
            f"{shown_path(folder)} has no room for sums of {8 * count / 1e9:.1f} GB ({error.strerror or error}); "
            "expected it: make room, name another folder by $KS_CORE_CACHE, or ask for fewer layers at once"
        ) from error


def _fill(file: BinaryIO, size: int) -> None:
    """Write zeros, a mebibyte at a time."""
    while size:
        size -= file.write(bytes(min(size, 1 << 20)))
    file.flush()
