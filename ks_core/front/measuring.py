"""Measure everything that the claims of the paper are about on one model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import get_args

from ks_core import arguments
from ks_core.data.corpus import Corpus
from ks_core.data.facts import Facts
from ks_core.errors import InputError
from ks_core.experiments.measured import Measured, Part, measure_part
from ks_core.experiments.pairs.measure import measure as measure_pairs
from ks_core.experiments.request.inputs import load_inputs
from ks_core.experiments.request.settings import Settings
from ks_core.experiments.streams.run import NO_EDITORS
from ks_core.formatting import shown
from ks_core.front.results import Results
from ks_core.models.loading import Model
from ks_core.theory.editors import EditFunction, check_editors

PARTS: tuple[Part, ...] = ("stream", "dose")
"""What is measured besides the pairs of facts, where nothing else is asked for."""

STREAMS = {"stream", "lifelong"}
"""The parts that run editors."""


def measure(
    model: Model | None = None,
    facts: Facts | None = None,
    settings: Settings | None = None,
    *,
    corpus: str | Path | Corpus | None = None,
    parts: Iterable[Part] = PARTS,
    editors: Mapping[str, EditFunction] = NO_EDITORS,
) -> Results:
    """Measure everything that the claims of the paper are about on one model.

    Superposition between the first facts that the model knows, in every layer; a stream of edits by four methods, and
    single edits of one relation, really made and taken back bit for bit. Text and target values are cached.

    Args:
        model: as `load_model` takes it; the one of the settings when left out.
        facts: as `load_facts` takes them; those of the settings when left out.
        settings: everything else: `Settings(num_facts=64, tokens=500_000)`.
        corpus: text of the second moments, as `load_corpus` takes it; the one of the settings when left out.
        parts: what is measured besides the pairs of facts: "stream", "dose", "sizes" (the families of models that the
            settings name), and what takes many minutes: "lifelong" (hundreds of edits in several orders), "capacity"
            (the same on small models) and "long_dose" (as "dose", of more edits).
        editors: editors of one's own by name, which the streams run beside the four methods; as `check_editor` takes
            them. Each is tried on a small weight before the work begins.

    Raises:
        InputError: arguments or inputs that cannot be used, an editor that fails, fewer known facts than asked for,
            more edits than there is room for.
        RankDeficientError: less text than the keys have dimensions.
        AssetError: a model or text that cannot be fetched.

    Example:
        >>> from ks_core.data.corpus import corpus_of
        >>> from ks_core.data.facts import Fact
        >>> from ks_core.models.loading import load_model
        >>> from ks_core.models.tiny import byte_level_tokenizer, tiny_model
        >>> model = load_model(tiny_model("gpt2"), byte_level_tokenizer())
        >>> text = corpus_of((f"The river of {n} towns, and {n * n} stones." for n in range(80)), "rivers")
        >>> lands = ("France", "Portugal", "Japan", "Italy")
        >>> facts = [Fact(n, f"Town {n}", "P17", "{} lies in", lands[n % 4], lands[n % 4 - 1]) for n in range(16)]
        >>> small = Settings(num_facts=4, resamples=40, tokens=800)
        >>> found = measure(model, facts, small, corpus=text, parts=())
        >>> found
        Results(model='GPT2LMHeadModel', facts=4, layers=2, parts=pairs)
        >>> found.statistics["P"]["kurtosis"].value.shape
        (2,)
    """
    wanted = Settings() if settings is None else settings
    arguments.instance("settings", wanted, Settings, "such as Settings(num_facts=64)")
    chosen = _chosen(parts)
    others = check_editors(editors)
    if others and not STREAMS & set(chosen):
        raise InputError(f"editors were given with parts {shown(chosen)}; expected 'stream' or 'lifelong' among them")
    inputs = load_inputs(wanted, model, facts, corpus)
    measured = Measured(measure_pairs(inputs.settings, inputs=inputs))
    for part in chosen:
        measured = measure_part(inputs, measured, part, others)
    return Results(measured)


def _chosen(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Each part once, in the order in which they are measured."""
    known: tuple[Part, ...] = get_args(Part)
    expected = f"a collection of {', '.join(known)}"
    given = list(arguments.items("parts", parts, expected))
    if any(part not in known for part in given):
        raise InputError(f"parts is {shown(given)}; expected {expected}")
    return tuple(part for part in known if part in given)
