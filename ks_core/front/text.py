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
from ks_core.measurement.moments.plan import MomentPlan
from ks_core.measurement.moments.planning import plan_by_name
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
    longest_text: int | None = defaults.LONGEST_TEXT,
    memory: int | None = None,
) -> SecondMoments:
    """Second moments of the keys of all layers over text, from one pass or as many as fit, or from the cache.

        C = E[k kᵀ], k the input of the layer's last MLP projection, at every token       (Hu et al. 2025, §2)

    Args:
        model: as `load_model` takes it.
        tokens: of text that are read, a whole number; at least twice d_key.
        corpus: name, path or `Corpus`, as `load_corpus` takes it; the packaged text when left out.
        layers: which layers; default all.
        longest_text: tokens after which a text is cut; at the model's context where this is None.
        memory: bytes that the model's device may use, or the process where that is the CPU.

    Returns:
        `SecondMoments`; `.at(layer).matrix` is C, (d_key, d_key) float64, and the functions that need text take it as
        `moments`.

    Raises:
        InputError: a model or text that cannot be used, too little text, or memory that is too little for one layer.
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
    return collect_second_moments(
        load_model(model), load_corpus(corpus), tokens=tokens, layers=layers, longest_text=longest_text, memory=memory
    )


def plan_second_moments(
    model: str | Path,
    tokens: int = defaults.TOKENS,
    *,
    layers: Sequence[int] | None = None,
    device: str = defaults.DEVICE,
    dtype: str = defaults.DTYPE,
    memory: int | None = None,
    revision: str | None = None,
) -> MomentPlan:
    """What `second_moments` will take: passes over the text, bytes on device, host and disk, operations.

    Args:
        model: name of a packaged model, a folder or a hub id, of which the config alone is read.
        tokens, layers, memory: as `second_moments` takes them.
        device: "cpu" or "cuda", which need not be there.
        dtype: of the forward passes.
        revision: of a hub model.

    Returns:
        A plan; its bytes are estimates.

    Raises:
        InputError: a model, layers, dtype or device that there is not, or memory that is too little for one layer.
        AssetError: a hub model that cannot be reached.

    Example:
        >>> import tempfile
        >>> from ks_core.models.tiny import tiny_model
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tiny_model("gpt2").save_pretrained(folder)
        ...     plan = plan_second_moments(folder, tokens=4096, device="cuda", memory=2 * 10**9)
        >>> plan.passes, plan.placing.at_once, plan.seconds(rate=1000)
        (((0, 1),), 2, 4.096)
    """
    return plan_by_name(
        str(model),
        revision=revision,
        tokens=tokens,
        layers=layers,
        dtype=dtype,
        device=device,
        memory=memory,
    )


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
