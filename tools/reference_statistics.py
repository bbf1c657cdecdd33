"""Statistics that are the same on every machine: pinned weights, facts and text, float64 throughout.

The text is the facts themselves as sentences, because it has to lie in the repository.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from ks_core.data.corpus import Corpus, corpus_of
from ks_core.data.facts import FactSet, packaged_facts
from ks_core.data.statements import statements
from ks_core.experiments.pairs.layer import layer_pairs
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.measurement.whitening import TextWhitening
from ks_core.models.loaded import LoadedModel
from ks_core.statistics.summaries import summarise

TOKENS = 16_384
"""of the text; the widest model has d_key 672"""

RIDGE = 1e-4
"""In mean eigenvalues: sentences of a few wordings do not fill the widest key spaces, and without it the smallest
eigenvalues would be rounding, which differs between machines."""

SHARP = ("mean", "std", "skewness", "kurtosis")
"""Statistics that no entry can cross: shares are counts, and a mode is found on a grid."""


def statements_corpus() -> Corpus:
    """The packaged facts as sentences, in every wording of their relation, in hashed order."""
    return corpus_of(statements(packaged_facts()), "statements of the packaged facts", licence="CC0-1.0")


def reference_statistics(model: LoadedModel, facts: FactSet, corpus: Corpus) -> dict[str, dict[str, list[float]]]:
    """Statistics of all four pair matrices of a model.

    Args:
        model: in float64.
        facts: what is measured.
        corpus: text of the second moments.

    Returns:
        matrix → statistic of `SHARP` → one number per layer.
    """
    keys = subject_keys(model, facts.facts)
    with tempfile.TemporaryDirectory() as folder:  # a few seconds of work; nothing of it is kept
        moments = collect_second_moments(model, corpus, tokens=TOKENS, folder=Path(folder))
        text = TextWhitening(moments, RIDGE)
        layers = [layer_pairs(layer, keys[layer], len(facts), text) for layer in sorted(keys)]
    found = [{name: summarise(matrix) for name, matrix in pairs.matrices.items() if name != "pool"} for pairs in layers]
    return {
        matrix: {statistic: [of_layer[matrix][statistic] for of_layer in found] for statistic in SHARP}
        for matrix in found[0]
    }
