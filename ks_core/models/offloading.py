"""Modules that accelerate placed: where they compute, and the numbers of those that it keeps elsewhere meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

OF_ACCELERATE = ("to", "cuda", "npu", "xpu", "mlu", "sdaa", "musa", "neuron")
"""What accelerate puts in a model's place to warn where it would be moved."""


def is_offloaded(module: nn.Module) -> bool:
    """Whether accelerate keeps the module's weights elsewhere, and brings them for each forward pass."""
    return bool(getattr(placing_hook(module), "offload", False))


def placing_hook(module: nn.Module) -> Any:
    """The hook of accelerate on a module, which stands outside of torch's own; None where there is none."""
    return getattr(module, "_hf_hook", None)


def computes_on(module: nn.Module) -> torch.device:
    """Where a module with a weight of its own computes; of an offloaded one, where accelerate brings it."""
    if is_offloaded(module):
        return torch.device(placing_hook(module).execution_device)
    return module.weight.device  # type: ignore[return-value]


def parameters_of(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every parameter with its numbers, in the order of names; offloaded ones are read one at a time.

    Of parameters that the settings tie, offloading makes two objects: the second is left out while its numbers are
    those of the first, as `named_parameters` leaves it out while they are one.
    """
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    parameters = dict(model.named_parameters())
    for name, parameter in sorted(parameters.items()):
        value, first = _value(model, name, parameter), tied.get(name, "")
        parted = first in parameters and (parameter.is_meta or parameters[first].is_meta)
        if not (parted and torch.equal(value.cpu(), _value(model, first, parameters[first]).cpu())):
            yield name, value


def _value(model: nn.Module, name: str, parameter: Tensor) -> Tensor:
    path, _, own = name.rpartition(".")
    module = model.get_submodule(path)
    if not (parameter.is_meta and is_offloaded(module)):
        return parameter
    from accelerate.utils import align_module_device

    with align_module_device(module, torch.device("cpu")):
        return module.get_parameter(own).detach()


def own_forward(module: nn.Module) -> Any:
    """What stands in place of the class's `forward`, without what accelerate puts around it; None for nothing."""
    forward = vars(module).get("forward")
    if isinstance(forward, partial) and getattr(forward.func, "__module__", None) == "accelerate.hooks":
        forward = vars(module).get("_old_forward")
    is_class_own = getattr(forward, "__func__", None) is type(module).forward
    return None if is_class_own and getattr(forward, "__self__", None) is module else forward
