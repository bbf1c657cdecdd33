"""Forward passes of a model: with and without its head, over whole rows or what comes after their beginnings."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache

from ks_core.errors import InputError
from ks_core.models.architectures import family_of
from ks_core.models.past import Past, pushed_right
from ks_core.models.stand_in import put_in_place


class Passes:
    """A causal language model that is run as it is: in its own dtype, in evaluation mode, without dropout or autocast.

    Args:
        model: a `transformers` causal language model of a family in `ks_core.models.architectures.FAMILIES`.

    Raises:
        InputError: the family is not known.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.model_type: str = model.config.model_type
        self._family = family_of(self.model_type)

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
        return states.to(input_ids.device)  # of a model on several devices they are on the last

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

    def _submodule(self, path: str) -> nn.Module:
        try:
            return self.model.get_submodule(path)  # type: ignore[no-any-return]
        except AttributeError:
            raise InputError(
                f"{type(self.model).__name__} of model_type {self.model_type!r} has no module {path!r}; "
                "expected an unwrapped model from AutoModelForCausalLM"
            ) from None


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
