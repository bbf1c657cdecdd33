"""How the new object of an edit spills over to its neighbours, against the superposition with them, as a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ks_core.data.facts import Fact
from ks_core.statistics.pairs import Array


@dataclass(frozen=True, eq=False)
class DoseResponse:
    """Edits of some relations in some layers, and what each did to its relation's other facts, its neighbours.

    Arrays are (L, E, M): layer, edit, neighbour; NaN where the neighbour is the edited one, has the new object for its
    own, or is of another relation. Log-probabilities are means over an object's tokens, in nats.

    Attributes:
        relation: of the facts; several with commas between them
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


def joined(parts: Sequence[DoseResponse]) -> DoseResponse:
    """Responses of several relations as one; nothing was read between facts of two of them.

    Args:
        parts: of the same layers, one at least.
    """
    arrays = [name for name, value in vars(parts[0]).items() if isinstance(value, np.ndarray)]
    return DoseResponse(
        relation=", ".join(part.relation for part in parts),
        layers=parts[0].layers,
        edits=tuple(fact for part in parts for fact in part.edits),
        neighbours=tuple(fact for part in parts for fact in part.neighbours),
        **{name: _beside([getattr(part, name) for part in parts]) for name in arrays},
    )


def _beside(arrays: Sequence[Array]) -> Array:
    """(L, E) one after another; (L, E, M) as blocks along the diagonal, NaN beside them."""
    if arrays[0].ndim == 2:
        return np.concatenate(arrays, axis=1)
    whole = np.full((len(arrays[0]), *np.sum([array.shape[1:] for array in arrays], axis=0)), np.nan)
    row = column = 0
    for array in arrays:
        _, edits, neighbours = array.shape
        whole[:, row : row + edits, column : column + neighbours] = array
        row, column = row + edits, column + neighbours
    return whole
