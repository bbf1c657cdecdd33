"""Checks of arrays at the edges: NumPy and torch come in, checked float64 torch tensors go on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ks_core.errors import InputError

OVERFLOW = "look for an overflow in a half-precision forward pass"
"""Where entries that are not finite mostly come from."""


def as_float64(name: str, array: Any, ndim: int, remedy: str = OVERFLOW) -> Tensor:
    """Convert an array to a float64 tensor and refuse what no formula here can use.

    Args:
        name: what the array is, for the error message.
        array: torch tensor, NumPy array or nested sequence of real numbers.
        ndim: the number of dimensions it must have.
        remedy: what to do about NaN and infinity, for the error message.

    Returns:
        A float64 tensor on the array's own device (no copy when it already is one).

    Raises:
        InputError: wrong number of dimensions, an empty dimension, not real numbers, or NaN or infinity inside.

    Example:
        >>> as_float64("keys", [[1, 2], [3, 4]], ndim=2).shape
        torch.Size([2, 2])
    """
    try:
        # By way of NumPy: torch reads nested sequences as float32, which would round them.
        tensor = array if isinstance(array, Tensor) else torch.as_tensor(np.asarray(array))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} cannot be read as an array of numbers: {error}") from error
    if tensor.is_complex():
        raise InputError(f"{name} has dtype {tensor.dtype}; expected real numbers")
    if tensor.ndim != ndim:
        raise InputError(f"{name} has shape {tuple(tensor.shape)}; expected {ndim} dimensions")
    if 0 in tensor.shape:
        raise InputError(f"{name} has shape {tuple(tensor.shape)}; expected at least one row and one column")
    tensor = tensor.to(torch.float64)
    bad = int((~torch.isfinite(tensor)).sum())
    if bad:
        raise InputError(
            f"{name} contains {bad} NaN or infinite entries of {tensor.numel()}; expected finite numbers: {remedy}"
        )
    return tensor


def finite(what: str, result: Tensor) -> Tensor:
    """Return a result, and refuse one that left float64's range: its entries would be infinite or NaN without a word.

    Raises:
        InputError: an entry is infinite or NaN.

    Example:
        >>> finite("the sum", torch.tensor([1e308, 1e308], dtype=torch.float64).sum())
        Traceback (most recent call last):
        ...
        ks_core.errors.InputError: the sum leaves the range of float64 though all inputs are finite; scale the inputs
    """
    if not bool(torch.isfinite(result).all()):
        raise InputError(f"{what} leaves the range of float64 though all inputs are finite; scale the inputs")
    return result


def given(tensor: Tensor, array: str, dtype: torch.dtype) -> Any:
    """A fresh copy for someone's implementation, which may write into it without harm to anything of ours.

    Args:
        tensor: ours.
        array: "torch" or "numpy", what the implementation takes.
        dtype: of the copy.
    """
    copy = tensor.detach().clone().to(dtype)
    return copy.numpy() if array == "numpy" else copy
