"""Statistics files as ROME and its kin write them, made here with plain NumPy: an oracle for reading and writing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tiny_models import byte_level_tokenizer, tiny_model

import ks_core as ks
from ks_core.data.corpus import corpus_of
from ks_core.data.facts import Fact
from ks_core.models.loaded import LoadedModel

D_KEY, COUNT, SAMPLES = 12, 400, 40
MODULE = "transformer.h.{}.mlp.c_proj"
"""Of the tiny GPT-2."""


def model() -> LoadedModel:
    return ks.load_model(tiny_model("gpt2"), byte_level_tokenizer())


def moments_of(loaded: LoadedModel) -> ks.SecondMoments:
    text = corpus_of((f"The river of {n} towns, and {n * n} stones." for n in range(SAMPLES)), "rivers")
    return ks.second_moments(loaded, COUNT, corpus=text)


def facts() -> list[Fact]:
    towns = ("Nara", "Kyoto", "Osaka", "Kobe")
    return [Fact(n, town, "P17", "{} lies in", "Japan", "Peru") for n, town in enumerate(towns)]


def keys(seed: int = 0, count: int = COUNT, width: int = D_KEY) -> NDArray[np.float64]:
    """Some keys, one neuron ten times as large as the others."""
    drawn = np.random.default_rng(seed).normal(size=(count, width))
    drawn[:, 3] *= 10
    return drawn


def sums(seed: int = 0, dtype: Any = np.float32) -> dict[str, Any]:
    """The arrays of a file: what their `SecondMoment` keeps of these keys."""
    rows = keys(seed).astype(dtype)
    return {
        "mom2.constructor": np.array("util.runningstats.SecondMoment()"),
        "mom2.count": np.array(COUNT),
        "mom2.mom2": rows.T @ rows,
        "sample_size": np.array(SAMPLES),
    }


def write(folder: Path, layer: int = 0, *, suffix: str = f"_{SAMPLES}", **changed: Any) -> Path:
    """Write a layer's file; arrays by name with "__" for a dot, None for one that is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = sums(layer) | {name.replace("__", "."): array for name, array in changed.items()}
    path = folder / f"{MODULE.format(layer)}_float32_mom2{suffix}.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path
