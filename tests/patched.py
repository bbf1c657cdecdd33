"""Edits of small models, with few steps of search, as the tests of folders save them."""

from __future__ import annotations

from pathlib import Path

import torch
from measured import WORDS
from tiny_models import byte_level_tokenizer, tiny_model
from torch import Tensor

import ks_core as ks
from ks_core.data.corpus import Corpus, corpus_of
from ks_core.models.loaded import LoadedModel
from ks_core.patches.edits import Edits

MODELS = Path(__file__).parents[1] / "fixtures" / "models"
TRAINED = ("ks-gpt2-l4", "ks-neox-l4", "ks-llama-l4")
SEARCH = ks.ValueSettings(steps=2)
LAYER = 1
EPS, EPS32 = torch.finfo(torch.float64).eps, torch.finfo(torch.float32).eps


def text() -> Corpus:
    """Different paragraphs, enough for the second moments of any model here."""
    return corpus_of((" ".join(WORDS[(i * j + j) % 16] for j in range(3 + i % 23)) for i in range(400)), "words")


def moments_of(model: LoadedModel) -> ks.SecondMoments:
    return ks.second_moments(model, tokens=2 * model.adapter.d_key, corpus=text(), layers=[LAYER])


def tiny(model_type: str = "llama") -> LoadedModel:
    return ks.load_model(tiny_model(model_type, layers=3, dtype=torch.float32), byte_level_tokenizer())


def some_edits(model: LoadedModel, facts: object, method: str = "joint", **options: object) -> Edits:
    """Edits in `LAYER`, with a ridge: two readings of little text say little of all directions."""
    ridge = 0.0 if method == "null-space" else 0.1
    return ks.edit(model, facts, LAYER, method, moments=moments_of(model), ridge=ridge, search=SEARCH, **options)


def dense(edits: Edits) -> Tensor:
    """ΔW, (d_value, d_key)."""
    return edits.edit.delta()


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def condition_of(terms):
    """Of the keys' overlaps in the space that is written in, with every key of length 1."""
    overlaps = terms.directions @ terms.keys.T
    lengths = overlaps.diagonal().sqrt()
    return float(torch.linalg.cond(overlaps / lengths[:, None] / lengths))


def same_up_to_rounding(found, expected):
    """Of two computations of one closed form in float64: what its factors add up, times the condition of their keys."""
    assert found.facts == expected.facts
    terms = expected.terms
    added_up = expected.edit.left.abs() @ expected.edit.right.abs()
    off = (dense(found) - dense(expected)).abs()
    assert bool((off <= EPS * sum(terms.keys.shape) * condition_of(terms) * added_up).all())
    assert float(dense(expected).abs().max()) > 1e3 * float(off.max())
