"""Predict what edits will do to facts that are to stay, in the layer where they cost least, without editing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ks_core import arguments, defaults
from ks_core.auditing.layers import LayerCost, choose_layer, tried_layers
from ks_core.auditing.plan import plan
from ks_core.auditing.prediction import Audit
from ks_core.auditing.rounds import simulate_foremost
from ks_core.auditing.screen import screen
from ks_core.auditing.simulation import simulate_together
from ks_core.auditing.together import compared
from ks_core.auditing.wanted import Wanted, wanted_edits
from ks_core.data.conflicts import warn_of_conflicts
from ks_core.data.corpus import Corpus, load_corpus
from ks_core.data.facts import Fact, Facts, load_facts
from ks_core.errors import InputError
from ks_core.formatting import shown
from ks_core.measurement.kept_facts import in_batches, rival_names, rivals_of
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.measurement.moments.peers.stated import imported_record
from ks_core.measurement.moments.second_moments import SecondMoments
from ks_core.measurement.readable import LeftOut, facts_to_keep, readable_facts, summary
from ks_core.measurement.values import TargetValues, ValueSettings
from ks_core.measurement.whitening import TextWhitening
from ks_core.models.loaded import LoadedModel
from ks_core.models.loading import Model, load_model
from ks_core.theory.editing import Edit
from ks_core.theory.superposition import superposition
from ks_core.theory.whitening import check_ridge

EXACT = 50
"""Facts that are simulated for each edit at first. On SmolLM2-135M 65 come of it in the mean, which hold 100, 98 and
93 % of the ten facts of 442 that each of 12 edits really hurts most in layers 4, 12 and 20 (`bench/audit`)."""

Exact = int | Literal["all"]


TOGETHER = ("joint", "sequential")
"""How an audit makes all edits together. What other methods do, `ks edit` simulates before it writes."""


@dataclass(frozen=True)
class Made:
    """Edits that were made already: their values, all of them together, and by which method."""

    values: TargetValues
    edit: Edit
    method: str
    search: ValueSettings


def audit(
    model: Model,
    edits: Facts,
    keep: Facts,
    *,
    layer: int | None = None,
    layers: Sequence[int] | None = None,
    corpus: str | Path | Corpus = defaults.CORPUS,
    tokens: int = defaults.TOKENS,
    moments: SecondMoments | None = None,
    ridge: float = 0.0,
    search: ValueSettings | None = None,
    exact: Exact = EXACT,
    method: str = "joint",
    made: Made | None = None,
) -> Audit:
    """Predict what edits would do to facts that are to stay, before any weight is touched: screen, then simulate.

        P[i, j] = k_iᵀ C⁻¹ k_j / k_iᵀ C⁻¹ k_i                 share of edit i felt at fact j, at its subject
        W + δ_i (C⁻¹k_i)ᵀ / k_iᵀC⁻¹k_i                          let act through the network, at every token of the fact

    One pass over the text (cached), a search of each edit's value (about a second each for the packaged model on two
    cores, cached), one forward and backward pass over the facts to keep, one forward pass of `exact` of them for each
    edit, from the edited layer on, and one for all edits together. The layer is chosen by what a sample costs.

    Args:
        model: as `load_model` takes it.
        edits: facts, as `load_facts` takes them, whose `target_new` is to become true; like the facts to keep, those
            that the model cannot be asked about (`readable_facts`) are left out and named in `left_out`.
        keep: facts that are to stay; those with the subject and relation of an edit are left out.
        layer: the layer to edit; the cheapest of `layers` when left out.
        layers: to try; `tried_layers` of the model's when left out.
        corpus: text of the second moments, as `load_corpus` takes it.
        tokens: how much of it.
        moments: second moments of this model, in the place of a corpus and tokens; of imported ones, which have no
            halves of their text, no share has an error over text.
        ridge: added to second moments before whitening, in mean eigenvalues.
        search: how the values of the edits are searched.
        exact: facts that are simulated for each edit; "all" for all of them.
        method: how all edits together are made: "joint" (one after another where their keys depend on one another), or
            "sequential".
        made: of all edits in `layer`, where they were made already.

    Returns:
        The prediction, of each edit alone and of all together.

    Raises:
        InputError: no edit that the model can be asked for, a layer that does not exist, nothing left to keep, a
            model, text, number of tokens or search that cannot be used, or no number of facts.
        ProvenanceError: second moments of another model.

    Warns:
        UserWarning: two edits of one subject and relation; names them.
    """
    search = ValueSettings() if search is None else search
    arguments.instance("search", search, ValueSettings, "such as ValueSettings(steps=50)")
    if method not in TOGETHER:
        raise InputError(f"method is {shown(method)}; expected {' or '.join(TOGETHER)}, which write along C⁻¹k")
    ridge, count = check_ridge(ridge), _count(exact)
    loaded = load_model(model)
    wanted, kept, left_out = _facts(loaded, edits, keep, every=made is not None)
    looked_at = _looked_at(loaded, layer, layers, moments)
    if moments is None:
        moments = collect_second_moments(loaded, load_corpus(corpus), tokens=tokens, layers=looked_at)
    text = TextWhitening(moments, ridge)
    costs: tuple[LayerCost, ...] = ()
    if layer is not None:
        chosen, whitening = loaded.adapter.layer_number(layer), text.whole(layer)
    else:
        tried = tried_layers(text.layers, loaded.adapter.num_layers) if layers is None else looked_at or ()
        costs, chosen, whitening = choose_layer(loaded, text, tried, wanted, kept, search)
    if made is not None:
        ready = wanted_edits(loaded, wanted, chosen, whitening, made.search, made.values)
        together = made.method, made.edit
    else:
        ready = wanted_edits(loaded, wanted, chosen, whitening, search)
        together = _all_together(ready, method)
    return replace(_in_layer(loaded, text, ready, kept, count, together), layers=costs, left_out=left_out)


def _count(exact: Exact) -> int:
    if isinstance(exact, str) and exact == "all":
        return arguments.LARGEST
    return arguments.whole_number("exact", exact, 1, hint=", or 'all'")


def _facts(
    model: LoadedModel, edits: Facts, keep: Facts, *, every: bool
) -> tuple[tuple[Fact, ...], tuple[Fact, ...], tuple[LeftOut, ...]]:
    """Edits, facts to keep, and those of both that are left out; with `every` no edit is."""
    asked = load_facts(edits, "edits").facts
    wanted, unread = (asked, ()) if every else _readable(model, asked)
    if not wanted:
        raise InputError(f"no edit is left that the model can be asked for: {summary(unread)}")
    warn_of_conflicts(wanted)
    kept = facts_to_keep(model, load_facts(keep, "facts to keep"), wanted)
    return wanted, kept.facts, unread + kept.left_out


def _readable(model: LoadedModel, facts: tuple[Fact, ...]) -> tuple[tuple[Fact, ...], tuple[LeftOut, ...]]:
    found = readable_facts(model, facts)
    return found.facts, found.left_out


def _looked_at(
    model: LoadedModel, layer: int | None, layers: Sequence[int] | None, moments: SecondMoments | None
) -> tuple[int, ...] | None:
    """The layers to look at, None for all; refused where there are none such, or moments are not of them."""
    if layer is not None and layers is not None:
        raise InputError(f"layer is {layer} and layers {list(layers)}; expected one of the two")
    asked = [layer] if layer is not None else layers
    looked_at = None if asked is None else tuple(map(model.adapter.layer_number, asked))
    if looked_at == ():
        raise InputError("layers is empty; expected one at least, or none given to try several")
    if moments is None:
        return looked_at
    arguments.instance("moments", moments, SecondMoments, "as second_moments(model) gives them")
    moments.require_model(model)
    return tuple(map(moments.layer_number, looked_at or moments.layers))


def _in_layer(
    model: LoadedModel,
    text: TextWhitening,
    wanted: Wanted,
    kept: tuple[Fact, ...],
    count: int,
    together: tuple[str, Edit],
) -> Audit:
    """Everything about the chosen layer."""
    layer, (left, right), (method, edit) = wanted.layer, wanted.alone(), together
    batches = in_batches(model, kept, rivals_of(kept, wanted.facts))
    screened = screen(model, layer, left, right, kept, batches)
    before, names = screened.before, rival_names(batches, len(kept))
    after = simulate_foremost(model, layer, left, right, batches, before, screened.order, min(count, len(kept)))
    shares, errors, among, norms = _shares(model, text, wanted, kept)
    return Audit(
        model=model.name,
        tokens=text.moments.provenance.tokens,
        ridge=text.ridge,
        edits=wanted.facts,
        keep=kept,
        layer=layer,
        silent_neurons=wanted.whitening.silent,
        target=wanted.target,
        reached=tuple(wanted.values.probabilities.tolist()),
        before=before.log_probability.numpy(),
        shares=shares.numpy(),
        share_errors=errors.numpy(),
        largest_shares=screened.largest_shares.numpy(),
        first_order=screened.first_order.numpy(),
        losses=(before.log_probability - after.log_probability).numpy(),
        overtaken=after.overtaken(before).numpy(),
        rival=after.rival.numpy(),
        rival_names=names,
        together=compared(kept, before, simulate_together(model, {layer: edit}, batches), names),
        method=method,
        plan=plan(model, wanted, among, norms) if len(wanted.facts) > 1 else None,
        imported=imported_record(text.moments.provenance),
    )


def _all_together(wanted: Wanted, method: str) -> tuple[str, Edit]:
    jointly = wanted.jointly() if method == "joint" else None
    return ("sequential", wanted.one_after_another()) if jointly is None else ("joint", jointly)


def _shares(
    model: LoadedModel, text: TextWhitening, wanted: Wanted, kept: tuple[Fact, ...]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """P onto the facts to keep with its error over text, P among the edits, and the lengths of their whitened keys."""
    keys = torch.cat([wanted.values.keys, subject_keys(model, kept, [wanted.layer])[wanted.layer]])
    edits = len(wanted.facts)
    whole = wanted.whitening.whiten(keys)
    shares = superposition(whole[:edits], whole[edits:])
    errors = torch.full_like(shares, torch.nan)  # not known
    if text.moments.has_halves:
        halves = [of.whiten(keys) for of in text.halves(wanted.layer)]
        moved = [superposition(rows[:edits], rows[edits:]) - shares for rows in halves]
        errors = torch.stack(moved).square().mean(dim=0).sqrt()
    return shares, errors, superposition(whole[:edits]), whole[:edits].norm(dim=1)
