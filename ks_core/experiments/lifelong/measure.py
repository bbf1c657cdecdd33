"""Long streams of one model, from its inputs to a measurement."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ks_core.data.corpus import Corpus
from ks_core.data.facts import EVERYDAY_FACTS, INSERTIONS, Facts, load_facts
from ks_core.errors import InputError
from ks_core.experiments.clock import Clock
from ks_core.experiments.lifelong.acting import where_it_acts
from ks_core.experiments.lifelong.contenders import Contender, Edits, contenders, details_of, of_editor
from ks_core.experiments.lifelong.forecast import foretell
from ks_core.experiments.lifelong.ground import Ground, subject_bank
from ks_core.experiments.lifelong.look import Curve
from ks_core.experiments.lifelong.measurement import Acting, Forecast, Lifelong
from ks_core.experiments.lifelong.plan import ORDERS, LifelongPlan, plan_lifelong
from ks_core.experiments.lifelong.reading import asked_text
from ks_core.experiments.lifelong.run import run_all
from ks_core.experiments.lifelong.searches import FORMS, LEVELS, of_searches
from ks_core.experiments.lifelong.watch import Watch, watch_orders
from ks_core.experiments.request.inputs import Inputs, load_inputs
from ks_core.experiments.request.selection import Selection
from ks_core.experiments.request.settings import Settings
from ks_core.experiments.streams.growth import Growth, StreamGeometry, growth
from ks_core.experiments.streams.plan import stream_layer
from ks_core.experiments.streams.run import NO_EDITORS
from ks_core.experiments.streams.setup import HELD_OUT_TOKENS, LONGEST_HELD_OUT
from ks_core.formatting import one_line, shown
from ks_core.measurement.behaviour import held_out_text
from ks_core.measurement.cached_values import cached_target_values_at
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.known import known_facts
from ks_core.measurement.readable import readable_facts
from ks_core.measurement.values import ValueSettings
from ks_core.models.loading import Model
from ks_core.statistics.pairs import Array
from ks_core.theory.editors import EditFunction, check_editors
from ks_core.theory.superposition import superposition
from ks_core.theory.whitening import Whitening

logger = logging.getLogger(__name__)

NUM_EDITS = 400
"""Edits of a long stream at most."""

SPREAD = 3
"""Layers that MEMIT spreads an edit over, the edited one the last; it takes five of GPT-J's 28."""


def measure_lifelong(
    inputs: Inputs,
    selection: Selection,
    editors: Mapping[str, EditFunction] = NO_EDITORS,
    *,
    num_edits: int = NUM_EDITS,
    orders: int = ORDERS,
    layer: int | None = None,
) -> Lifelong:
    """Edit hundreds of facts by every method, in several orders, and forecast what that does.

    Args:
        inputs: of the run; the model is edited inside and restored bit for bit.
        selection: the facts that the model knows; they are edited, and those of other subjects watched.
        editors: anyone's by name, run beside the methods.
        num_edits: N at most.
        orders: of the edits.
        layer: the edited one, of the measured ones; as in the short stream when left out.

    Raises:
        KsError: too few facts, or inputs that cannot be used; an editor that fails in the middle of a stream does not
            end the others.
    """
    editors, clock, settings = check_editors(editors), Clock(), inputs.settings
    ground = ground_of(inputs, selection, num_edits, orders, layer)
    clock.lap("values")
    watches = watches_of(inputs, ground)
    before = tuple(watch.unedited() for watch in watches)
    clock.lap("unedited")
    own = [*contenders(ground.weight.shape[1]), *of_searches()]
    methods = [*own, *of_others(editors, own)]
    curves = run_all(methods, ground, watches)
    clock.lap("streams")
    forecasts = _forecasts(ground, watches[0], settings.seed)
    clock.lap("forecasts")
    acting = _acting(ground, watches[0], {of.method: of.prepare(ground) for of in methods if of.is_followed})
    clock.lap("where edits act")
    return Lifelong(
        plan=ground.plan,
        search=ValueSettings(target_probability=LEVELS[-1]),
        reached=ground.values.probabilities.numpy(),
        before=before,
        text_lengths=watches[0].text.lengths,
        curves=curves,
        acting=acting,
        forecasts=forecasts,
        growth=_growth(ground, watches[0], settings.resamples, settings.seed),
        simulated=_simulated(curves, acting),
        details=details_of(ground),
        resamples=settings.resamples,
        seed=settings.seed,
        seconds=clock.laps,
    )


def stream_inputs(
    settings: Settings,
    layer: int | None = None,
    model: Model | None = None,
    facts: Facts | None = None,
    corpus: str | Path | Corpus | None = None,
) -> Inputs:
    """The inputs of a stream in one layer, with the layers below it that edits are spread over.

    Args:
        settings: everything else.
        layer: the edited one; all are there to choose from when left out.
        model, facts, corpus: as `load_inputs` takes them.

    Raises:
        KsError: as `load_inputs`; a layer that is not there.
    """
    inputs = load_inputs(settings if layer is None else replace(settings, layers=(layer,)), model, facts, corpus)
    if layer is None:
        return inputs
    with_below = tuple(range(max(0, layer - SPREAD + 1), layer + 1))
    return replace(inputs, settings=replace(inputs.settings, layers=with_below))


