"""Checks of arrays at the edges: NumPy and torch come in, checked float64 torch tensors go on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ks_core.errors import InputError, NotFiniteError, ReturnedError


def as_float64(name: str, array: Any, ndim: int) -> Tensor:
    """Convert an array to a float64 tensor and refuse what no formula here can use.

    Args:
        name: what the array is, for the error message.
        array: torch tensor, NumPy array or nested sequence of real numbers.
        ndim: the number of dimensions it must have.

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
    if not all_finite(tensor):
        bad = int((~torch.isfinite(tensor)).sum())
        raise InputError(
            f"{name} contains {bad} NaN or infinite entries of {tensor.numel()}; "
            "expected finite numbers: look for an overflow in a half-precision forward pass"
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
    if not all_finite(result):
        raise InputError(f"{what} leaves the range of float64 though all inputs are finite; scale the inputs")
    return result


def all_finite(tensor: Tensor) -> bool:
    """Whether every entry is finite: one reading and no copy, where the sum is finite, in which NaN and infinity stay.

    Example:
        >>> all_finite(torch.tensor([1e308, 1e308], dtype=torch.float64)), all_finite(torch.tensor([1.0, float("nan")]))
        (True, False)
    """
    # the sum of large finite entries may be infinite too, and is then no answer
    return bool(torch.isfinite(tensor.detach().sum())) or bool(torch.isfinite(tensor).all())


def given(tensor: Tensor, array: str, dtype: torch.dtype) -> Any:
    """A fresh copy for someone's implementation, which may write into it without harm to anything of ours.

    Args:
        tensor: ours.
        array: "torch" or "numpy", what the implementation takes.
        dtype: of the copy.
    """
    copy = tensor.detach().clone().to(dtype)
    return copy.numpy() if array == "numpy" else copy


def returned(result: Any, what: str, shape: tuple[int, ...], hint: str = "") -> Tensor:
    """Check what someone's implementation returned and widen it.

    Args:
        result: torch tensor or NumPy array; one that requires a gradient is detached.
        what: returned it, for the error message.
        shape: that it must have.
        hint: what to do about another shape, after the error's own words.

    Returns:
        A float64 copy on the CPU: it stays what it is if the implementation writes into its own later.

    Raises:
        ReturnedError: not an array of real numbers, or another shape.
        NotFiniteError: NaN or infinity inside.

    Example:
        >>> returned(torch.ones(2, requires_grad=True), "the editor", (2,))
        tensor([1., 1.], dtype=torch.float64)
    """
    if not isinstance(result, (Tensor, np.ndarray)):
        raise ReturnedError(f"{what} returned a {type(result).__name__}; expected an array")
    try:
        # torch takes no array that runs backwards, which a copy does not
        tensor = (result if isinstance(result, Tensor) else torch.from_numpy(result.copy())).detach().cpu()
    except (TypeError, ValueError) as error:
        raise ReturnedError(f"{what} returned an array of {result.dtype}; expected real numbers") from error
    if tuple(tensor.shape) != shape:
        raise ReturnedError(f"{what} returned shape {tuple(tensor.shape)}; expected {shape}{hint}")
    if tensor.is_complex():
        raise ReturnedError(f"{what} returned complex numbers; expected real ones")
    bad = int((~torch.isfinite(tensor)).sum())
    if bad:
        raise NotFiniteError(f"{what} returned {bad} NaN or infinite entries of {tensor.numel()}")
    return tensor.to(torch.float64, copy=True)
