"""A module that puts out what it was given, in the place of a part of a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions


@contextmanager
def put_in_place(model: nn.Module, path: str, hidden: Tensor) -> Iterator[None]:
    """Inside the block, a model runs with these states in place of what one of its modules would put out.

    The module itself is taken out, so that none of its hooks takes this for a forward pass.

    Args:
        model: it is as before after the block, on exceptions too.
        path: of the module, as in `model.named_modules()`; it returns a model's output, not a bare tensor.
        hidden: (batch, tokens, d_model).
    """
    above, _, name = path.rpartition(".")
    parts = model.get_submodule(above)._modules
    own, parts[name] = parts[name], _Given(hidden)
    try:
        yield
    finally:
        parts[name] = own


class _Given(nn.Module):
    def __init__(self, hidden: Tensor) -> None:
        super().__init__()
        self._output = BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=hidden)

    def forward(self, *_args: Any, **_settings: Any) -> BaseModelOutputWithPastAndCrossAttentions:
        return self._output
