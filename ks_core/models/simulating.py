"""A layer's weight as if it were another: changes of low rank by hooks, and passes that begin at the changed layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ks_core.models.adapter import Adapter
from ks_core.models.past import Past


@contextmanager
def simulated(
    adapter: Adapter, changes: Mapping[int, tuple[Tensor, Tensor]], at: Tensor | None = None
) -> Iterator[None]:
    """Inside the block each forward pass runs as if layers had the weights W + left @ right; no weight is touched.

        output of projection(layer) + left @ (right @ key)                        at every token, or at some

    Args:
        adapter: the model.
        changes: by layer, left and right: (d_value, r) and (r, d_key), the same for all rows of a batch; or with the
            number of rows before them, (rows, d_value, r) and (rows, r, d_key), one change for each row. They are taken
            to the weight's device, and to its dtype or float32, whichever is wider.
        at: (rows, tokens) bool, of the batch that is run: where the change acts; everywhere when left out.

    Raises:
        InputError: a layer that does not exist.
    """
    with ExitStack() as hooks:
        for layer, factors in changes.items():
            weight = adapter.weight(layer)
            dtype = torch.promote_types(weight.dtype, torch.float32)
            left, right = (factor.to(weight.device, dtype) for factor in factors)
            hooks.enter_context(adapter.projection(layer).register_forward_hook(_adding(left, right, at)))
        yield


def _adding(left: Tensor, right: Tensor, at: Tensor | None) -> Callable[[nn.Module, tuple[Any, ...], Tensor], Tensor]:
    def add(_module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        keys = args[0]
        rows = keys.reshape(left.shape[0], -1, keys.shape[-1]) if left.ndim == 3 else keys  # OPT has no rows there
        shift: Tensor = (rows.to(right.dtype) @ right.mT) @ left.mT
        shift = shift.to(output.dtype).reshape(output.shape)
        return output + (shift if at is None else shift * at.to(shift.device).reshape(*output.shape[:-1], 1))

    return add


@dataclass(frozen=True, eq=False)
class States:
    """What a block put out, to begin later passes with.

    Attributes:
        hidden: (batch, tokens, d_model)
        in_tuple: whether the family's blocks return it as the first of a tuple
    """

    hidden: Tensor
    in_tuple: bool

    def of(self, rows: Tensor) -> States:
        """Those of some rows of the batch, in any order."""
        return States(self.hidden[rows], self.in_tuple)


@contextmanager
def states_before(adapter: Adapter, layer: int, receive: Callable[[States], None]) -> Iterator[None]:
    """Inside the block each forward pass calls `receive` with what the block below a layer puts out.

    Raises:
        InputError: the layer does not exist, or is the first, which has none below.
    """

    def send(_module: nn.Module, _args: Any, output: Any) -> None:
        in_tuple = isinstance(output, tuple)
        receive(States((output[0] if in_tuple else output).detach(), in_tuple))

    with adapter.block(layer - 1).register_forward_hook(send):
        yield


def states_below(
    adapter: Adapter, layer: int, input_ids: Tensor, attention_mask: Tensor, past: Past | None = None
) -> States | None:
    """What the block below a layer puts out for a batch; None for the first layer, which has none.

    Args:
        adapter: the model.
        layer: the first to run later, in `resumed`.
        input_ids, attention_mask: (batch, tokens).
        past: of the tokens before them.

    Raises:
        InputError: the layer does not exist.
    """
    if adapter.layer_number(layer) == 0:
        return None
    found: list[States] = []
    with states_before(adapter, layer, found.append), ending(adapter, layer - 1), torch.no_grad():
        adapter.hidden_states(input_ids, attention_mask, past)
    return found[0]


@contextmanager
def ending(adapter: Adapter, layer: int) -> Iterator[None]:
    """Inside the block forward passes end at a layer: the blocks above do not run, and put out what it put out.

    Raises:
        InputError: the layer does not exist.
    """
    last: list[Any] = []

    def keep(_module: nn.Module, _args: Any, output: Any) -> None:
        last[:] = [output]

    above = [adapter.block(number) for number in range(adapter.layer_number(layer) + 1, adapter.num_layers)]
    with adapter.block(layer).register_forward_hook(keep), _running(above, lambda *_args, **_settings: last[0]):
        yield


@contextmanager
def resumed(adapter: Adapter, layer: int, states: States | None) -> Iterator[None]:
    """Inside the block forward passes begin at a layer: the blocks below do not run, what they put out is given.

    What stands before the first block (embeddings, masks, positions) is computed as ever, so that the blocks above get
    what belongs to them.

    Args:
        adapter: the model.
        layer: whose block is the first to run.
        states: of the very batch that is run, as `states_below` gave them; None runs the whole model.

    Raises:
        InputError: the layer does not exist.
    """
    if states is None:
        yield
        return
    below = [adapter.block(number) for number in range(adapter.layer_number(layer))]
    given = (states.hidden, None) if states.in_tuple else states.hidden
    with _running(below, lambda *_args, **_settings: given):
        yield


@contextmanager
def _running(blocks: Sequence[nn.Module], forward: Callable[..., Any]) -> Iterator[None]:
    """Inside the block, some modules run another function in place of their own."""
    own = [block.__dict__.get("forward") for block in blocks]  # accelerate puts one there, of its own
    try:
        for block in blocks:
            block.forward = forward
        yield
    finally:
        for block, before in zip(blocks, own, strict=True):
            block.__dict__.pop("forward", None)
            if before is not None:
                block.forward = before
