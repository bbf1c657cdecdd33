"""What is predicted of edits, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ks_core.arguments import whole_number
from ks_core.auditing.layers import LayerCost
from ks_core.auditing.plan import Plan
from ks_core.auditing.together import Together
from ks_core.data.fact import Fact
from ks_core.formatting import shown
from ks_core.measurement.readable import LeftOut
from ks_core.statistics.pairs import Array


@dataclass(frozen=True)
class Disturbance:
    """What one edit, made alone, is predicted to do to one fact that is to stay.

    Attributes:
        loss: of its own object's log-probability, simulated, in nats a token; NaN where the pair was only screened
        overtaken_by: the object that has become as likely as its own, by the token that parts them; None where none has
        share: P, the share of the edit's residual that is felt at the fact's subject
        share_error: over text: how far P moved as the text doubled; NaN where it is not known
        largest_share: the share that is felt at a token of the prompt and object, the largest in size
        first_order: loss to first order in the values at all tokens, in nats a token; by it pairs are screened
    """

    edit: Fact
    fact: Fact
    loss: float
    overtaken_by: str | None
    share: float
    share_error: float
    largest_share: float
    first_order: float

    @property
    def simulated(self) -> bool:
        """Whether the edit was let act through the network, and not only screened."""
        return not np.isnan(self.loss)


@dataclass(frozen=True, eq=False, repr=False)
class Audit:
    """The prediction for a set of edits; nothing was edited.

    Attributes:
        tokens: of text that the second moment was made from
        keep: facts to keep, without those that are edited
        ridge: added to second moments, in mean eigenvalues
        layers: those that were tried with a sample; none where one was asked for
        layer: the cheapest of them, or the one asked for; everything else is about it
        silent_neurons: of that layer, which never fired over the text; they are left out of the whitening
        target: probability per token at which the search of a value ends
        reached: by edit, probability per token of its new object that a value in this layer reaches
        before: (M,) log-probability of each kept fact's own object in the unedited model, in nats a token
        shares: (E, M) P from each edit to each kept fact, at its subject
        share_errors: (E, M) over text; NaN where the second moments are imported, of which no half is known
        largest_shares: (E, M) at any token of prompt and object
        first_order: (E, M) loss to first order, in nats a token
        losses: (E, M) loss of each edit made alone, simulated, in nats a token; NaN where only screened
        overtaken: (E, M) whether another object has become as likely as the fact's own
        rival: (E, M) which of `rival_names` is the likeliest; -1 where only screened
        rival_names: by kept fact
        together: all edits at once
        method: how they are made at once: "joint", or "sequential" where their keys depend on one another; of edits
            that were made, theirs
        plan: what order and grouping save; None for a single edit
        left_out: edits and facts to keep that the model cannot be asked about
        imported: of second moments that were imported, where they come from: what the user states, and no more; None of
            those that were collected here
    """

    model: str
    tokens: int
    edits: tuple[Fact, ...]
    keep: tuple[Fact, ...]
    ridge: float
    layer: int
    silent_neurons: int
    target: float
    reached: tuple[float, ...]
    before: Array
    shares: Array
    share_errors: Array
    largest_shares: Array
    first_order: Array
    losses: Array
    overtaken: NDArray[np.bool_]
    rival: NDArray[np.int64]
    rival_names: tuple[tuple[str, ...], ...]
    together: Together
    method: str
    plan: Plan | None
    layers: tuple[LayerCost, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    imported: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        return (
            f"Audit(edits={len(self.edits)}, keep={len(self.keep)}, layer={self.layer}, model={shown(self.model)}, "
            f"together={self.together})"
        )

    @property
    def simulated(self) -> int:
        """Pairs of an edit and a fact that were simulated; the others were screened."""
        return int(np.isfinite(self.losses).sum())

    def worst(self, edit: int, count: int) -> list[Disturbance]:
        """The facts that lose most by an edit made alone, falling; behind them those that were only screened.

        Args:
            edit: its place among the edits, from 0.
            count: how many facts; all where there are fewer.

        Raises:
            InputError: no place among the edits, or no count.
        """
        edit = whole_number("edit", edit, 0, len(self.edits) - 1)
        known = np.nan_to_num(self.losses[edit], nan=-np.inf)
        places = np.lexsort((-self.first_order[edit], -known))[: whole_number("count", count, 0)]
        return [self.pair(edit, int(place)) for place in places]

    def pair(self, edit: int, fact: int) -> Disturbance:
        """What one edit does to one fact, by their places."""
        by = self.rival_names[fact][self.rival[edit, fact]] if self.overtaken[edit, fact] else None
        return Disturbance(
            self.edits[edit],
            self.keep[fact],
            float(self.losses[edit, fact]),
            by,
            float(self.shares[edit, fact]),
            float(self.share_errors[edit, fact]),
            float(self.largest_shares[edit, fact]),
            float(self.first_order[edit, fact]),
        )