def of_others(editors: Mapping[str, EditFunction], own: Sequence[Contender]) -> list[Contender]:
    """Anyone's editors, none of which may have the name of a method.

    Raises:
        InputError: one has; names it.
    """
    taken = {of.method for of in own}
    for name in editors:
        if name in taken:
            others = ", ".join(sorted(taken))
            raise InputError(f"an editor is called {shown(name)}; expected another name than {others}")
    return [of_editor(*of) for of in editors.items()]


def ground_of(inputs: Inputs, selection: Selection, num_edits: int, orders: int, layer: int | None = None) -> Ground:
    """Choose the facts, search the values of the edits, read the keys of many other subjects."""
    model, text = inputs.model, inputs.text()
    layer = stream_layer(text.layers) if layer is None else layer
    plan = _plan(inputs, selection, layer, num_edits, orders)
    logger.info("target values of %d edits in layer %d", len(plan.edits), layer)
    taken = {fact.subject for fact in (*plan.edits, *plan.watched)}
    bank = readable_facts(model, [fact for fact in load_facts(INSERTIONS) if fact.subject not in taken]).facts
    values = cached_target_values_at(model, plan.edits, layer, LEVELS)
    return Ground(
        model=model,
        plan=plan,
        text=text,
        weight=model.adapter.weight(layer).to("cpu", torch.float64),
        whitening=text.whole(layer),
        second_moment=text.second_moment(layer),
        levels=dict(zip(LEVELS, values, strict=True)),
        subjects=subject_bank(model, bank, layer),
        spread=tuple(of for of in text.layers if layer - SPREAD < of <= layer),
    )


def _plan(inputs: Inputs, selection: Selection, layer: int, num_edits: int, orders: int) -> LifelongPlan:
    known = inputs.facts.subset(selection.usable).facts
    own = {fact.relation_id for fact in known}
    far = [fact for fact in known_facts(inputs.model, EVERYDAY_FACTS).facts if fact.relation_id not in own]
    return plan_lifelong(layer, known, far, num_edits, inputs.settings.seed, orders)


def watches_of(inputs: Inputs, ground: Ground) -> tuple[Watch, ...]:
    """What is asked in each order, and the held-out text: that after the text of the second moments."""
    tokens = ground.text.moments.provenance.tokens
    texts = held_out_text(
        inputs.model, inputs.corpus, after=tokens, tokens=HELD_OUT_TOKENS, longest_text=LONGEST_HELD_OUT
    )
    lowest = min(ground.spread)
    return watch_orders(inputs.model, ground.plan, lowest, asked_text(inputs.model, lowest, texts))


def _forecasts(ground: Ground, watch: Watch, seed: int) -> tuple[Forecast, ...]:
    terms = ground.terms(ground.whitening)
    return tuple(foretell(name, form, terms, ground.plan, watch.watched, seed) for name, form in FORMS.items())


def _acting(ground: Ground, watch: Watch, prepared: Mapping[str, Edits]) -> tuple[Acting, ...]:
    """At the end of the first order."""
    places = watch.order.tolist()
    shares = np.abs(_superposition(ground, watch, ground.whitening)[1]).max(axis=0)
    found = []
    for name, edits in prepared.items():
        try:
            found.append(where_it_acts(name, len(places), edits(places), watch.watched, shares))
        except InputError as error:  # such as edits that depend on each other
            logger.info("%s: not asked where it acts: %s", name, one_line(error))
    return tuple(found)


def _superposition(ground: Ground, watch: Watch, whitening: Whitening) -> tuple[Array, Array]:
    """P among the edits and onto the watched facts, in the order of the edits."""
    layer, order = ground.plan.layer, watch.order.tolist()
    of_watched = subject_keys(ground.model, ground.plan.watched, [layer])[layer]
    rows = whitening.whiten(ground.values.keys[order])
    return superposition(rows).numpy(), superposition(rows, whitening.whiten(of_watched)).numpy()


def _growth(ground: Ground, watch: Watch, resamples: int, seed: int) -> Growth:
    wanted = ground.values.residuals(ground.weight)[watch.order.tolist()]
    products = (wanted @ wanted.T).numpy()
    whitenings = ground.whitening, *ground.text.halves(ground.plan.layer)
    whole, *halves = (StreamGeometry(*_superposition(ground, watch, of), products) for of in whitenings)
    return growth(whole, tuple(halves), resamples, seed)


def _simulated(curves: Sequence[Curve], acting: Sequence[Acting]) -> dict[str, float]:
    """By method, the largest difference of a watched fact's log-probability, edits simulated and really made."""
    ends = {curve.method: curve.looks[0][-1] for curve in curves if curve.is_default and any(curve.looks[:1])}
    return {
        of.method: float((of.everywhere.log_probability - ends[of.method].watched.log_probability).abs().max())
        for of in acting
        if of.method in ends and ends[of.method].edits == of.edits
    }
