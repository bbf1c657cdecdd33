"""A number of a stored run, and what became of it from one run to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from scipy import stats

LEVEL = 0.99
"""Of the interval that a difference has to leave: a page of fifty rows has half a row in it that chance put there."""


class Mark(str, Enum):
    """What became of a number."""

    SAME = "~"
    UNKNOWN = "?"
    BETTER = "better"
    WORSE = "worse"
    MOVED = "moved"
    APART = "not compared"


@dataclass(frozen=True)
class Number:
    """A number with its error.

    Attributes:
        value: None where it is undefined
        error: one standard error; None where nothing is known of it, as of a single round
        count: what it is made of: rounds, facts, pairs; None where that is not said
    """

    value: float | None
    error: float | None = None
    count: int | None = None


@dataclass(frozen=True)
class Row:
    """One number in two runs.

    Attributes:
        name: of the benchmark or the finding
        quantity: which number of it
        before, now: the number in either; None where one has none
        mark: what became of it
        change: relative to the first run; of a finding in errors of the difference. None where it is not defined
        worsened: by which part it is worse, where a direction is known: 1 where a time doubled or a speedup halved
        note: why it is not compared, or what else there is to say
        problems: how it differs from what it should be, in sentences; of science only
    """

    name: str
    quantity: str
    before: Number | None
    now: Number | None
    mark: Mark
    change: float | None = None
    worsened: float | None = None
    note: str = ""
    problems: tuple[str, ...] = ()


def differs(before: Number, now: Number) -> bool | None:
    """Whether two numbers differ by more than their errors allow, None where an error is not known.

    Welch's interval: the difference over both errors in quadrature against Student's t, with the degrees of freedom of
    both counts; without a count an error is taken as known exactly. Rounds of one run say nothing about how the machine
    was on another day: what differs by this rule may still be the weather.

    Example:
        >>> differs(Number(1.0, 0.1, 5), Number(1.2, 0.1, 5)), differs(Number(1.0, 0.1, 5), Number(2.0, 0.1, 5))
        (False, True)
        >>> differs(Number(1.0), Number(2.0)) is None
        True
    """
    if before.value is None or now.value is None:
        return None
    if before.value == now.value:
        return False
    if before.error is None or now.error is None:
        return None
    gap, combined = abs(now.value - before.value), math.hypot(before.error, now.error)
    return bool(gap > combined * stats.t.ppf((1 + LEVEL) / 2, _freedom(before, now)) if combined else True)


def _freedom(*numbers: Number) -> float:
    """Welch and Satterthwaite's degrees of freedom."""
    largest = max(of.error or 0.0 for of in numbers)  # by which they are divided: squares leave a float's range
    parts = [(((of.error or 0.0) / largest) ** 2 if largest else 0.0, of.count) for of in numbers]
    below = sum(square**2 / max(count - 1, 1) for square, count in parts if count is not None)
    return sum(square for square, _ in parts) ** 2 / below if below else math.inf


def change(before: Number, now: Number) -> float | None:
    """The relative change; infinite from zero, None where a value is undefined.

    Example:
        >>> change(Number(2.0), Number(3.0)), change(Number(0.0), Number(3.0))
        (0.5, inf)
    """
    if before.value is None or now.value is None:
        return None
    if before.value == now.value:
        return 0.0
    return (now.value - before.value) / abs(before.value) if before.value else math.copysign(math.inf, now.value)
