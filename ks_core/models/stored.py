"""A module's weight as it lies in memory: bits, places, and whether it can be written to."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""By bytes of an entry: what to view a weight as, to compare NaN and the sign of zero too."""


def stored(module: nn.Module) -> Tensor:
    """The module's weight as it is stored, without gradient; empty where it has none."""
    weight = getattr(module, "weight", None)
    return weight.detach() if isinstance(weight, Tensor) else torch.empty(0)


def put(module: nn.Module, weight: Tensor) -> None:
    """Give a module a weight in memory of its own: its parameter may lie in a tensor that someone else holds."""
    parameter = module._parameters.get("weight")
    if parameter is not None:
        with torch.inference_mode(False):
            parameter.data = weight.clone()


def memory(tensor: Tensor) -> tuple[torch.device, int]:
    """Where a tensor's numbers lie: the same for views of one tensor, whichever part of it they are."""
    return tensor.device, tensor.untyped_storage().data_ptr()


def overlapping(tensor: Tensor) -> bool:
    """Whether entries share memory, as those of an expanded tensor do."""
    return any(stride == 0 and size > 1 for stride, size in zip(tensor.stride(), tensor.shape, strict=True))


def writable(tensor: Tensor) -> bool:
    """Whether a tensor can be written to here: one made in inference mode cannot outside it."""
    return not tensor.is_inference() or torch.is_inference_mode_enabled()


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same in dtype, shape, device and every bit."""
    if (one.dtype, one.shape, one.device) != (other.dtype, other.shape, other.device):
        return False
    bits = _BITS[one.element_size()]
    return torch.equal(one.view(bits), other.view(bits))
