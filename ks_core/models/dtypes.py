"""The dtypes that a model can have here, by name."""

from __future__ import annotations

import torch

from ks_core.errors import InputError
from ks_core.formatting import shown

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def dtype_of(name: str) -> torch.dtype:
    """A torch dtype by name.

    Raises:
        InputError: none of `DTYPES`.
    """
    if name not in DTYPES:
        raise InputError(f"dtype is {shown(name)}; expected one of {', '.join(DTYPES)}")
    return DTYPES[name]
