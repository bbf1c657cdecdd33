"""What settings name, loaded and checked: the model, the facts and the text."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from ks_core.data.corpus import Corpus, load_corpus
from ks_core.data.facts import PACKAGED_FACTS, Facts, FactSet, load_facts
from ks_core.experiments.request.settings import Settings
from ks_core.measurement.moments.collecting import check_tokens, collect_second_moments
from ks_core.measurement.whitening import TextWhitening
from ks_core.models.loaded import LoadedModel
from ks_core.models.loading import Model, load_model


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
    found, settings = _facts(settings, facts)
    loaded, settings = _model(settings, model)
    check_tokens(loaded, settings.tokens)
    for layer in settings.layers or ():
        loaded.adapter.layer_name(layer)  # raises where there is none
    text, settings = _text(settings, corpus)
    return Inputs(settings, loaded, found, text)


def _facts(settings: Settings, facts: Facts | None) -> tuple[FactSet, Settings]:
    if facts is None:
        return load_facts(settings.facts or PACKAGED_FACTS), settings
    found = load_facts(facts)
    return found, replace(settings, facts=os.fspath(facts) if isinstance(facts, (str, os.PathLike)) else found.name)


def _model(settings: Settings, model: Model | None) -> tuple[LoadedModel, Settings]:
    if model is None or isinstance(model, (str, os.PathLike)):
        named = settings if model is None else replace(settings, model=os.fspath(model))
        return load_model(named.model, revision=named.revision, device=named.device, dtype=named.dtype), named
    loaded = load_model(model)
    device = str(loaded.adapter.device)
    return loaded, replace(settings, model=loaded.name, revision=loaded.revision, device=device, dtype=loaded.dtype)


def _text(settings: Settings, corpus: str | Path | Corpus | None) -> tuple[Corpus, Settings]:
    if corpus is None:
        return load_corpus(settings.corpus), settings
    text = load_corpus(corpus)
    return text, replace(settings, corpus=text.name if isinstance(corpus, Corpus) else os.fspath(corpus))
