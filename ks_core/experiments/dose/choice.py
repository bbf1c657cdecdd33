"""Which layers, edits and neighbours a dose experiment takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ks_core.data.facts import Fact, FactSet
from ks_core.statistics.pairs import FEWEST_FACTS

DEPTHS = (0.1, 0.3, 0.6)
"""Relative depths of the edited layers: superposition is weak in the first and strong in the last."""


@dataclass(frozen=True)
class DoseDesign:
    """How much a dose experiment edits and reads.

    Attributes:
        relations: those with most facts
        edits: of each relation, in each layer
        neighbours: of each relation, read after each of its edits; the edited ones are among them
    """

    relations: int
    edits: int
    neighbours: int


SHORT = DoseDesign(relations=1, edits=8, neighbours=40)
"""The fewest edits of which a bootstrap over edits still makes sense; reading what one did takes three seconds or so on
two cores."""

LONG = DoseDesign(relations=3, edits=12, neighbours=18)
"""Under five minutes on two cores. More edits of one relation bring no more pairs with P >= 0.8: of SmolLM2's 156
known facts of the largest one all such pairs, 25 in three layers, are soon among the edits; three relations have 70 of
them, of 33 edits.
"""


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


def choose_doses(superposition: Sequence[Tensor], design: DoseDesign = SHORT) -> tuple[list[int], list[int]]:
    """Choose edits with a near neighbour, and its neighbours to read, so that doses run from 0 to near 1.

    The choice is by dose, never by response. Edits are the facts with the largest P to any other one in any layer. Read
    are they, their nearest neighbours, and the first of the rest.

    Args:
        superposition: of each layer, (n, n) among the facts of the relation.
        design: how many of them at most.

    Returns:
        Places of the edits, fewer than n, and of the facts that are read; increasing.

    Example:
        >>> import torch
        >>> choose_doses([torch.tensor([[1.0, 0.0, 0.9], [0.1, 1.0, 0.2], [0.8, 0.0, 1.0]])])
        ([0, 2], [0, 1, 2])
    """
    others = torch.stack([*superposition]).amax(dim=0).fill_diagonal_(-np.inf)
    nearest = others.max(dim=1)
    strongest = nearest.values.argsort(descending=True, stable=True)[: min(design.edits, len(others) - 1)].tolist()
    wanted = [*strongest, *nearest.indices[strongest].tolist(), *range(len(others))]
    return sorted(strongest), sorted(list(dict.fromkeys(wanted))[: design.neighbours])


def largest_relations(facts: FactSet, count: int) -> list[tuple[Fact, ...]]:
    """The facts of each of the relations that have most, the largest first; none with fewer than three facts."""
    by_relation = [tuple(fact for fact in facts if fact.relation_id == name) for name in facts.relations]
    largest = sorted(by_relation, key=len, reverse=True)  # of equals the first, in the relations' order
    return [of for of in largest[:count] if len(of) >= FEWEST_FACTS]
