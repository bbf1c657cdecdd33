"""What edits do to facts that are to stay when they are made all together, simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ks_core.arguments import whole_number
from ks_core.auditing.simulation import simulate_together
from ks_core.data.fact import Fact
from ks_core.measurement.consequences import KeptFact, lost_share
from ks_core.measurement.kept_facts import in_batches, read_all, rival_names, rivals_of
from ks_core.measurement.objects import refuse_not_finite
from ks_core.measurement.standing import Standing
from ks_core.models.loaded import LoadedModel
from ks_core.statistics.means import Mean
from ks_core.statistics.pairs import Array
from ks_core.theory.editing import Edit


@dataclass(frozen=True, eq=False, repr=False)
class Together:
    """What all edits together do to M facts; nothing was edited.

    Attributes:
        before: (M,) log-probability of each fact's own object in the unedited model, in nats a token
        lead: (M,) what it is ahead of its likeliest rival there, in nats; infinite without a rival
        losses: (M,) what it loses, in nats a token
        overtaken_by: by fact, the object that has become as likely as its own, by the token that parts them; None where
            none has, or one was before
    """

    keep: tuple[Fact, ...]
    before: Array
    lead: Array
    losses: Array
    overtaken_by: tuple[str | None, ...]

    def __repr__(self) -> str:
        return f"Together(keep={len(self.keep)}, overtaken={self.overtaken.sum()}, worst={self.losses.max():.3g} nats)"

    @property
    def overtaken(self) -> NDArray[np.bool_]:
        """(M,) whether another object has become as likely."""
        return np.array([name is not None for name in self.overtaken_by], dtype=bool)

    @property
    def lost(self) -> Mean:
        """Share of the facts that stood first among rivals and are overtaken, with its standard error."""
        return lost_share(self.lead, self.overtaken)

    def worst(self, count: int) -> list[KeptFact]:
        """The facts that lose most, falling; all where there are fewer.

        Raises:
            InputError: no count.
        """
        places = np.argsort(-self.losses, kind="stable")[: whole_number("count", count, 0)]
        return [KeptFact(self.keep[n], float(self.losses[n]), self.overtaken_by[n]) for n in places]


def together(model: LoadedModel, changes: Mapping[int, Edit], kept: Sequence[Fact], edits: Sequence[Fact]) -> Together:
    """Simulate edits of one or several layers, all at once, and ask for facts that are to stay.

    Args:
        model: unedited; no weight is touched.
        changes: by layer, all of its edits as a pair of factors.
        kept: M facts, readable ones.
        edits: the edited facts, whose objects may overtake others.

    Raises:
        InputError: a layer that does not exist, or facts that cannot be read.
    """
    batches = in_batches(model, kept, rivals_of(kept, edits))
    after = simulate_together(model, changes, batches)
    return compared(tuple(kept), read_all(model, batches), after, rival_names(batches, len(kept)))


def compared(kept: tuple[Fact, ...], before: Standing, after: Standing, names: Sequence[Sequence[str]]) -> Together:
    """What was lost between two standings of the same facts.

    Args:
        kept: M facts.
        before: (M,) of the unedited model.
        after: (M,) with all edits.
        names: by fact, of its rivals.

    Raises:
        InputError: a log-probability that is not finite; names the fact.
    """
    refuse_not_finite(after.log_probability, kept, [fact.target_true for fact in kept])
    overtaken = torch.nonzero(after.overtaken(before)).flatten().tolist()
    by: list[str | None] = [None] * len(kept)
    for place in overtaken:
        by[place] = names[place][int(after.rival[place])]
    losses = (before.log_probability - after.log_probability).numpy()
    return Together(kept, before.log_probability.numpy(), before.lead.numpy(), losses, tuple(by))
