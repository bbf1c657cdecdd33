"""Which facts a long stream edits and in which orders, which facts are watched, and after how many edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ks_core.data.facts import Fact
from ks_core.errors import InputError
from ks_core.experiments.request.options import set_by
from ks_core.experiments.streams.plan import checkpoints

ORDERS = 3
"""Orders of the edits: the fewest whose spread says anything."""

FEWEST_EDITS = 8
"""With fewer, a first quarter has one edit, whose fate is chance."""

FRONTIER = (32, 128)
"""Where all methods are looked at, besides the end: the short stream of the quick run, and the paper's number of facts.
"""

WATCHED = 12
"""One subject in so many is watched and not edited, at the least: of SmolLM2-135M's 438 then 400 are edited."""

MOST_WATCHED = 80
"""Watched facts of the edits' relations at most, and of other relations, evenly over those that there are: a share is
then known to 4 % with both, and they take no more passes than the edits do."""

QUARTER = 4
"""Retention is that of the first quarter of all edits."""


@dataclass(frozen=True, eq=False)
class LifelongPlan:
    """What a long stream is made of.

    Attributes:
        layer: the edited one
        edits: N, one for each subject
        near: watched facts of the edits' own relations, about other subjects
        far: watched facts of relations that no edit is of
        orders: each a permutation of the N edits
    """

    layer: int
    edits: tuple[Fact, ...]
    near: tuple[Fact, ...]
    far: tuple[Fact, ...]
    orders: tuple[NDArray[np.intp], ...]

    @property
    def watched(self) -> tuple[Fact, ...]:
        """All watched facts, the near ones first."""
        return self.near + self.far

    @property
    def early(self) -> int:
        """How many edits the first quarter has."""
        return max(1, len(self.edits) // QUARTER)

    @property
    def counts(self) -> tuple[int, ...]:
        """1, 2, 4, … N: after how many edits the methods whose whole curve is drawn are looked at."""
        return checkpoints(len(self.edits))

    @property
    def frontier(self) -> tuple[int, ...]:
        """The numbers of edits after which every method is looked at."""
        return (*(count for count in FRONTIER if count < len(self.edits)), len(self.edits))


def plan_lifelong(
    layer: int, known: Sequence[Fact], far: Sequence[Fact], num_edits: int, seed: int, orders: int = ORDERS
) -> LifelongPlan:
    """Choose edits, one for each subject, and orders; what is known about the other subjects is watched.

    Args:
        layer: the edited one.
        known: facts that the model knows. The first `num_edits` subjects are edited, all but a twelfth where there
            are not so many.
        far: known facts of other relations; those about edited subjects are left out.
        num_edits: N at most.
        seed: of the orders.
        orders: how many.

    Raises:
        InputError: fewer than `FEWEST_EDITS` edits, or nothing to watch.
    """
    by_subject: dict[str, Fact] = {}
    for fact in known:
        by_subject.setdefault(fact.subject, fact)
    count = min(num_edits, len(by_subject) - max(1, len(by_subject) // WATCHED))
    edits = tuple(by_subject.values())[:count]
    subjects = {fact.subject for fact in edits}
    near, others = (tuple(fact for fact in of if fact.subject not in subjects) for of in (known, far))
    if count < FEWEST_EDITS or not near:
        raise InputError(
            f"a long stream of {num_edits} edits was asked for with {len(by_subject)} usable subjects; expected "
            f"{FEWEST_EDITS} edits at least and one subject beside them: give more facts {set_by('facts')}"
        )
    rng = np.random.default_rng(seed)
    near, apart = (tuple(of[place] for place in evenly(len(of), MOST_WATCHED)) for of in (near, others))
    return LifelongPlan(layer, edits, near, apart, tuple(rng.permutation(count) for _ in range(orders)))


def evenly(count: int, most: int) -> list[int]:
    """Places of a range of `count`, `most` of them at most, evenly over it.

    Example:
        >>> evenly(3, 5), evenly(9, 3)
        ([0, 1, 2], [0, 4, 8])
    """
    if count <= most:
        return list(range(count))
    return [round(place) for place in np.linspace(0, count - 1, most).tolist()]
