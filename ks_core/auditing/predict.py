"""Predict which facts edits will disturb, and how much, in which layer, order and grouping least, without editing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ks_core import arguments, defaults
from ks_core.auditing.prediction import Audit, LayerInterference
from ks_core.data.conflicts import warn_of_conflicts
from ks_core.data.corpus import Corpus, load_corpus
from ks_core.data.facts import Fact, Facts, load_facts
from ks_core.errors import InputError
from ks_core.measurement.cached_values import cached_target_values
from ks_core.measurement.gradients import value_gradients
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.readable import LeftOut, readable_facts, summary
from ks_core.measurement.second_moments import SecondMoments, collect_second_moments
from ks_core.measurement.values import TargetValues, ValueSettings
from ks_core.measurement.whitening import TextWhitening
from ks_core.models.loaded import LoadedModel
from ks_core.models.loading import Model, load_model
from ks_core.statistics.crossed import crossed_bootstrap
from ks_core.statistics.pairs import Array
from ks_core.theory.ordering import gentlest_order, interfering_groups
from ks_core.theory.superposition import superposition
from ks_core.theory.whitening import Whitening, check_ridge

LAYER_RESAMPLES = 200
"""Bootstrap samples behind the error of a layer's interference: the error is then known to 5 %."""

TIED = 0.1
"""|P| above which two edits are put into one group: a tenth of a residual is felt, the level of the paper's figures."""


@dataclass(frozen=True, eq=False)
class _LayerShares:
    """P in one layer, whitened once.

    Attributes:
        onto: (E, M) from edits to facts to keep
        among: (E, E) among the edits
        norms: (E,) lengths of the whitened keys of the edits
    """

    felt: LayerInterference
    onto: Tensor
    among: Tensor
    norms: Tensor


def audit(
    model: Model,
    edits: Facts,
    keep: Facts,
    *,
    layer: int | None = None,
    corpus: str | Path | Corpus = defaults.CORPUS,
    tokens: int = defaults.TOKENS,
    moments: SecondMoments | None = None,
    ridge: float = 0.0,
    search: ValueSettings | None = None,
    values: TargetValues | None = None,
) -> Audit:
    """Predict what edits would do to facts that are to stay, before any weight is touched.

        P[i, j] = k_iᵀ C⁻¹ k_j / k_iᵀ C⁻¹ k_i                 share of edit i felt at fact j, in every layer
        P[i, j] ‖δ_i‖ / ‖v_j‖,   P[i, j] g_j · δ_i             in the layer with the least of it

    One pass over the text (cached), one over the prompts, a search of each edit's value in the chosen layer
    (about a second each for the packaged model on two cores), one forward and one backward pass over the facts to keep.

    Args:
        model: as `load_model` takes it.
        edits: facts, as `load_facts` takes them, whose `target_new` is to become true; like the facts to keep, those
            that the model cannot be asked about (`readable_facts`) are left out and named in `left_out`.
        keep: facts that are to stay; those with the subject and relation of an edit are left out.
        layer: the layer to edit, and then the only one that is looked at; chosen among all when left out.
        corpus: text of the second moments, as `load_corpus` takes it.
        tokens: how much of it.
        moments: second moments of this model, in the place of a corpus and tokens.
        ridge: added to second moments before whitening, in mean eigenvalues.
        search: how the values of the edits are searched.
        values: of all edits in `layer`, where they were searched already.

    Returns:
        The prediction. Edits made one after another in a real stream change one another's residuals; `order` and
        `groups` say how to keep that small.

    Raises:
        InputError: no edit that the model can be asked for, a layer that does not exist, nothing left to keep, a
            model, text, number of tokens or search that cannot be used.
        ProvenanceError: second moments of another model.

    Warns:
        UserWarning: two edits of one subject and relation; names them.
    """
    if search is not None:
        arguments.instance("search", search, ValueSettings, "such as ValueSettings(steps=50)")
    ridge = check_ridge(ridge)
    loaded = load_model(model)
    asked = load_facts(edits, "edits").facts
    wanted, unread = _readable(loaded, asked) if values is None else (asked, ())
    if not wanted:
        raise InputError(f"no edit is left that the model can be asked for: {summary(unread)}")
    warn_of_conflicts(wanted)
    looked_at = _looked_at(loaded, layer, moments)
    edited = {(fact.subject, fact.relation_id) for fact in wanted}
    kept = tuple(fact for fact in load_facts(keep, "facts to keep") if (fact.subject, fact.relation_id) not in edited)
    kept, unread_kept = _readable(loaded, kept)
    if not kept:
        raise InputError("no fact to keep is left beside the edits; expected at least one that is not edited")
    if moments is None:
        moments = collect_second_moments(loaded, load_corpus(corpus), tokens=tokens, layers=looked_at)
    text = TextWhitening(moments, ridge)
    keys = subject_keys(loaded, [*wanted, *kept], looked_at)
    layers, gentlest = _gentlest(text, keys, len(wanted))
    chosen = gentlest.felt.layer
    if values is None:
        values = cached_target_values(loaded, wanted, chosen, search)
    found = _in_layer(loaded, text, wanted, kept, layers, gentlest, keys[chosen], values)
    return replace(found, left_out=unread + unread_kept)


