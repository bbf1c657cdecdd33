"""Second moments and superposition of a model in one line each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from ks_core import defaults
from ks_core.data.corpus import Corpus, load_corpus
from ks_core.data.facts import Facts, load_facts
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.measurement.moments.second_moments import SecondMoments
from ks_core.measurement.whitening import text_of
from ks_core.models.loading import Model, load_model
from ks_core.theory.superposition import superposition as superposition_of_whitened


def second_moments(
    model: Model,
    tokens: int = defaults.TOKENS,
    *,
    corpus: str | Path | Corpus = defaults.CORPUS,
    layers: Sequence[int] | None = None,
) -> SecondMoments:
    """Second moments of the keys of all layers over text, from one pass or from the cache.

        C = E[k kᵀ], k the input of the layer's last MLP projection, at every token       (Hu et al. 2025, §2)

    Args:
        model: as `load_model` takes it.
        tokens: of text that are read, a whole number; at least twice d_key.
        corpus: name, path or `Corpus`, as `load_corpus` takes it; the packaged text when left out.
        layers: which layers; default all, in the same pass.

    Returns:
        `SecondMoments`; `.at(layer).matrix` is C, (d_key, d_key) float64, and the functions that need text take it as
        `moments`.

    Raises:
        InputError: a model or text that cannot be used, or too little text.
        RankDeficientError: half the text has fewer tokens than d_key.

    Example:
        >>> from ks_core.data.corpus import corpus_of
        >>> from ks_core.models.tiny import byte_level_tokenizer, tiny_model
        >>> model = load_model(tiny_model("gpt2"), byte_level_tokenizer())
        >>> text = corpus_of((f"The river of {n} towns, and {n * n} stones." for n in range(40)), "rivers")
        >>> moments = second_moments(model, tokens=400, corpus=text)
        >>> moments.layers, moments.at(1).matrix.shape
        ((0, 1), torch.Size([12, 12]))
    """
    return collect_second_moments(load_model(model), load_corpus(corpus), tokens=tokens, layers=layers)


def superposition(
    model: Model, facts: Facts, layer: int, *, moments: SecondMoments | None = None, ridge: float = 0.0
) -> Tensor:
    """Superposition of facts in one layer: the share of an edit at fact i that is felt at fact j.

        P[i, j] = k_iᵀ C⁻¹ k_j / k_iᵀ C⁻¹ k_i                  (Hu et al. 2025, "How to Understand p(·)")

    Args:
        model: as `load_model` takes it.
        facts: n facts, as `load_facts` takes them.
        layer: of the keys.
        moments: as `second_moments` gives them for this model; with its defaults when left out.
        ridge: added to the second moment before whitening, in mean eigenvalues.

    Returns:
        (n, n) float64 on the CPU, dimensionless; row edits, column suffers; the diagonal is 1.

    Raises:
        InputError: a layer that does not exist, or facts that the model cannot be asked about.
        ProvenanceError: the second moments are those of another model.
        RankDeficientError: too little text for this layer without a ridge.

    Example:
        >>> from ks_core.data.corpus import corpus_of
        >>> from ks_core.data.facts import Fact
        >>> from ks_core.models.tiny import byte_level_tokenizer, tiny_model
        >>> model = load_model(tiny_model("gpt2"), byte_level_tokenizer())
        >>> text = corpus_of((f"The river of {n} towns, and {n * n} stones." for n in range(40)), "rivers")
        >>> facts = [Fact(n, city, "P17", "{} lies in", "Japan", "Peru") for n, city in enumerate(("Nara", "Kyoto"))]
        >>> p = superposition(model, facts, layer=1, moments=second_moments(model, tokens=400, corpus=text))
        >>> p.shape, p.diagonal()
        (torch.Size([2, 2]), tensor([1., 1.], dtype=torch.float64))
    """
    loaded = load_model(model)
    layer = loaded.adapter.layer_number(layer)
    whitening = text_of(loaded, layer, moments, ridge).whole(layer)
    return superposition_of_whitened(whitening.whiten(subject_keys(loaded, load_facts(facts), [layer])[layer]))
