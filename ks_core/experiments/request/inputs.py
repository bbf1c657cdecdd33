"""What settings name, loaded and checked: the model, the facts and the text."""

from __future__ import annotations

from dataclasses import dataclass

from ks_core.data.corpus import Corpus, load_corpus
from ks_core.data.facts import FactSet, load_facts, packaged_facts
from ks_core.experiments.request.settings import Settings
from ks_core.measurement.moments import check_tokens, collect_second_moments
from ks_core.measurement.whitening import TextWhitening
from ks_core.models.loaded import LoadedModel
from ks_core.models.loading import load_model


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


def load_inputs(settings: Settings) -> Inputs:
    """Load all inputs, and refuse what does not fit together before any work is done.

    Raises:
        KsError: input that cannot be used, or an asset that cannot be had.
    """
    facts = packaged_facts() if settings.facts is None else load_facts(settings.facts)
    model = load_model(settings.model, revision=settings.revision, device=settings.device, dtype=settings.dtype)
    check_tokens(model, settings.tokens)
    for layer in settings.layers or ():
        model.adapter.layer_name(layer)  # raises where there is none
    return Inputs(settings, model, facts, load_corpus(settings.corpus))
