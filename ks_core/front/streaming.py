"""Hundreds of edits by many methods, as `ks stream` makes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ks_core import arguments, defaults
from ks_core.data.corpus import Corpus
from ks_core.data.facts import PACKAGED_FACTS, Facts
from ks_core.experiments.lifelong.measure import NUM_EDITS, measure_lifelong, stream_inputs
from ks_core.experiments.lifelong.measurement import Lifelong
from ks_core.experiments.lifelong.plan import ORDERS
from ks_core.experiments.request.selection import select_facts
from ks_core.experiments.request.settings import Settings
from ks_core.experiments.streams.run import NO_EDITORS
from ks_core.models.loading import Model
from ks_core.theory.editors import EditFunction


def stream(
    model: Model,
    facts: Facts = PACKAGED_FACTS,
    *,
    edits: int = NUM_EDITS,
    orders: int = ORDERS,
    layer: int | None = None,
    editors: Mapping[str, EditFunction] = NO_EDITORS,
    corpus: str | Path | Corpus = defaults.CORPUS,
    tokens: int = defaults.TOKENS,
    ridge: float = 0.0,
    seed: int = 0,
) -> Lifelong:
    """Make hundreds of edits by every method, in several orders, and look at what each keeps and breaks, and when.

    The model is as before afterwards. Second moments and target values are cached.

    Args:
        model: as `load_model` takes it.
        facts: to edit and to watch, as `load_facts` takes them; of the packaged ones, as of others, those that the
            model knows.
        edits: N at most; of facts that share no subject with those that are watched.
        orders: of the edits, drawn at random.
        layer: the layer to edit; at a third of the depth when left out.
        editors: editors of one's own by name, run beside the methods; as `check_editor` takes them.
        corpus: text of the second moments, as `load_corpus` takes it; what follows them in it is held out.
        tokens: of it for the second moments.
        ridge: added to the second moments, in mean eigenvalues.
        seed: of orders and samples.

    Returns:
        `Lifelong`; `found.curves` are the methods, `found.scores(curve, count)` what one keeps after so many edits.

    Raises:
        InputError: inputs that cannot be used, a layer that does not exist, too few facts.

    Example:
        >>> from ks_core.data.corpus import corpus_of
        >>> from ks_core.data.fact import Fact
        >>> from ks_core.models.loading import load_model
        >>> from ks_core.models.tiny import byte_level_tokenizer, tiny_model
        >>> model = load_model(tiny_model("gpt2"), byte_level_tokenizer())
        >>> text = corpus_of((f"The river of {n} towns, and {n * n} stones." for n in range(400)), "rivers")
        >>> lands = ("Chile", "Nepal")
        >>> facts = [Fact(n, f"Town {n}", "P17", "{} lies in", lands[n % 2], lands[n % 2 - 1]) for n in range(60)]
        >>> found = stream(model, facts, edits=8, orders=1, layer=1, corpus=text, tokens=800)
        >>> len(found.plan.edits), "joint" in {curve.method for curve in found.curves}
        (8, True)
    """
    count = arguments.whole_number("edits", edits, 1)
    rounds = arguments.whole_number("orders", orders, 1)
    chosen = None if layer is None else arguments.whole_number("layer", layer, 0)
    settings = Settings(tokens=tokens, ridge=ridge, seed=seed)
    inputs = stream_inputs(settings, chosen, model, facts, corpus)
    selection = select_facts(inputs.model, inputs.facts, 1)  # how many there must be is the plan's to say
    return measure_lifelong(inputs, selection, editors, num_edits=count, orders=rounds, layer=chosen)
