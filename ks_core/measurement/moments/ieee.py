"""Float32 products that are float32, whatever a user allowed for the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

_EXACT = ("ieee", "none")
"""What torch calls a precision that is float32's own, and one that nobody has set."""


@contextmanager
def ieee_products(device: torch.device) -> Iterator[None]:
    """Inside the block, products of float32 matrices have float32's 24 bits; afterwards all is as the user set it.

    `torch.set_float32_matmul_precision`, `torch.backends.cuda.matmul.allow_tf32` and their successors let a GPU round
    the factors to TF32 (11 bits), and a CPU to bfloat16 (8 bits); `torch.autocast` casts them to half precision. That
    is the user's choice for the forward pass. In a sum of products it would pass unseen: an entry of a second moment
    would be off by some thousand times the rounding that `SecondMomentAccumulator` promises.

    The settings are those of the whole process: what other threads multiply meanwhile has float32's bits too.

    Args:
        device: that the factors are on.

    Example:
        >>> before = torch.get_float32_matmul_precision()
        >>> torch.set_float32_matmul_precision("high")
        >>> with ieee_products(torch.device("cpu")):
        ...     torch.get_float32_matmul_precision()
        'highest'
        >>> torch.get_float32_matmul_precision()
        'high'
        >>> torch.set_float32_matmul_precision(before)
    """
    with ExitStack() as stack:
        if torch.is_autocast_enabled(device.type):
            stack.enter_context(torch.autocast(device.type, enabled=False))
        if _loosened():
            stack.enter_context(_highest())
        yield


def _operators() -> tuple[Any, ...]:
    """Where torch since 2.9 keeps the precision of products, one for each kind of device; nowhere before."""
    kept = (torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, "matmul", None))
    return tuple(each for each in kept if hasattr(each, "fp32_precision"))


def _loosened() -> bool:
    operators = _operators()
    if operators:
        return any(each.fp32_precision not in _EXACT for each in operators)
    return torch.get_float32_matmul_precision() != "highest"


@contextmanager
def _highest() -> Iterator[None]:
    """Both generations of torch's settings at float32's own: set in one alone, they contradict, which torch refuses."""
    operators, of_all = _operators(), getattr(torch.backends, "fp32_precision", "none")
    before = [each.fp32_precision for each in operators]
    old = _old_setting()
    try:
        if old is not None:
            torch.set_float32_matmul_precision("highest")
        for each in operators:
            each.fp32_precision = "ieee"
        yield
    finally:
        if old is not None:
            torch.set_float32_matmul_precision(old)
        for each, precision in zip(operators, before, strict=True):
            # what it had from the setting of all it shall have from there again, and follow it
            each.fp32_precision = "none" if precision == of_all else precision


def _old_setting() -> str | None:
    """The setting of torch before 2.9; None where the newer one was used, and torch refuses to read the old."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return None