def _looked_at(model: LoadedModel, layer: int | None, moments: SecondMoments | None) -> tuple[int, ...] | None:
    """The layers to look at, None for all; refused where there are none such, or moments are not of them."""
    looked_at = None if layer is None else (model.adapter.layer_number(layer),)
    if moments is None:
        return looked_at
    arguments.instance("moments", moments, SecondMoments, "as second_moments(model) gives them")
    moments.require_model(model)
    return tuple(map(moments.layer_number, looked_at or moments.layers))


def _in_layer(
    model: LoadedModel,
    text: TextWhitening,
    edits: tuple[Fact, ...],
    kept: tuple[Fact, ...],
    layers: tuple[LayerInterference, ...],
    chosen: _LayerShares,
    keys: Tensor,
    values: TargetValues,
) -> Audit:
    """Everything about the chosen layer."""
    layer, shares = chosen.felt.layer, chosen.onto
    weight, bias = model.adapter.weight(layer).to("cpu", torch.float64), model.adapter.bias(layer)
    own = keys[len(edits) :] @ weight.T + (0 if bias is None else bias.to("cpu", torch.float64))
    residuals = values.residuals(weight)
    halves = [_shares(half, keys, len(edits)) for half in text.halves(layer)]
    errors = torch.stack([(half - shares).square() for half in halves]).mean(dim=0).sqrt()
    sizes = residuals.norm(dim=1)
    gradients = value_gradients(model, kept, [fact.target_true for fact in kept], layer)
    order = gentlest_order(chosen.norms, sizes)
    groups = interfering_groups(chosen.among, TIED)
    return Audit(
        model=model.name,
        tokens=text.moments.provenance.tokens,
        ridge=text.ridge,
        edits=edits,
        keep=kept,
        layers=layers,
        layer=layer,
        reached=tuple(values.probabilities.tolist()),
        shares=shares.numpy(),
        share_errors=errors.numpy(),
        changes=(shares.abs() * sizes[:, None] / own.norm(dim=1)).numpy(),
        log_probability_changes=(shares * (residuals @ gradients.T)).numpy(),
        order=tuple(edits[place] for place in order.tolist()),
        groups=tuple(tuple(edits[place] for place in group) for group in groups),
    )


def _shares(whitening: Whitening, keys: Tensor, edits: int) -> Tensor:
    rows = whitening.whiten(keys)
    return superposition(rows[:edits], rows[edits:])


def _gentlest(
    text: TextWhitening, keys: Mapping[int, Tensor], edits: int
) -> tuple[tuple[LayerInterference, ...], _LayerShares]:
    """How much edits are felt in each layer, and the shares of the layer where they are felt least.

    Of many layers no more than two hold their shares at a time.
    """
    layers = []
    gentlest: _LayerShares | None = None
    for number in tqdm(sorted(keys), desc="superposition", unit="layer", disable=None):
        found = _layer_shares(number, text.whole(number), keys[number], edits)
        layers.append(found.felt)
        if gentlest is None or found.felt.onto_kept < gentlest.felt.onto_kept:
            gentlest = found
    if gentlest is None:
        raise InputError("no layer was looked at; expected one at least")
    return tuple(layers), gentlest


def _layer_shares(layer: int, whitening: Whitening, keys: Tensor, edits: int) -> _LayerShares:
    rows = whitening.whiten(keys)
    onto, among = superposition(rows[:edits], rows[edits:]), superposition(rows[:edits])
    squares = onto.square().numpy()
    off = among[~torch.eye(edits, dtype=torch.bool)]
    samples = crossed_bootstrap(_root_mean, squares[None], resamples=LAYER_RESAMPLES, seed=0)
    felt = LayerInterference(
        layer,
        onto_kept=_root_mean(squares),
        onto_kept_error=float(samples.std(ddof=1)),
        among_edits=float(off.square().mean().sqrt()) if len(off) else 0.0,
        silent_neurons=whitening.silent,
    )
    return _LayerShares(felt, onto, among, rows[:edits].norm(dim=1))


def _root_mean(squares: Array) -> float:
    return float(np.sqrt(squares.mean()))


def _readable(model: LoadedModel, facts: tuple[Fact, ...]) -> tuple[tuple[Fact, ...], tuple[LeftOut, ...]]:
    found = readable_facts(model, facts)
    return found.facts, found.left_out
