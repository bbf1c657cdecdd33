"""What is predicted of edits, as values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ks_core.arguments import whole_number
from ks_core.data.fact import Fact
from ks_core.formatting import shown
from ks_core.measurement.readable import LeftOut
from ks_core.statistics.pairs import Array


@dataclass(frozen=True)
class Disturbance:
    """What one edit is predicted to do to one fact that is to stay.

    Attributes:
        share: P, the share of the edit's residual that is felt at the fact
        share_error: over text: how far P moved as the text doubled
        change: |P| ‖δ‖ / ‖v‖, the change of the fact's value in lengths of that value
        log_probability_change: P g · δ, the change of its object's log-probability to first order, in nats a token
    """

    edit: Fact
    fact: Fact
    share: float
    share_error: float
    change: float
    log_probability_change: float


@dataclass(frozen=True)
class LayerInterference:
    """How much edits in one layer are felt, root mean square of P.

    Attributes:
        onto_kept: from all edits to all facts to keep
        onto_kept_error: standard error over edits and facts
        among_edits: from each edit to the others; 0 for a single edit
        silent_neurons: neurons that never fired over the text; they are left out of the whitening
    """

    layer: int
    onto_kept: float
    onto_kept_error: float
    among_edits: float
    silent_neurons: int


@dataclass(frozen=True, eq=False, repr=False)
class Audit:
    """The prediction for a set of edits; nothing was edited.

    Attributes:
        tokens: of text that the second moment was made from
        keep: facts to keep, without those that are edited
        ridge: added to second moments, in mean eigenvalues
        layers: all of them, or the one asked for
        layer: the one with the least interference onto facts to keep, or the one asked for; the rest is about it
        reached: by edit, probability per token of its new object that a value in this layer reaches
        shares: (E, M) P from each edit to each kept fact
        share_errors: (E, M) over text
        changes: (E, M) in lengths of the kept fact's value
        log_probability_changes: (E, M) of the kept fact's object, to first order, in nats a token
        order: edits in the order that disturbs earlier edits least
        groups: edits that disturb one another, directly or through others: make each group jointly
        left_out: edits and facts to keep that the model cannot be asked about
    """

    model: str
    tokens: int
    edits: tuple[Fact, ...]
    keep: tuple[Fact, ...]
    ridge: float
    layers: tuple[LayerInterference, ...]
    layer: int
    reached: tuple[float, ...]
    shares: Array
    share_errors: Array
    changes: Array
    log_probability_changes: Array
    order: tuple[Fact, ...]
    groups: tuple[tuple[Fact, ...], ...]
    left_out: tuple[LeftOut, ...] = ()

    def __repr__(self) -> str:
        return (
            f"Audit(edits={len(self.edits)}, keep={len(self.keep)}, layer={self.layer} of {len(self.layers)}, "
            f"model={shown(self.model)})"
        )

    def worst(self, edit: int, count: int) -> list[Disturbance]:
        """The facts that an edit would disturb most, by the predicted change of their values, falling.

        Args:
            edit: its place among the edits, from 0.
            count: how many facts; all where there are fewer.

        Raises:
            InputError: no place among the edits, or no count.
        """
        edit = whole_number("edit", edit, 0, len(self.edits) - 1)
        places = np.argsort(-self.changes[edit], kind="stable")[: whole_number("count", count, 0)]
        return [
            Disturbance(
                self.edits[edit],
                self.keep[place],
                float(self.shares[edit, place]),
                float(self.share_errors[edit, place]),
                float(self.changes[edit, place]),
                float(self.log_probability_changes[edit, place]),
            )
            for place in places
        ]
