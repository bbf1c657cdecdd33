"""How much edits may break: a limit that an audit keeps, or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ks_core.arguments import real_number, whole_number
from ks_core.auditing.prediction import Audit
from ks_core.auditing.together import Together
from ks_core.data.conflicts import conflicts, contradicting
from ks_core.data.fact import Fact
from ks_core.errors import InputError
from ks_core.formatting import printable, shortened
from ks_core.measurement.readable import LeftOut
from ks_core.statistics.pairs import Array

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Limits:
    """What is allowed; None allows everything.

    Attributes:
        fail_over: nats a token that a fact may lose at most
        fail_overtaken: facts that may be overtaken by another object at most

    Raises:
        InputError: a limit below 0.
    """

    fail_over: float | None = None
    fail_overtaken: int | None = None

    def __post_init__(self) -> None:
        if self.fail_over is not None and not real_number("fail_over", self.fail_over, "nats, 0 or more") >= 0:
            raise InputError(f"fail_over is {self.fail_over}; expected nats, 0 or more")
        if self.fail_overtaken is not None:
            whole_number("fail_overtaken", self.fail_overtaken, 0)


def complaints(limits: Limits, found: Audit | Together) -> tuple[str, ...]:
    """What is over the limits, a line each; nothing where they are kept.

    Of an audit, a fact's loss is the largest that an edit alone, as far as it was simulated, or all edits together cost
    it; it is overtaken where it is by any of them.
    """
    losses, overtaken = (found.losses, found.overtaken) if isinstance(found, Together) else _any(found)
    return over(limits, found.keep, losses, overtaken)


def over(limits: Limits, keep: Sequence[Fact], losses: Array, overtaken: Mask) -> tuple[str, ...]:
    """What facts lose over the limits, a line each.

    Args:
        limits: what is allowed.
        keep: M facts.
        losses: (M,) in nats a token.
        overtaken: (M,) whether another object has become as likely as the fact's own.
    """
    lines = []
    if limits.fail_over is not None and (losses > limits.fail_over).any():
        over = np.flatnonzero(losses > limits.fail_over)
        worst = int(losses.argmax())
        lines.append(
            f"{len(over)} of {len(losses)} facts to keep lose more than {limits.fail_over:g} nats, most "
            f"{_named(keep[worst])} with {losses[worst]:.2f}"
        )
    if limits.fail_overtaken is not None and overtaken.sum() > limits.fail_overtaken:
        names = [keep[place] for place in np.flatnonzero(overtaken).tolist()]
        lines.append(
            f"{len(names)} of {len(losses)} facts to keep are overtaken by another object, {limits.fail_overtaken} "
            f"allowed: {_list(names)}"
        )
    return tuple(lines)


def unreached(edits: Sequence[Fact], reached: Sequence[float], target: float) -> tuple[str, ...]:
    """The edits whose value does not reach a probability, in one line; nothing where all do.

    Args:
        edits: E edits.
        reached: by edit, probability per token of its new object that its value reaches.
        target: the probability.
    """
    few = sorted((p, place) for place, p in enumerate(reached) if p < target)
    if not few:
        return ()
    names = (f"{_subject(edits[place])} (case {edits[place].case_id}, p = {p:.3g})" for p, place in few[:NAMED])
    more = f" and {len(few) - NAMED} more" if len(few) > NAMED else ""
    return (f"{len(few)} of {len(edits)} edits do not reach p = {target:g}: {', '.join(names)}{more}",)


def unasked(left_out: Sequence[LeftOut], edits: Sequence[Fact]) -> tuple[str, ...]:
    """The edits that the model cannot be asked for, and those that contradict another: nothing was foreseen of them.

    Args:
        left_out: of edits and facts to keep.
        edits: that were asked for, all of them.
    """
    cases = {fact.case_id for fact in edits}
    few = [of for of in left_out if of.case_id in cases]
    lines = [f"{len(few)} of {len(edits)} edits cannot be asked for, the first is {few[0]}"] if few else []
    return (*lines, *conflicts(contradicting(edits)))


NAMED, NAME = 5, 40
"""Facts that a line names at most, and characters of a name in it."""


def _list(facts: Sequence[Fact]) -> str:
    more = f" and {len(facts) - NAMED} more" if len(facts) > NAMED else ""
    return ", ".join(map(_named, facts[:NAMED])) + more


def _named(fact: Fact) -> str:
    return f"{_subject(fact)} ({shortened(printable(fact.target_true), NAME)})"


def _subject(fact: Fact) -> str:
    return shortened(printable(fact.subject), NAME)


def _any(audit: Audit) -> tuple[Array, Mask]:
    losses = np.fmax(np.fmax.reduce(audit.losses, axis=0), audit.together.losses)
    return losses, np.logical_or.reduce([*audit.overtaken, audit.together.overtaken])
