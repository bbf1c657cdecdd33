"""From numbers with errors to verdicts: on one number, or on one of each place of which all must satisfy the claim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ks_core.claims.finding import Bound, Judged, Verdict
from ks_core.statistics.estimate import Replicates

Interval = tuple[float, float]


def judge_number(estimate: Replicates, bound: Bound) -> Judged:
    """Judge one number, shape ().

    Example:
        >>> import numpy as np
        >>> judge_number(Replicates(np.array(5.0), [4.5, 5.5], [5.0, 5.0]), Bound("above", 3.0)).verdict
        <Verdict.HOLDS: 'holds'>
    """
    low, high = (float(end) for end in estimate.interval)
    errors = float(estimate.facts_error), float(estimate.text_error)
    return Judged(float(estimate.value), *errors, (low, high), bound, bound.judge(low, high))


def judge_every(estimates: Replicates, bound: Bound) -> tuple[int, Judged]:
    """Judge "in every layer" (or at every depth).

    Args:
        estimates: one number per place, shape (places,).
        bound: what each of them must satisfy.

    Returns:
        The weakest place, see `weakest`, and its number with the verdict on all.
    """
    intervals, familywise = _ends(estimates.interval), _ends(estimates.simultaneous)
    place, verdict = weakest(bound, intervals, familywise)
    errors = float(estimates.facts_error[place]), float(estimates.text_error[place])
    return place, Judged(float(estimates.value[place]), *errors, intervals[place], bound, verdict, familywise[place])


def weakest(bound: Bound, intervals: Sequence[Interval], familywise: Sequence[Interval]) -> tuple[int, Verdict]:
    """The place that comes closest to breaking a claim about all places, or breaks it; and the verdict on all.

    The claim holds when each place's own interval is on the required side. That a place breaks it must stand out among
    all: it is judged by the interval that covers all of them at once, or one of 30 would do so by chance.

    Args:
        bound: what each of them must satisfy.
        intervals: each place's own.
        familywise: each place's, such that all hold at once.

    Returns:
        The place, counted from 0, one that the verdict rests on; and the verdict.
    """
    verdicts = [_of_one_place(bound, *ends) for ends in zip(intervals, familywise, strict=True)]
    verdict = everywhere(verdicts)
    resting = [place for place, of_place in enumerate(verdicts) if of_place is verdict]
    return min(resting, key=lambda place: bound.margin(*intervals[place])), verdict


def everywhere(verdicts: Sequence[Verdict]) -> Verdict:
    """Verdict on "in every layer": one clear counterexample refutes it, one open case leaves it open."""
    if Verdict.FAILS in verdicts:
        return Verdict.FAILS
    return Verdict.UNDECIDED if Verdict.UNDECIDED in verdicts else Verdict.HOLDS


def _of_one_place(bound: Bound, own: Interval, familywise: Interval) -> Verdict:
    verdict = bound.judge(*own)
    if verdict is Verdict.FAILS and bound.judge(*familywise) is not Verdict.FAILS:
        return Verdict.UNDECIDED
    return verdict


def _ends(interval: tuple[Any, Any]) -> list[Interval]:
    return list(zip(*(end.tolist() for end in interval), strict=True))
