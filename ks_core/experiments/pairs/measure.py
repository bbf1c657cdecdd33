"""The whole measurement: model, text and facts in, one frozen value out, which the claims then read."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ks_core import __version__
from ks_core.experiments.clock import Clock
from ks_core.experiments.pairs.layer import LayerPairs, analyse
from ks_core.experiments.pairs.statistics import Statistics, pair_statistics
from ks_core.experiments.request.inputs import Inputs, load_inputs
from ks_core.experiments.request.selection import Selection, select_facts
from ks_core.experiments.request.settings import Settings
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.readable import summary
from ks_core.models.loaded import LoadedModel
from ks_core.statistics import null
from ks_core.statistics.bootstrap import fact_weights
from ks_core.statistics.null import LengthsStatistic, NullStatistic, lengths_null, null_summaries
from ks_core.statistics.pairs import one_per_subject

NULL_DRAWS = 100
"""Random sets of keys of the null model: the quantile at 95 % then has five draws above it."""

LENGTHS_DRAWS = 20
"""Random sets of directions with the keys' own lengths: a reference in the table, known to a fifth of its spread."""


@dataclass(frozen=True)
class Measurement:
    """Everything that was measured on one model; nothing in it is judged yet.

    Attributes:
        provenance: what the numbers depend on, as plain JSON values
        weights: (B, n), the bootstrap draws behind every error over facts
        distinct: the same with one fact per subject
        null: `P` and `whitened_cosine` of Gaussian keys
        lengths_alone: statistic of P → by layer, what random directions of the keys' own whitened lengths give
    """

    settings: Settings
    provenance: Mapping[str, Any]
    selection: Selection
    pairs: tuple[LayerPairs, ...]
    weights: NDArray[np.int64]
    statistics: Statistics
    distinct: Statistics
    null: Mapping[str, Mapping[str, NullStatistic]]
    lengths_alone: Mapping[str, LengthsStatistic]
    seconds: Mapping[str, float]

    @property
    def layers(self) -> tuple[int, ...]:
        """The measured layers."""
        return tuple(pairs.layer for pairs in self.pairs)

    @property
    def num_facts(self) -> int:
        """How many facts were measured, n."""
        return len(self.selection.measured)

    @property
    def num_pairs(self) -> int:
        """Ordered pairs of two different facts, n (n - 1): the entries behind every number of a layer."""
        return self.num_facts * (self.num_facts - 1)


def measure(settings: Settings, *, inputs: Inputs | None = None) -> Measurement:
    """Run the protocol of the paper (§2) on one model.

    Args:
        settings: what to measure.
        inputs: those of the settings, where they are loaded already.

    Raises:
        KsError: input that cannot be used, an asset that cannot be had, stored data made from something else.
    """
    clock = Clock()
    inputs = inputs or load_inputs(settings)
    model = inputs.model
    clock.lap("loading")
    selection = select_facts(model, inputs.facts, settings.num_facts)
    clock.lap("known facts", _usable(selection))
    keys = subject_keys(model, selection.pool.facts, settings.layers)
    clock.lap("keys", f"{len(selection.pool)} facts, {len(keys)} layers")
    text = inputs.text()
    clock.lap("second moments", f"{text.moments.provenance.tokens:,} tokens, in {text.moments.folder}")
    pairs = analyse(keys, settings.num_facts, text)
    clock.lap("superposition", _silent(pairs))
    provenance = _provenance(settings, model, selection, asdict(text.moments.provenance) | {"layers": text.layers})
    return _summarised(settings, provenance, selection, pairs, clock)


def _silent(pairs: Sequence[LayerPairs]) -> str:
    """How many neurons never fired, where any did not."""
    silent = {of_layer.layer: of_layer.silent_neurons for of_layer in pairs if of_layer.silent_neurons}
    if not silent:
        return ""
    layer, most = max(silent.items(), key=lambda of: of[1])
    return f"{sum(silent.values())} neurons never fired and are left out, most in layer {layer}: {most}"


def _usable(selection: Selection) -> str:
    counts = f"{len(selection.usable)} of {selection.asked} usable"
    return f"{counts}; {summary(selection.left_out)}" if selection.left_out else counts


def _summarised(
    settings: Settings, provenance: Mapping[str, Any], selection: Selection, pairs: list[LayerPairs], clock: Clock
) -> Measurement:
    """Statistics, and what chance gives, of the pair matrices."""
    one_each = one_per_subject([fact.subject for fact in selection.measured])
    weights = fact_weights(settings.num_facts, settings.resamples, settings.seed)
    statistics = pair_statistics(pairs, weights)
    distinct = pair_statistics(pairs, fact_weights(len(one_each), settings.resamples, settings.seed), one_each)
    clock.lap("statistics")
    norms = np.stack([of_layer.whitened_norms for of_layer in pairs])
    chance = _null(settings, pairs[0].d_key)
    lengths = lengths_null(norms, pairs[0].d_key, LENGTHS_DRAWS, settings.seed)
    clock.lap("null models")
    return Measurement(
        settings=settings,
        provenance=provenance,
        selection=selection,
        pairs=tuple(pairs),
        weights=weights,
        statistics=statistics,
        distinct=distinct,
        null=chance,
        lengths_alone=lengths,
        seconds=clock.laps,
    )


def _null(settings: Settings, d_key: int) -> dict[str, dict[str, NullStatistic]]:
    draw = partial(null.null_whitened_keys, settings.num_facts, d_key)
    formulas = {"P": null.superposition, "whitened_cosine": null.cosines}
    return {name: null_summaries(draw, formula, NULL_DRAWS, settings.seed) for name, formula in formulas.items()}


def _provenance(
    settings: Settings, model: LoadedModel, selection: Selection, moments: dict[str, Any]
) -> dict[str, Any]:
    libraries = ("torch", "transformers", "numpy", "scipy")
    return {
        **moments,
        "layers": list(moments["layers"]),
        "revision": model.revision,
        "facts": selection.measured.name,
        "facts_sha256": selection.measured.fingerprint,
        "pool_sha256": selection.pool.fingerprint,
        "num_facts": settings.num_facts,
        "resamples": settings.resamples,
        "seed": settings.seed,
        "ridge": settings.ridge,
        "ks_core": __version__,
        "libraries": {name: version(name) for name in libraries},
        "machine": f"{platform.system()} {platform.machine()}, {settings.device}, {torch.get_num_threads()} of "
        f"{os.cpu_count()} cores, Python {platform.python_version()}",
    }
