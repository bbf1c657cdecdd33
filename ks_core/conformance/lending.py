"""Tiny models and tokenizers that are lent to extractors: each call finds them as if it were the first."""

from __future__ import annotations

import copy
import functools
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ks_core.conformance.prompts import LAYERS
from ks_core.theory.traits import DTYPES

# What knows transformers is imported where it is used: laws of editors and collectors do without.


@functools.cache
def kept_model(family: str, dtype: str) -> Any:
    """The one that all others are copies of; not to be given away."""
    from ks_core.models.tiny import tiny_model

    return tiny_model(family, layers=LAYERS, dtype=DTYPES[dtype])


@functools.cache
def kept_tokenizer(name: str, padding_side: str = "right") -> Any:
    """The one of `ks_core.conformance.prompts.TOKENIZERS` that all others are copies of; not to be given away."""
    from ks_core.models.tiny import byte_level_tokenizer, sentencepiece_tokenizer

    if "byte-level" not in name:
        kind, metaspace = ("unigram" if "unigram" in name else "bpe"), "older" not in name
        return sentencepiece_tokenizer(kind, metaspace=metaspace, by_words=True, padding_side=padding_side)
    bos = "<s>" in name
    return byte_level_tokenizer(bos=bos, trim_offsets=not bos, padding_side=padding_side)


def lent_tokenizer(name: str, padding_side: str) -> Any:
    """A copy: what a call does to it, such as to give it a padding token, no other sees."""
    return copy.deepcopy(kept_tokenizer(name, padding_side))


_RETURNED: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
"""copies that came back as they went, by family and dtype: to copy a model takes longer than to run it"""


@contextmanager
def lent_model(family: str, dtype: str) -> Iterator[Any]:
    """A model with always the same weights: what one call does to it no other sees.

    It is lent again where it comes back as it went, and left to its borrower otherwise, or where the call raised.
    """
    kept, returned = kept_model(family, dtype), _RETURNED[family, dtype]
    model = returned.pop() if returned else copy.deepcopy(kept)
    yield model
    if unchanged(model, kept):
        returned.append(model)


def unchanged(model: Any, kept: Any) -> bool:
    """Whether a copy still is what its original is."""
    return not changes(model, kept)


def changes(model: Any, kept: Any) -> list[str]:
    """What calls have left behind in a copy: names of settings, modules, weights and buffers, empty where nothing."""
    found = [f"config.{name}" for name in _changed(vars(model.config), vars(kept.config))]
    modules, originals = dict(model.named_modules()), dict(kept.named_modules())
    found += [name or "model" for name in _changed({n: _face(m) for n, m in modules.items()},
                                                   {n: _face(m) for n, m in originals.items()})]  # fmt: skip
    for of in ("named_parameters", "named_buffers"):
        ours, theirs = dict(getattr(model, of)()), dict(getattr(kept, of)())
        found += sorted(set(ours) ^ set(theirs))
        found += [name for name in ours if name in theirs and not _same(ours[name], theirs[name])]
    return found


def _changed(now: dict[str, Any], then: dict[str, Any]) -> list[str]:
    return [
        name for name in sorted({*now, *then}) if now.get(name) != then.get(name) or (name in now) != (name in then)
    ]


def _face(module: torch.nn.Module) -> tuple[Any, ...]:
    """Of a module what calls may change; an overridden method is one more attribute."""
    hooks = [len(getattr(module, name)) for name in _HOOKS]
    return type(module), module.training, sorted(vars(module)), hooks


_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def _same(weight: torch.Tensor, wanted: torch.Tensor) -> bool:
    alike = weight.dtype == wanted.dtype and weight.requires_grad == wanted.requires_grad and weight.grad is None
    return alike and torch.equal(weight, wanted)
