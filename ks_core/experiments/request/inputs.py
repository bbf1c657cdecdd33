"""What settings name, loaded and checked: the model, the facts and the text."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ks_core.data.corpus import Corpus, load_corpus
from ks_core.data.facts import PACKAGED, Facts, FactSet, load_facts
from ks_core.experiments.request.settings import Settings
from ks_core.measurement.moments import check_tokens, collect_second_moments
from ks_core.measurement.whitening import TextWhitening
from ks_core.models.loaded import LoadedModel
from ks_core.models.loading import Model, load_model

NAMES = (str, os.PathLike)
"""What names an input; anything else is one in memory."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Everything a measurement reads."""

    settings: Settings
    model: LoadedModel
    facts: FactSet
    corpus: Corpus

    def text(self) -> TextWhitening:
        """Second moments of the measured layers, collected or taken from the cache, with the ridge of the settings."""
        moments = collect_second_moments(
            self.model,
            self.corpus,
            tokens=self.settings.tokens,
            layers=self.settings.layers,
            batch_tokens=self.settings.batch_tokens,
            longest_text=self.settings.longest_text,
        )
        return TextWhitening(moments, self.settings.ridge)


def load_inputs(
    settings: Settings,
    model: Model | None = None,
    facts: Facts | None = None,
    corpus: str | Path | Corpus | None = None,
) -> Inputs:
    """Load all inputs, and refuse what does not fit together before any work is done.

    Args:
        settings: everything else, and the names of the inputs that are not given.
        model, facts, corpus: in the place of those that the settings name, by name or in memory. The settings that are
            returned name them.

    Raises:
        KsError: input that cannot be used, or an asset that cannot be had.
    """
    named = {"model": model, "facts": facts, "corpus": corpus}
    settings = replace(settings, **{field: os.fspath(of) for field, of in named.items() if isinstance(of, NAMES)})
    in_memory = {field: of for field, of in named.items() if of is not None and not isinstance(of, NAMES)}
    found = load_facts(in_memory.get("facts", settings.facts or PACKAGED))
    if "model" in in_memory:
        loaded = load_model(in_memory["model"])
    else:
        loaded = load_model(settings.model, revision=settings.revision, device=settings.device, dtype=settings.dtype)
    check_tokens(loaded, settings.tokens)
    for layer in settings.layers or ():
        loaded.adapter.layer_name(layer)  # raises where there is none
    text = load_corpus(in_memory.get("corpus", settings.corpus))
    of_memory = {"model": _of_model(loaded), "facts": {"facts": found.name}, "corpus": {"corpus": text.name}}
    changed = {name: of for field in in_memory for name, of in of_memory[field].items()}
    return Inputs(replace(settings, **changed), loaded, found, text)


def _of_model(model: LoadedModel) -> dict[str, Any]:
    """The settings that a model in memory brings with it."""
    return {
        "model": model.name,
        "revision": model.revision,
        "device": str(model.adapter.device),
        "dtype": model.dtype,
    }
