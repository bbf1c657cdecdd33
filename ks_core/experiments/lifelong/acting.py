"""Where an edit acts: at the last token of the subject, where the theory looks, or at the other tokens of a prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ks_core.experiments.lifelong.measurement import Acting
from ks_core.experiments.lifelong.reading import Asked
from ks_core.measurement.objects import ObjectRows
from ks_core.measurement.standing import Standing, read_standing, unknown
from ks_core.models.simulating import resumed, simulated
from ks_core.statistics.pairs import Array
from ks_core.theory.editing import Edit

Where = Callable[[ObjectRows], Tensor]
"""Rows → (rows, tokens) bool, the tokens at which an edit acts."""


def at_subject(rows: ObjectRows) -> Tensor:
    """The last token of each row's subject."""
    columns = torch.arange(rows.input_ids.shape[1], device=rows.input_ids.device)
    return columns[None, :] == rows.subject_last[:, None]


def simulate(asked: Asked, edits: Mapping[int, Edit], where: Where | None = None, first: int | None = None) -> Standing:
    """How facts would stand with edits of one or several layers, all together; no weight is touched.

    Args:
        asked: n facts.
        edits: by layer; none below `asked.layer`.
        where: the tokens at which they act; all when left out.
        first: ask for the first so many facts only.
    """
    adapter = asked.model.adapter
    changes = {layer: (edit.left, edit.right) for layer, edit in edits.items()}
    count = len(asked) if first is None else min(first, len(asked))
    found = unknown(count)
    for facts, of_facts, states in asked.parts(count):
        at = None if where is None else where(of_facts.rows)
        with simulated(adapter, changes, at), resumed(adapter, asked.layer, states):
            found.put(facts, read_standing(asked.model, of_facts))
    return found


def where_it_acts(method: str, count: int, edits: Mapping[int, Edit], watched: Asked, largest_share: Array) -> Acting:
    """Let the first `count` edits of a method act everywhere, at the subject alone, and everywhere else."""
    return Acting(
        method,
        count,
        everywhere=simulate(watched, edits),
        at_subject=simulate(watched, edits, at_subject),
        elsewhere=simulate(watched, edits, lambda rows: ~at_subject(rows)),
        largest_share=largest_share,
    )
