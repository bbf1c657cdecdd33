"""Edit facts of one relation, one at a time, and read their neighbours."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor
from tqdm.auto import tqdm

from ks_core.data.facts import Fact, FactSet
from ks_core.experiments.dose.choice import DoseDesign, choose_doses, dose_layers, largest_relations
from ks_core.experiments.dose.response import DoseResponse, joined
from ks_core.measurement.cached_values import cached_target_values
from ks_core.measurement.gradients import value_gradients
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.scoring import continuation_log_probabilities
from ks_core.measurement.whitening import TextWhitening
from ks_core.models.editing import edited
from ks_core.models.loaded import LoadedModel
from ks_core.statistics.pairs import Array
from ks_core.theory.editing import Edit, single_edit
from ks_core.theory.superposition import superposition

logger = logging.getLogger(__name__)


def dose_response(model: LoadedModel, text: TextWhitening, facts: FactSet, design: DoseDesign) -> DoseResponse | None:
    """Edit facts of some relations, one at a time on the unedited model, and read neighbours of the same relation.

    Args:
        model: unedited; it is edited inside and restored.
        text: of this model.
        facts: usable ones; the relations with the most of them are taken.
        design: how many are edited and read.

    Returns:
        Doses and responses, or None where no relation has three facts, or only the last layer was measured.
    """
    layers = dose_layers(text.layers, model.adapter.num_layers)
    relations = largest_relations(facts, design.relations) if layers else []
    found = [_of_relation(model, text, layers, relation, design) for relation in relations]
    return joined(found) if found else None


def _of_relation(
    model: LoadedModel, text: TextWhitening, layers: Sequence[int], relation: Sequence[Fact], design: DoseDesign
) -> DoseResponse:
    keys = subject_keys(model, relation, layers)
    by_layer = [superposition(text.whole(layer).whiten(keys[layer])) for layer in layers]
    edited_places, places_read = choose_doses(by_layer, design)
    edits, neighbours = (tuple(relation[place] for place in places) for places in (edited_places, places_read))
    before = _log_probabilities(model, neighbours, sorted({fact.target_new for fact in edits}))
    found: dict[str, list[Array]] = {}
    for layer in layers:
        for name, numbers in _of_layer(model, text, layer, keys[layer][places_read], edits, neighbours, before).items():
            found.setdefault(name, []).append(numbers)
        logger.info("dose and response: layer %d, %d edits, %d facts each", layer, len(edits), len(neighbours))
    stacked = {name: np.stack(numbers) for name, numbers in found.items()}
    return DoseResponse(neighbours[0].relation_id, tuple(layers), edits, neighbours, **stacked)


def _of_layer(
    model: LoadedModel,
    text: TextWhitening,
    layer: int,
    keys: Tensor,
    edits: Sequence[Fact],
    neighbours: Sequence[Fact],
    before: Mapping[str, tuple[Array, Array]],
) -> dict[str, Array]:
    """All arrays of one layer, (E, M), by their names in `DoseResponse`."""
    values = cached_target_values(model, edits, layer)
    whole, half = text.whole(layer), text.halves(layer)[0]
    weight = model.adapter.weight(layer)
    residuals = values.residuals(weight).numpy()
    dose, dose_of_half = (superposition(w.whiten(values.keys), w.whiten(keys)).numpy() for w in (whole, half))
    slopes = {name: value_gradients(model, neighbours, [name] * len(neighbours), layer).numpy() for name in before}
    own_slopes = value_gradients(model, neighbours, [fact.target_true for fact in neighbours], layer).numpy()
    of_edits = {
        "reached": values.probabilities.numpy(),
        "dose": dose,
        "dose_of_half": dose_of_half,
        "predicted": dose * np.stack([slopes[f.target_new] @ r for f, r in zip(edits, residuals, strict=True)]),
        "kept_predicted": dose * (residuals @ own_slopes.T),
        **{name: np.empty(dose.shape) for name in ("response", "response_of_half", "overtaken", "kept_response")},
    }
    for number, fact in enumerate(tqdm(edits, desc=f"edits, layer {layer}", unit="edit", disable=None)):
        new, own = before[fact.target_new]
        made, of_half = (
            single_edit(weight.to("cpu"), values.keys[number], values.values[number], w) for w in (whole, half)
        )
        after_new, after_own = _after(model, layer, made, neighbours, fact.target_new)
        of_edits["response"][number] = after_new - new
        of_edits["kept_response"][number] = after_own - own
        of_edits["overtaken"][number] = after_new > after_own
        of_edits["response_of_half"][number] = _after(model, layer, of_half, neighbours, fact.target_new)[0] - new
    excluded = np.array([[o == e or o.target_true == e.target_new for o in neighbours] for e in edits])
    return {name: np.where(excluded, np.nan, n) if n.ndim == 2 else n for name, n in of_edits.items()}


def _after(
    model: LoadedModel, layer: int, edit: Edit, neighbours: Sequence[Fact], new_object: str
) -> tuple[Array, Array]:
    with edited(model.adapter, layer, edit.delta()):
        return _log_probabilities(model, neighbours, [new_object])[new_object]


def _log_probabilities(
    model: LoadedModel, neighbours: Sequence[Fact], objects: Sequence[str]
) -> dict[str, tuple[Array, Array]]:
    """By object: its log-probability after each prompt, and that of each prompt's own object, (M,) each."""
    asked = [*objects, None]
    prompts = [fact.text for _ in asked for fact in neighbours]
    objects_asked = [name or fact.target_true for name in asked for fact in neighbours]
    scores = np.array(continuation_log_probabilities(model, prompts, objects_asked, per_token=True)).reshape(
        len(asked), -1
    )
    return {name: (scores[place], scores[-1]) for place, name in enumerate(objects)}
