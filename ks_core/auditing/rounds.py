"""Edits simulated on the facts that a screen puts foremost, and on more while that still finds some of the worst."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ks_core.auditing.simulation import simulate_alone
from ks_core.measurement.kept_facts import Batch
from ks_core.measurement.standing import Standing, unknown
from ks_core.models.loaded import LoadedModel

WORST = 10
"""Facts whose ranking an audit answers for."""


def simulate_foremost(
    model: LoadedModel,
    layer: int,
    left: Tensor,
    right: Tensor,
    batches: Sequence[Batch],
    before: Standing,
    order: Tensor,
    count: int,
) -> Standing:
    """How facts would stand after each edit, made alone: the foremost `count` of each, then half as many at a time.

    More are simulated for an edit as long as one of the last half is among the ten that lose most: the screen is then
    not yet exhausted. With rounds of a fifth, 0.8 instead of 0.9 of the worst ten are found in one small model's layer.

    Args:
        model: unedited; it stays so.
        layer: that is edited.
        left: (E, d_value) float64.
        right: (E, d_key) float64.
        batches: M facts to keep.
        before: (M,) of the unedited model.
        order: (E, M) int64, facts of each edit, foremost first.
        count: facts of the first round.

    Returns:
        (E, M) each; unknown where a pair was not simulated.
    """
    edits, facts = order.shape
    after = unknown(edits, facts)
    more = max(WORST, count // 2)
    done, wanted = torch.zeros(edits, dtype=torch.int64), torch.full((edits,), min(count, facts))
    while bool((done < wanted).any()):
        chosen = torch.zeros(edits, facts, dtype=torch.bool)
        for edit in range(edits):
            chosen[edit, order[edit, done[edit] : wanted[edit]]] = True
        after.put(chosen, simulate_alone(model, layer, left, right, batches, chosen).at(chosen))
        losses = before.log_probability - after.log_probability
        done = wanted
        wanted = torch.tensor([_next(*of, more) for of in zip(losses, order, done.tolist(), strict=True)])
    return after


def _next(losses: Tensor, order: Tensor, done: int, more: int) -> int:
    """How many of an edit's facts are to be simulated, `done` of which were."""
    known = losses[order[:done]]
    worst = float(known.sort(descending=True).values[min(WORST, done) - 1])
    return min(done + more, len(order)) if float(known[-more:].max()) >= worst else done
