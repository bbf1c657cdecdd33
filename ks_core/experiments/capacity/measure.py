"""How many edits models of many widths take: streams of insertions on families of models, and on that of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ks_core.data.facts import INSERTIONS, Fact, FactSet, load_facts
from ks_core.errors import InputError
from ks_core.experiments.capacity.stream import BEYOND, ModelCapacity, run_stream
from ks_core.experiments.clock import Clock
from ks_core.experiments.request.inputs import Inputs, load_inputs
from ks_core.experiments.request.options import set_by
from ks_core.experiments.request.selection import Selection, select_facts
from ks_core.experiments.sizes.choice import families
from ks_core.experiments.streams.plan import stream_layer
from ks_core.measurement.readable import readable_facts


@dataclass(frozen=True, eq=False)
class Capacity:
    """Streams of insertions on several models; nothing in it is judged yet.

    Attributes:
        models: members of families, smallest first, and last the model of the run
        resamples: bootstrap samples behind each error
    """

    models: tuple[ModelCapacity, ...]
    resamples: int
    seed: int
    seconds: Mapping[str, float]


def measure_capacity(inputs: Inputs, selection: Selection) -> Capacity:
    """Make streams of insertions in every model, each read on the facts that the model knows.

    A member of a family gets 1.25 d_key insertions, or all where there are not so many, the model of the run as many as
    its settings ask for. Every model
    is edited in the layer at a third of its depth, and read on the first facts of the file that it knows, twice
    `num_facts` at most. The insertions, and their order, are the same for all.

    Args:
        inputs: of the run; its model is edited inside and restored bit for bit. Families are those of its settings,
            and whitened over the same text.
        selection: facts that its model knows.

    Returns:
        One stream for each model, one seed and one result.

    Raises:
        InputError: more insertions than there are, or a model that knows fewer facts than it is to be read on.
        KsError: what a model cannot use.
    """
    clock, settings = Clock(), inputs.settings
    insertions = load_facts(INSERTIONS)
    found = []
    for family, members in families(settings).items():
        for member in members:
            found.append(_of_member(inputs, family, member, insertions))
            clock.lap(found[-1].name)
    family = inputs.model.adapter.model_type
    found.append(_stream(inputs, family, selection.pool, insertions, settings.insertions))
    clock.lap(found[-1].name)
    return Capacity(tuple(found), settings.resamples, settings.seed, clock.laps)


def _of_member(inputs: Inputs, family: str, member: str, insertions: FactSet) -> ModelCapacity:
    settings = replace(inputs.settings, model=member, revision=None, layers=None)
    own = load_inputs(settings, facts=inputs.facts, corpus=inputs.corpus)
    pool = select_facts(own.model, own.facts, settings.num_facts).pool
    most = min(round(BEYOND * own.model.adapter.d_key), len(_usable(own, insertions, pool)))
    return _stream(own, family, pool, insertions, most)


def _stream(inputs: Inputs, family: str, watched: FactSet, insertions: FactSet, count: int) -> ModelCapacity:
    text = inputs.text()
    layer = stream_layer(text.layers)
    edits = _first(inputs, insertions, watched, count)
    name = inputs.settings.model_name
    return run_stream(inputs.model, name, family, layer, text.whole(layer), edits, watched.facts)


def _first(inputs: Inputs, insertions: FactSet, watched: FactSet, count: int) -> tuple[Fact, ...]:
    """The first insertions that the model can be asked about, of other subjects than the watched facts'."""
    usable = _usable(inputs, insertions, watched)
    if count > len(usable):
        raise InputError(
            f"{count} insertions were asked for in {inputs.settings.model_name}, and {len(usable)} can be made; "
            f"expected at most so many: ask for fewer {set_by('insertions')}"
        )
    return usable[:count]


def _usable(inputs: Inputs, insertions: FactSet, watched: FactSet) -> tuple[Fact, ...]:
    subjects = {fact.subject for fact in watched}
    return tuple(fact for fact in readable_facts(inputs.model, insertions).facts if fact.subject not in subjects)
