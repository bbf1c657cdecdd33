"""Hooks that hand on the keys of a forward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

ReceiveKeys = Callable[[int, Tensor], None]


class KeysReadError(Exception):
    """Ends a forward pass in which every key has been read."""


class BatchShape:
    """Remembers (batch, tokens) of the forward pass under way, for families that flatten them before the MLP."""

    def __init__(self) -> None:
        self.value: tuple[int, int] | None = None

    def note(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A hook before the model without its head."""
        inputs = kwargs.get("input_ids")
        if inputs is None:
            inputs = kwargs.get("inputs_embeds", args[0] if args else None)
        if inputs is not None:
            self.value = (inputs.shape[0], inputs.shape[1])


def sender(layer: int, receive: ReceiveKeys, batch_shape: BatchShape) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    """A hook of a projection that calls `receive` with the layer and its keys, (batch, tokens, d_key)."""

    def send(_module: nn.Module, args: tuple[Any, ...]) -> None:
        keys: Tensor = args[0].detach()
        if keys.ndim == 2 and batch_shape.value is not None:  # OPT: (batch * tokens, d_key)
            keys = keys.reshape(*batch_shape.value, -1)
        receive(layer, keys)

    return send
