"""Anyone's key extractor behind one face, and tiny real models and tokenizers to try it on.

    extract(model, tokenizer, prompts, subject_spans, layer) -> keys, (n, d_key)

The model is a Llama or a GPT-2 of `transformers`, the tokenizer a fast one, a span the half-open range of the subject's
characters in its prompt. The key is what the projection takes in at the subject's last token: in a Llama
`model.model.layers[layer].mlp.down_proj`, in a GPT-2 `model.transformer.h[layer].mlp.c_proj`. An extractor that reads
only one of them says so: `traits(families=("llama",))`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ks_core.conformance.arrays import called, returned
from ks_core.conformance.lending import changes, kept_model, kept_tokenizer, lent_model, lent_tokenizer
from ks_core.conformance.prompts import Prompts
from ks_core.errors import InputError
from ks_core.extras import require
from ks_core.theory.traits import DTYPES, Traits, name_of, traits_given

# What knows transformers is imported where it is used: laws of editors and collectors do without.


@dataclass(frozen=True, eq=False)
class Extractor:
    """An implementation and what it claims to be; of the traits only families and dtype count, the models'."""

    implementation: Callable[..., Any]
    traits: Traits
    name: str

    subject = "extractor"

    @classmethod
    def of(cls, implementation: Any, traits: Traits | None = None, name: str | None = None) -> Extractor:
        """Wrap what a user has.

        Raises:
            InputError: it cannot be called, or its traits are not Traits.
            MissingExtraError: the packages that load models are not installed.
        """
        require("models", "a key extractor")
        if not callable(implementation):
            kind = type(implementation).__name__
            raise InputError(
                f"the extractor is a {kind}; expected a function "
                "extract(model, tokenizer, prompts, subject_spans, layer) -> keys"
            )
        return cls(implementation, traits_given(traits, implementation), name or name_of(implementation))

    @property
    def words(self) -> tuple[str, ...]:
        """The claims, as laws ask for them."""
        return (self.traits.dtype, *self.traits.families)

    def lent(self, family: str) -> AbstractContextManager[Any]:
        """A model of its dtype, always the same weights: what one call does to it no other sees."""
        return lent_model(family, self.traits.dtype)

    def changes(self, model: Any, family: str) -> list[str]:
        """Names of what calls have left behind in a lent model."""
        return changes(model, kept_model(family, self.traits.dtype))

    def extracted(self, example: Prompts, family: str, padding_side: str = "right") -> Tensor:
        """The keys of all prompts in one call, (n, d_key) float64."""
        with self.lent(family) as model:
            return self.extracted_from(model, example, family, padding_side)

    def extracted_from(self, model: Any, example: Prompts, family: str, padding_side: str = "right") -> Tensor:
        """The keys of all prompts in one call with this model of the family, (n, d_key) float64."""
        tokenizer = lent_tokenizer(example.tokenizer, padding_side)
        arguments = (model, tokenizer, list(example.prompts), list(example.subject_spans), example.layer)
        what = f"the extractor, given a {family} model,"
        result = called(self.implementation, what, *arguments)
        return returned(result, what, (len(example.prompts), _d_key(family)))

    def alone(self, example: Prompts, family: str) -> Tensor:
        """Every prompt in a call of its own, (n, d_key) float64."""
        return torch.cat([self.extracted(example.only([i]), family) for i in range(len(example.prompts))])

    def expected(self, example: Prompts, family: str) -> Tensor:
        """The keys that it should find, of prompts run alone without padding, where the offsets say, (n, d_key)."""
        each = zip(example.prompts, example.subject_spans, strict=True)
        arguments = (family, self.traits.dtype, example.tokenizer, example.layer)
        return torch.stack([_expected_key(*arguments, prompt, span) for prompt, span in each])

    def rounding(self, keys: Tensor) -> float:
        """Half the digits of the largest entry: passes of other shapes round otherwise, other tokens' keys differ."""
        return float(torch.finfo(DTYPES[self.traits.dtype]).eps ** 0.5 * keys.abs().max())


@functools.cache
def _d_key(family: str) -> int:
    from ks_core.models.adapter import Adapter

    return Adapter(kept_model(family, "float32")).d_key


@functools.cache
def _expected_key(family: str, dtype: str, tokenizer: str, layer: int, prompt: str, span: tuple[int, int]) -> Tensor:
    from ks_core.models.adapter import Adapter
    from ks_core.models.tokens import tokenise_prompts

    row = tokenise_prompts(kept_tokenizer(tokenizer), [prompt], [span])
    adapter = Adapter(kept_model(family, dtype))
    seen: list[Tensor] = []
    with torch.inference_mode(), adapter.capture_keys([layer], lambda _, keys: seen.append(keys)):
        adapter.hidden_states(row.input_ids, row.attention_mask)
    return seen[0][0, row.subject_last[0]].double().clone()
