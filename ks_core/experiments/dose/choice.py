"""Which layers, edits and neighbours a dose experiment takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from ks_core.data.facts import Fact, FactSet
from ks_core.statistics.pairs import FEWEST_FACTS

DEPTHS = (0.1, 0.3, 0.6)
"""Relative depths of the edited layers: superposition is weak in the first and strong in the last."""

EDITS = 8
"""Edits a layer: the fewest of which a bootstrap over edits still makes sense."""

NEIGHBOURS = 40
"""Facts of the relation that are read after each edit; on two cores that takes about a second."""


def dose_layers(layers: Sequence[int], num_layers: int) -> tuple[int, ...]:
    """The measured layers at the `DEPTHS`, each once, without the model's last.

    What is written at a subject in the last layer reaches no later token: an edit there does nothing at the end of the
    prompt, whatever its dose.

    Args:
        layers: that were measured.
        num_layers: of the model.

    Example:
        >>> dose_layers(range(30), 30), dose_layers([0, 1], 2), dose_layers([1], 2)
        ((3, 9, 17), (0,), ())
    """
    chosen = {layers[round(depth * (len(layers) - 1))] for depth in DEPTHS}
    return tuple(sorted(chosen - {num_layers - 1}))


def choose_doses(superposition: Tensor) -> tuple[list[int], list[int]]:
    """Choose edits with a near neighbour, and its neighbours to read, so that doses run from 0 to near 1.

    The choice is by dose, never by response. Edits are the facts with the largest P to any other one. Read are they,
    their nearest neighbours, and the first of the rest.

    Args:
        superposition: (n, n) among the facts of the relation.

    Returns:
        Places of the edits, `EDITS` at most and fewer than n, and of the facts that are read, `NEIGHBOURS` at most;
        increasing.

    Example:
        >>> import torch
        >>> choose_doses(torch.tensor([[1.0, 0.0, 0.9], [0.1, 1.0, 0.2], [0.8, 0.0, 1.0]]))
        ([0, 2], [0, 1, 2])
    """
    others = superposition.clone().fill_diagonal_(-np.inf)
    nearest = others.max(dim=1)
    strongest = nearest.values.argsort(descending=True, stable=True)[: min(EDITS, len(others) - 1)].tolist()
    wanted = [*strongest, *nearest.indices[strongest].tolist(), *range(len(others))]
    return sorted(strongest), sorted(list(dict.fromkeys(wanted))[:NEIGHBOURS])


def largest_relation(facts: FactSet) -> tuple[Fact, ...] | None:
    """The facts of the relation that has most; None where that has fewer than three."""
    by_relation = {name: tuple(fact for fact in facts if fact.relation_id == name) for name in facts.relations}
    largest = max(by_relation.values(), key=len)  # the first of equals, in the relations' order
    return largest if len(largest) >= FEWEST_FACTS else None
