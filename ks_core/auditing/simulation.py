"""Edits let act through the network without a weight being touched: what they do to what the model says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ks_core.errors import InputError
from ks_core.measurement.kept_facts import Batch, read_all
from ks_core.measurement.places import LOGITS_AT_ONCE
from ks_core.measurement.standing import AskedFacts, Standing, read_standing, unknown
from ks_core.models.loaded import LoadedModel
from ks_core.models.simulating import resumed, simulated, states_below
from ks_core.theory.editing import Edit

TOKENS_AT_ONCE = 2048
"""Tokens of one forward pass: enough rows for two cores."""


def simulate_alone(
    model: LoadedModel, layer: int, left: Tensor, right: Tensor, batches: Sequence[Batch], chosen: Tensor
) -> Standing:
    """How facts would stand after each edit, made alone; for the pairs that are asked for.

    The blocks below the layer run once for each fact, those from the layer on once for each pair, many edits in one
    batch.

    Args:
        model: unedited; it stays so.
        layer: that is edited.
        left: (E, d_value) float64.
        right: (E, d_key) float64; edit i is W + left_i right_iᵀ.
        batches: M facts to keep, as `in_batches` gives them.
        chosen: (E, M) bool, the pairs.

    Returns:
        (E, M) each; unknown where a pair was not asked for.

    Raises:
        InputError: a layer that does not exist, or a log-probability that is not finite.
    """
    after = unknown(*chosen.shape)
    written, along = left[:, :, None], right[:, None, :]
    with tqdm(total=int(chosen.sum()), desc=f"simulated edits, layer {layer}", unit="pair", disable=None) as bar:
        for batch in batches:
            edits, rows = chosen[:, batch.facts].nonzero(as_tuple=True)
            states = states_below(model.adapter, layer, *batch.asked.rows.inputs) if len(edits) else None
            for part in _parts(model, batch.asked, len(edits)):
                these, of_rows = edits[part], rows[part].to(model.adapter.device)
                below = resumed(model.adapter, layer, None if states is None else states.of(of_rows))
                with simulated(model.adapter, {layer: (written[these], along[these])}), below:
                    found = _finite(read_standing(model, batch.asked.of(of_rows)))
                after.put((these, batch.facts[rows[part]]), found)
                bar.update(len(these))
    return after


def simulate_together(model: LoadedModel, edits: Mapping[int, Edit], batches: Sequence[Batch]) -> Standing:
    """How facts would stand after edits of one or several layers, made all together; in one pass over the facts.

    Args:
        model: unedited; it stays so.
        edits: by layer, all of its edits.
        batches: M facts, as `in_batches` gives them.

    Returns:
        (M,) each.

    Raises:
        InputError: a layer that does not exist.
    """
    changes = {layer: (edit.left, edit.right) for layer, edit in edits.items()}
    with simulated(model.adapter, changes):
        return read_all(model, batches)


def _finite(found: Standing) -> Standing:
    """Refuse what would be over no limit, and would read as not simulated."""
    if not bool(torch.isfinite(found.log_probability).all()):
        raise InputError(
            "with an edit simulated, the log-probability of a fact's own object is NaN or infinite; expected finite "
            "numbers: run the model in float32"
        )
    return found


def _parts(model: LoadedModel, asked: AskedFacts, pairs: int) -> Iterator[slice]:
    tokens, read = asked.rows.input_ids.shape[1], asked.rows.targets.shape[1]
    step = max(1, min(TOKENS_AT_ONCE // tokens, LOGITS_AT_ONCE // (read * model.adapter.vocabulary)))
    return (slice(start, start + step) for start in range(0, pairs, step))
