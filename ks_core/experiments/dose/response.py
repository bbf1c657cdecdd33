"""How the new object of an edit spills over to its neighbours, against the superposition with them, as a value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ks_core.data.facts import Fact
from ks_core.statistics.pairs import Array


@dataclass(frozen=True, eq=False)
class DoseResponse:
    """Edits of one relation in some layers, and what each did to the relation's other facts, its neighbours.

    Arrays are (L, E, M): layer, edit, neighbour; NaN where the neighbour is the edited one or has the new object for
    its own. Log-probabilities are means over an object's tokens, in nats.

    Attributes:
        edits: E, the facts whose nearest other key is nearest, so that strong doses occur
        neighbours: M, the edited facts among them
        reached: (L, E) probability of the new object that the search of its value reached
        dose: P from the edited fact to the neighbour, over all the text
        dose_of_half: the same over the first half of the text
        predicted: P g · δ: change of the new object's log-probability after the neighbour's prompt, first order; g its
            gradient
        response: that change as measured, after the edit
        response_of_half: the same after an edit made with the second moment of the first half of the text
        overtaken: 1 where the new object has become more probable than the neighbour's own
        kept_predicted: P g · δ for the neighbour's own object
        kept_response: change of the log-probability of the neighbour's own object, measured
    """

    relation: str
    layers: tuple[int, ...]
    edits: tuple[Fact, ...]
    neighbours: tuple[Fact, ...]
    reached: Array
    dose: Array
    dose_of_half: Array
    predicted: Array
    response: Array
    response_of_half: Array
    overtaken: Array
    kept_predicted: Array
    kept_response: Array

    @property
    def pairs(self) -> int:
        """Triples of edit, other fact and layer that count."""
        return int(np.isfinite(self.dose).sum())
