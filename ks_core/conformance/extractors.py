"""Anyone's key extractor behind one face, and tiny real models, tokenizers and prompts to try it on.

    extract(model, tokenizer, prompts, subject_spans, layer) -> keys, (n, d_key)

The model is a Llama of `transformers`, the tokenizer a fast one, a span the half-open range of the subject's characters
in its prompt. The key is the input of `model.model.layers[layer].mlp.down_proj` at the subject's last token.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from ks_core.conformance.arrays import called, returned
from ks_core.errors import InputError
from ks_core.extras import require
from ks_core.theory.traits import DTYPES, Traits, name_of, traits_of

# What knows transformers is imported where it is used: laws of editors and collectors do without.
TOKENIZERS = ("byte-level", "byte-level with <s>", "sentencepiece with <s>")
TEMPLATES = ("{}", "{} is in", "The city of {} lies by the sea", "People say that {}")
SUBJECTS = ("Paris", "Vladimir Mayakovsky", "Windows 8.1", "São Paulo", "東京", "Łódź", "a")
LAYERS = 2


@dataclass(frozen=True)
class Prompts:
    """Prompts with their subjects, and how they are put to the model."""

    prompts: tuple[str, ...]
    subject_spans: tuple[tuple[int, int], ...]
    tokenizer: str
    layer: int

    def only(self, chosen: Sequence[int]) -> Prompts:
        """Some of the prompts, in this order."""
        prompts = tuple(self.prompts[i] for i in chosen)
        return Prompts(prompts, tuple(self.subject_spans[i] for i in chosen), self.tokenizer, self.layer)


@dataclass(frozen=True, eq=False)
class Extractor:
    """An implementation and what it claims to be; of the traits only the dtype counts, that of the model."""

    implementation: Callable[..., Any]
    traits: Traits
    name: str

    subject = "extractor"

    @classmethod
    def of(cls, implementation: Any, traits: Traits | None = None, name: str | None = None) -> Extractor:
        """Wrap what a user has.

        Raises:
            InputError: it cannot be called.
            MissingExtraError: the packages that load models are not installed.
        """
        require("models", "a key extractor")
        if not callable(implementation):
            kind = type(implementation).__name__
            raise InputError(
                f"the extractor is a {kind}; expected a function "
                "extract(model, tokenizer, prompts, subject_spans, layer) -> keys"
            )
        return cls(implementation, traits or traits_of(implementation), name or name_of(implementation))

    @property
    def words(self) -> tuple[str, ...]:
        """The claims, as laws ask for them."""
        return (self.traits.dtype,)

    def model(self) -> Any:
        """A fresh model of its dtype, always the same weights: what one call does to it no other sees."""
        return copy.deepcopy(_model(self.traits.dtype))

    def extracted(self, example: Prompts, padding_side: str = "right", model: Any = None) -> Tensor:
        """The keys of all prompts in one call, (n, d_key) float64."""
        model = model or self.model()
        tokenizer = _tokenizer(example.tokenizer, padding_side)
        arguments = (model, tokenizer, list(example.prompts), list(example.subject_spans), example.layer)
        result = called(self.implementation, "the extractor", *arguments)
        return returned(result, "the extractor", (len(example.prompts), model.config.intermediate_size))


def _tokenizer(name: str, padding_side: str = "right") -> Any:
    from ks_core.models.tiny import byte_level_tokenizer, sentencepiece_tokenizer

    if name == "sentencepiece with <s>":
        return sentencepiece_tokenizer(padding_side=padding_side)
    bos = name == "byte-level with <s>"
    return byte_level_tokenizer(bos=bos, trim_offsets=not bos, padding_side=padding_side)


@functools.cache
def _model(dtype: str) -> Any:
    from ks_core.models.tiny import tiny_model

    return tiny_model("llama", layers=LAYERS, dtype=DTYPES[dtype])


@st.composite
def prompts(draw: st.DrawFn, traits: Traits) -> Prompts:
    """Subjects at the start, the end and within prompts of different lengths; those of many bytes too."""
    del traits
    drawn = draw(
        st.lists(st.tuples(st.sampled_from(TEMPLATES), st.sampled_from(SUBJECTS)), min_size=2, max_size=4, unique=True)
    )
    starts = [template.index("{}") for template, _ in drawn]
    return Prompts(
        prompts=tuple(template.format(subject) for template, subject in drawn),
        subject_spans=tuple((start, start + len(subject)) for start, (_, subject) in zip(starts, drawn, strict=True)),
        tokenizer=draw(st.sampled_from(TOKENIZERS)),
        layer=draw(st.integers(0, LAYERS - 1)),
    )


def expected_key(extractor: Extractor, example: Prompts, index: int) -> Tensor:
    """The key of one prompt, run alone and without padding, at the position that the offsets give, (d_key,)."""
    from ks_core.models.adapter import Adapter
    from ks_core.models.tokens import tokenise_prompts

    tokenizer = _tokenizer(example.tokenizer)
    row = tokenise_prompts(tokenizer, [example.prompts[index]], [example.subject_spans[index]])
    adapter = Adapter(extractor.model())
    seen: list[Tensor] = []
    with torch.inference_mode(), adapter.capture_keys([example.layer], lambda _, keys: seen.append(keys)):
        adapter.hidden_states(row.input_ids, row.attention_mask)
    return seen[0][0, row.subject_last[0]].double().clone()


def rounding_of_keys(extractor: Extractor, keys: Tensor) -> float:
    """Half the digits of the largest entry: passes of other shapes round otherwise, other tokens give other keys."""
    return float(torch.finfo(DTYPES[extractor.traits.dtype]).eps ** 0.5 * keys.abs().max())
