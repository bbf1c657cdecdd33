"""One model of a family: its numbers by layer, and what chance gives there."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from tqdm.auto import tqdm

from ks_core.data.corpus import Corpus
from ks_core.data.facts import FactSet
from ks_core.experiments.pairs.layer import LayerPairs, layer_pairs
from ks_core.experiments.request.inputs import load_inputs
from ks_core.experiments.request.settings import Settings
from ks_core.experiments.sizes.chance import by_chance
from ks_core.experiments.sizes.numbers import NUMBERS, at_places, statistic_of
from ks_core.formatting import printable
from ks_core.measurement.keys import subject_keys
from ks_core.models.size import parameters_outside_embedding
from ks_core.statistics.bootstrap import fact_weights
from ks_core.statistics.estimate import Replicates, derive
from ks_core.statistics.pairs import Array

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class FamilyMember:
    """One model of a family.

    Attributes:
        size: parameters outside the embeddings
        numbers: name in `NUMBERS` → one number per layer, (layers,)
        chance: the same of random directions in as many dimensions, in P with the lengths of the layer's own whitened
            keys
    """

    name: str
    revision: str | None
    weights_sha256: str
    size: int
    numbers: Mapping[str, Replicates]
    chance: Mapping[str, Array]

    def at_places(self, number: str) -> Replicates:
        """A number at the relative depths of `PLACES`, (places,)."""
        return derive(at_places, self.numbers[number])

    def over_chance(self, number: str) -> Replicates:
        """A number at `PLACES` over what chance gives there, (places,)."""
        chance = at_places(self.chance[number])
        return derive(lambda values: values / chance, self.at_places(number))


def measure_member(settings: Settings, facts: FactSet, corpus: Corpus) -> FamilyMember:
    """Measure one model on given facts.

    Args:
        settings: of this model.
        facts: those that are measured.
        corpus: the text of its second moments.

    Raises:
        KsError: what the model cannot use.
    """
    inputs = load_inputs(settings, facts=facts, corpus=corpus)
    keys = subject_keys(inputs.model, facts.facts)
    text = inputs.text()
    weights = fact_weights(len(facts), settings.resamples, settings.seed).astype(np.float64)
    by_layer: dict[str, list[Replicates]] = {number: [] for number in NUMBERS}
    chance: dict[str, list[float]] = {number: [] for number in NUMBERS}
    for layer in tqdm(sorted(keys), desc=printable(settings.model_name), unit="layer", disable=None):
        pairs = layer_pairs(layer, keys[layer], len(facts), text)
        of_chance = by_chance(pairs.whitened_norms, pairs.d_key, settings.seed)
        for number, (_, matrix, statistic) in NUMBERS.items():
            by_layer[number].append(_of_layer(pairs, matrix, statistic, weights))
            chance[number].append(of_chance[matrix, statistic])
    size = parameters_outside_embedding(inputs.model.model)
    logger.info(
        "  measured %s: %s parameters outside the embedding, %d layers", settings.model_name, f"{size:,}", len(keys)
    )
    return FamilyMember(
        name=settings.model_name,
        revision=inputs.model.revision,
        weights_sha256=inputs.model.weights_sha256,
        size=size,
        numbers={number: derive(lambda *layers: np.stack(layers), *of) for number, of in by_layer.items()},
        chance={number: np.array(of) for number, of in chance.items()},
    )


def _of_layer(pairs: LayerPairs, matrix: str, statistic: str, weights: Array) -> Replicates:
    everything = np.ones((1, weights.shape[1]))
    return Replicates(
        value=statistic_of(pairs.matrices[matrix], statistic, everything)[0],
        facts=statistic_of(pairs.matrices[matrix], statistic, weights),
        text=np.concatenate([statistic_of(half[matrix], statistic, everything) for half in pairs.halves]),
    )
