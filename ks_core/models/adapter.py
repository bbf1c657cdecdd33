"""One view of every family: keys and weights of the edited projection, with the storage layout hidden."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache
from transformers.pytorch_utils import Conv1D

from ks_core.arguments import whole_number
from ks_core.errors import InputError
from ks_core.models.architectures import family_of
from ks_core.models.listening import BatchShape, ReceiveKeys, sender
from ks_core.models.past import Past, pushed_right
from ks_core.models.stand_in import put_in_place


class Adapter:
    """A causal language model seen as a stack of linear associative memories.

        weight(layer) @ key + bias(layer) == output of projection(layer)

    Args:
        model: a `transformers` causal language model of a family in `ks_core.models.architectures.FAMILIES`.

    Raises:
        InputError: the family is not known, or the model lacks the family's modules (a bare backbone, a wrapped or
            quantised model).
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.model_type: str = model.config.model_type
        self._family = family_of(self.model_type)
        self.num_layers: int = len(self._layers())
        for layer in range(self.num_layers):
            self._check_layout(layer)
        self.d_value, self.d_key = self.weight(0).shape

    @property
    def backbone(self) -> nn.Module:
        """The model without its head, as it is now."""
        return self._submodule(self._family.backbone)

    @property
    def vocabulary(self) -> int:
        """Tokens that the head has a logit for."""
        return int(self.model.get_output_embeddings().weight.shape[0])

    @property
    def context_length(self) -> int:
        """Tokens that the model was built to read at once."""
        return int(self.model.config.max_position_embeddings)

    @property
    def device(self) -> torch.device:
        """Where the first layer's projection lives."""
        return self.weight(0).device

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
        """Weight as (d_value, d_key), a view without gradient: what is written into it, the model uses."""
        weight: Tensor = self.projection(layer).weight.detach()  # type: ignore[operator]
        return weight.T if self._family.transposed else weight

    def bias(self, layer: int) -> Tensor | None:
        """Bias as (d_value,), a view without gradient, or None when the projection has none."""
        bias: Any = self.projection(layer).bias
        return None if bias is None else bias.detach()

    def hidden_states(self, input_ids: Tensor, attention_mask: Tensor, past: Past | None = None) -> Tensor:
        """Run the model without its head; positions count attended tokens only, so either padding side will do.

        Args:
            input_ids: (batch, tokens) int64.
            attention_mask: (batch, tokens), 1 for a token and 0 for padding.
            past: of the tokens before them, as `past_of` gives it; none when left out.

        Returns:
            (batch, tokens, d_model), in the model's dtype, inside `torch.autocast` too; rows of padding are
            meaningless.

        Raises:
            InputError: the model, or a part of it, is in training mode.
        """
        states: Tensor = self._run(self.backbone, input_ids, attention_mask, past).last_hidden_state
        return states

    def past_of(self, input_ids: Tensor, attention_mask: Tensor) -> Past:
        """What attention holds of the beginnings of rows, for passes over what comes after them; without gradients.

        Args:
            input_ids: (batch, tokens) int64, padded on the right.
            attention_mask: (batch, tokens); a row may be all padding: nothing then stands before what comes after.

        Raises:
            InputError: as `hidden_states`.
        """
        cache = DynamicCache()
        run = attention_mask.clone()
        run[:, 0] = 1  # a row must have a token to be run
        with torch.no_grad():
            self._run(self.backbone, input_ids, run, cache=cache)
        return pushed_right(cache, attention_mask)

    def logits(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Run the model with its head, after every token; arguments as in `hidden_states`.

        Returns:
            (batch, tokens, vocabulary): gigabytes for a large vocabulary. `logits_at` gives those that are read.
        """
        logits: Tensor = self._run(self.model, input_ids, attention_mask).logits
        return logits

    def logits_at(
        self, input_ids: Tensor, attention_mask: Tensor, places: tuple[Tensor, Tensor], past: Past | None = None
    ) -> Tensor:
        """Run the model, and its head after some tokens only; other arguments as in `hidden_states`.

        Args:
            input_ids: (batch, tokens) int64.
            attention_mask: (batch, tokens).
            places: rows and columns, (n,) int64 each, of the tokens after which the next is wanted.
            past: of the tokens before.

        Returns:
            (n, vocabulary).
        """
        return self.head(self.hidden_states(input_ids, attention_mask, past)[places])

    def head(self, hidden: Tensor) -> Tensor:
        """Logits from what the model without its head puts out, scaled or capped as the family does it.

        The model's own forward pass makes them, with a stand-in for what is below its head, so no family needs a rule.

        Args:
            hidden: (n, d_model), as `hidden_states` gives it for n tokens.

        Returns:
            (n, vocabulary).
        """
        with put_in_place(self.model, self._stack, hidden[None]), torch.autocast(hidden.device.type, enabled=False):
            ids = hidden.new_zeros(1, 1, dtype=torch.int64)
            logits: Tensor = self.model.forward(input_ids=ids, use_cache=False).logits  # a call would run hooks
        return logits[0]

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
            return output + shift.to(output.dtype).reshape(output.shape)  # OPT: (batch * tokens, d_value)

        with self.projection(layer).register_forward_hook(add):
            yield

    def _run(
        self,
        module: nn.Module,
        input_ids: Tensor,
        attention_mask: Tensor,
        past: Past | None = None,
        cache: Cache | None = None,
    ) -> Any:
        tokens = input_ids.shape[1]
        if past is not None:
            attention_mask, cache = torch.cat([past.attention_mask, attention_mask], dim=1), past.cache()
        self._require_evaluation_mode(module)
        rows = self.model.get_input_embeddings().weight.shape[0]
        if int(input_ids.max()) >= rows:  # tokens that were added after loading; a GPU would end the process
            raise InputError(
                f"token id {int(input_ids.max())} has no row in the embedding of {type(self.model).__name__} (it has "
                f"{rows}); expected tokens of the tokenizer that it was loaded with: add none"
            )
        with torch.autocast(input_ids.device.type, enabled=False):  # in the weights' own dtype, as results say
            return module(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids(attention_mask)[:, -tokens:],
                past_key_values=cache,
                use_cache=cache is not None,
            )

    def require_evaluation_mode(self) -> None:
        """Refuse a model that is in training mode, or has a part that is.

        Raises:
            InputError: dropout would make its numbers random.
        """
        self._require_evaluation_mode(self.model)

    def _require_evaluation_mode(self, module: nn.Module) -> None:
        if any(part.training and _has_modes(part) for part in module.modules()):
            raise InputError(
                f"{type(self.model).__name__} is in training mode, in which dropout makes its numbers random; expected "
                "evaluation mode: call model.eval()"
            )

    @property
    def _stack(self) -> str:
        """Path of the module that the model's head stands on: the one with the blocks, inside the backbone in OPT."""
        return f"{self._family.backbone}.{self._family.layers}".rpartition(".")[0]

    def _layers(self) -> nn.ModuleList:
        layers = self._submodule(f"{self._family.backbone}.{self._family.layers}")
        if not isinstance(layers, nn.ModuleList) or len(layers) == 0:
            raise InputError(f"{type(self.model).__name__} has no transformer blocks at {self._family.layers}")
        return layers

    def _submodule(self, path: str) -> nn.Module:
        try:
            return self.model.get_submodule(path)  # type: ignore[no-any-return]
        except AttributeError:
            raise InputError(
                f"{type(self.model).__name__} of model_type {self.model_type!r} has no module {path!r}; "
                "expected an unwrapped model from AutoModelForCausalLM"
            ) from None

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


def _has_modes(module: nn.Module) -> bool:
    """Whether training mode may mean something to a module: not to a new activation or map that was put in by hand."""
    return isinstance(module, nn.Dropout) or any(True for _ in module.children())


def position_ids(attention_mask: Tensor) -> Tensor:
    """Position of each token among the attended ones, (batch, tokens) int64; 0 on padding.

    Without these, a left-padded row would start at the position where its padding ends.

    Example:
        >>> position_ids(torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])).tolist()
        [[0, 0, 0, 1], [0, 1, 2, 3]]
    """
    return (attention_mask.long().cumsum(dim=1) - 1).clamp(min=0)
