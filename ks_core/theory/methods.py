"""Methods of lifelong editing with one signature: the first weight and all edits so far give W_n − W_0.

A method keeps no state. Closed form makes W_n from the edits themselves, so the state of a stream is the list of its
keys and values: W_n is had at any n by passing the first n of them, nothing can leak from one stream into the next, and
no weight is copied on the way.

    method                                        space                     how
    sequential rank-one, the paper's W_n          whiten(C)                 Sequential
    joint, with a ridge MEMIT on one layer        whiten(C)                 Joint
    EMMET, batches that are exact when made       whiten(C)                 Batched
    MEMIT on one layer, batch after batch         whiten(C)                 Batched, ridge λ
    null-space projected, AlphaEdit               null_space(C)             Joint, ridge its L2, whatever the batches
    protected                                     protect(whiten(C), keys)  any; Joint protects the edits too
    along a fact's own part only                  own_part(whiten(C), keys) any
    PRUNE, a bound on how far W is stretched      any                       any, then `pruned`
    anyone's editor                               not known                 ks_core.theory.editors.method_of
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from ks_core.theory.batches import batched_edit_of
from ks_core.theory.editing import (
    Edit,
    EditTerms,
    edit_terms,
    joint_edit,
    joint_edit_of,
    lifelong_edits,
    lifelong_edits_of,
)
from ks_core.theory.key_spaces import KeySpace


class Method(Protocol):
    """A way to make a stream of edits."""

    @property
    def space(self) -> KeySpace | None:
        """Where it writes; P taken there predicts its interference. None where that is not known."""

    def edit(self, weight: Any, keys: Any, values: Any) -> Edit:
        """All edits of the stream so far, W_n − W_0.

        Args:
            weight: (d_value, d_key), W_0.
            keys: (n, d_key), in the order of the edits.
            values: (n, d_value), the value that each key shall have.
        """


@dataclass(frozen=True, eq=False)
class Sequential:
    """One edit after another, each exact at the weight the last one left; see `lifelong_edits`."""

    space: KeySpace

    def edit(self, weight: Any, keys: Any, values: Any) -> Edit:
        """W_n − W_0 of the stream."""
        return lifelong_edits(weight, keys, values, self.space).edit


@dataclass(frozen=True, eq=False)
class Joint:
    """All edits so far at once, so that none disturbs another; see `joint_edit`."""

    space: KeySpace
    ridge: float = 0.0

    def edit(self, weight: Any, keys: Any, values: Any) -> Edit:
        """W_n − W_0 of the stream."""
        return joint_edit(weight, keys, values, self.space, ridge=self.ridge)


@dataclass(frozen=True, eq=False)
class Batched:
    """Batches of edits, each joint, one after another without memory of those before; see `batched_edit_of`."""

    space: KeySpace
    size: int
    ridge: float = 0.0

    def edit(self, weight: Any, keys: Any, values: Any) -> Edit:
        """W_n − W_0 of the stream."""
        return batched_edit_of(edit_terms(weight, keys, values, self.space), self.size, ridge=self.ridge)


NULL_SPACE_RIDGE = 1.0
"""AlphaEdit's, whose update has the identity as its weight of the null space."""

METHODS: Mapping[str, Callable[[KeySpace], Method]] = {
    "sequential": Sequential,
    "joint": Joint,
    "null-space": partial(Joint, ridge=NULL_SPACE_RIDGE),
    "protected": Joint,
}
"""Each method by its name, of the space that it writes in: `whiten(C)` for the first two, `null_space(C)`, and
`protect(whiten(C), keys)`. The protected one is joint, so that edits are protected too."""

FORMS: Mapping[str, Callable[[EditTerms], Edit]] = {
    "sequential": lambda terms: lifelong_edits_of(terms).edit,
    "joint": joint_edit_of,
    "null-space": partial(joint_edit_of, ridge=NULL_SPACE_RIDGE),
    "protected": joint_edit_of,
}
"""The closed form of each method, of what is known of its edits: their directions say which space they write in."""
