"""One view of every family: keys and weights of the edited projection, with the storage layout hidden."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ks_core.arguments import whole_number
from ks_core.errors import InputError
from ks_core.models.listening import BatchShape, KeysReadError, ReceiveKeys, sender
from ks_core.models.offloading import computes_on, is_offloaded
from ks_core.models.passes import Passes


class Adapter(Passes):
    """A causal language model seen as a stack of linear associative memories.

        weight(layer) @ key + bias(layer) == output of projection(layer)

    Args:
        model: a `transformers` causal language model of a family in `ks_core.models.architectures.FAMILIES`.

    Raises:
        InputError: the family is not known, the model lacks the family's modules (a bare backbone, a wrapped or
            quantised model), or its layers have projections of different widths.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__(model)
        self.num_layers: int = len(self._layers())
        for layer in range(self.num_layers):
            self._check_layout(layer)
        self.d_value, self.d_key = self._common_widths()

    @property
    def device(self) -> torch.device:
        """Where inputs go: to the embedding's device, which in a model on one device is that of all."""
        return computes_on(self.model.get_input_embeddings())

    def layer_device(self, layer: int) -> torch.device:
        """Where a layer's projection computes, and so where its keys are."""
        return computes_on(self.projection(layer))

    @property
    def offloaded(self) -> bool:
        """Whether some weights are elsewhere and come to a device when it is their turn."""
        return any(parameter.is_meta for parameter in self.model.parameters())

    def layer_name(self, layer: int) -> str:
        """Path of the projection inside the model, as in `model.named_modules()`."""
        return self._family.projection_of(self.layer_number(layer))

    def layer_number(self, layer: int) -> int:
        """A layer that there is, as Python's integer.

        Raises:
            InputError: it does not exist, or is no whole number.
        """
        number = whole_number("layer", layer)
        if not 0 <= number < self.num_layers:
            raise InputError(f"layer {number} does not exist; expected 0 to {self.num_layers - 1}")
        return number

    def projection(self, layer: int) -> nn.Module:
        """Return the module whose input is the key and whose output is the value."""
        return self._submodule(self.layer_name(layer))

    def block(self, layer: int) -> nn.Module:
        """Return the transformer block that the projection is in."""
        return self._layers()[self.layer_number(layer)]

    def weight(self, layer: int) -> Tensor:
        """Weight as (d_value, d_key), a view without gradient: what is written into it, the model uses.

        Raises:
            InputError: the layer does not exist, or accelerate keeps its weight on the CPU or the disk.
        """
        return self._oriented(self._in_memory(layer))

    def bias(self, layer: int) -> Tensor | None:
        """Bias as (d_value,), a view without gradient, or None when the projection has none."""
        bias: Any = self._in_memory(layer).bias
        return None if bias is None else bias.detach()

    @contextmanager
    def capture_keys(self, layers: Sequence[int], receive: ReceiveKeys) -> Iterator[None]:
        """Inside the block, each forward pass calls `receive(layer, keys)` once per given layer, in the pass's order.

        Args:
            layers: layers to listen to, each at most once.
            receive: gets the layer and its keys, (batch, tokens, d_key), padding included, exactly as the projection
                sees them: the tensor belongs to the forward pass, so read or copy it, do not write into it.

        Raises:
            InputError: a layer does not exist or is given twice.
        """
        if len(set(layers)) != len(layers):
            raise InputError(f"layers {list(layers)} name a layer twice; expected each at most once")
        modules = {layer: self.projection(layer) for layer in layers}
        batch_shape = BatchShape()
        with ExitStack() as hooks:
            hooks.enter_context(self.backbone.register_forward_pre_hook(batch_shape.note, with_kwargs=True))
            for layer, module in modules.items():
                hooks.enter_context(module.register_forward_pre_hook(sender(layer, receive, batch_shape)))
            yield

    def read_keys(self, layers: Sequence[int], input_ids: Tensor, attention_mask: Tensor, receive: ReceiveKeys) -> None:
        """One forward pass as far as the keys of some layers need it: the blocks after the last of them do not run.

        Args:
            layers: as in `capture_keys`, one or more.
            input_ids, attention_mask: (batch, tokens).
            receive: as in `capture_keys`.

        Raises:
            InputError: as `capture_keys` and `hidden_states` do.
        """
        last = max(layers)

        def send(layer: int, keys: Tensor) -> None:
            receive(layer, keys)
            if layer == last:
                raise KeysReadError

        with self.capture_keys(layers, send), suppress(KeysReadError):
            self.hidden_states(input_ids, attention_mask)

    @contextmanager
    def shifted_values(self, layer: int, shift: Tensor) -> Iterator[None]:
        """Inside the block, each forward pass adds `shift` to what the projection puts out.

        Args:
            layer: the layer.
            shift: (batch, tokens, d_value), of the batch that is run; gradients flow back to it.

        Raises:
            InputError: the layer does not exist.
        """

        def add(_module: nn.Module, _args: Any, output: Tensor) -> Tensor:
            return output + shift.to(output.device, output.dtype).reshape(
                output.shape
            )  # OPT: (batch * tokens, d_value)

        with self.projection(layer).register_forward_hook(add):
            yield

    def _layers(self) -> nn.ModuleList:
        layers = self._submodule(f"{self._family.backbone}.{self._family.layers}")
        if not isinstance(layers, nn.ModuleList) or len(layers) == 0:
            raise InputError(f"{type(self.model).__name__} has no transformer blocks at {self._family.layers}")
        return layers

    def _oriented(self, module: nn.Module) -> Tensor:
        weight: Tensor = module.weight.detach()  # type: ignore[operator]
        return weight.T if self._family.transposed else weight

    def _in_memory(self, layer: int) -> nn.Module:
        module = self.projection(layer)
        if is_offloaded(module):
            raise InputError(
                f"the weight of layer {layer} is offloaded to the CPU or the disk, where it can be neither read nor "
                "edited; expected it on a device: load the model without device_map, or with more max_memory"
            )
        return module

    def _common_widths(self) -> torch.Size:
        widths = [self._oriented(self.projection(layer)).shape for layer in range(self.num_layers)]
        for layer, width in enumerate(widths):
            if width != widths[0]:
                raise InputError(
                    f"the projection of layer {layer} of {type(self.model).__name__} has d_value {width[0]} and d_key "
                    f"{width[1]}, that of layer 0 {widths[0][0]} and {widths[0][1]}; expected all layers of one width: "
                    "take a model without layers of their own widths"
                )
        return widths[0]

    def _check_layout(self, layer: int) -> None:
        """Refuse a projection whose class stores its weight otherwise than the table says."""
        module = self.projection(layer)
        weight = getattr(module, "weight", None)
        expected = Conv1D if self._family.transposed else nn.Linear
        if not isinstance(module, expected) or weight is None or not weight.is_floating_point():
            raise InputError(
                f"{self.layer_name(layer)} is a {type(module).__name__}; expected a {expected.__name__} "
                "with floating-point weights: load the model without quantisation or adapters"
            )
