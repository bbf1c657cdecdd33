"""horizon: from a sample of the edits one can say after how many a model fails (not a claim of the paper).

Definitions. Two numbers of edits, read off a method's curve between its looks (`crossing`). `kept`: at which the mean
p(new) of the first quarter (of those made so far, where they are fewer) has fallen to half of what the values reach
when they are put in, mean over all edits. `watched`: at which a fifth of the watched facts have lost half of their
probability or more. For each, the forecast from a sample of the edits over the measured one, less 1. The curve is the
mean over orders, the forecast the mean over samples.

Threshold: 0.2 either way, the aim: within a fifth the forecast says how many edits a model takes. A number that a curve
does not reach by the last look is known only to be larger: the last look stands for it where that alone is more than a
fifth off; else nothing is known, and the references say how far the curves came.

Errors: orders of the curve and samples of the forecast are drawn anew (one fewer than there are, see `draws_of_few`).
The watched facts are not, as both numbers are of the same ones. Of a single order or sample nothing is decided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Bound, Finding, NotApplicable, Reference
from ks_core.claims.judging import judge_number
from ks_core.experiments.lifelong.crossing import crossing
from ks_core.experiments.lifelong.look import Curve, Look
from ks_core.experiments.lifelong.measurement import Forecast, Lifelong
from ks_core.experiments.lifelong.scores import HALVED
from ks_core.statistics.crossed import draws_of_few
from ks_core.statistics.estimate import Replicates
from ks_core.statistics.pairs import Array

AIM = 0.2
A_FIFTH = 0.2
"""Of the watched facts."""

QUANTITIES = {
    "kept": "the first quarter's p(new) has halved",
    "watched": "a fifth of the watched facts have lost half",
}


@dataclass(frozen=True, eq=False)
class Rising:
    """A curve in every order (or from every sample) that rises to a level.

    Attributes:
        counts: (c,), after how many edits
        numbers: (R, c)
        level: that their mean is to reach
    """

    counts: Sequence[int]
    numbers: Array
    level: float

    def reached(self, weights: Array) -> float:
        """Number of edits where the mean over orders, with weights (R,), reaches the level; else NaN."""
        return crossing(self.counts, weights @ self.numbers / weights.sum(), self.level)


def judge(measured: Lifelong) -> list[Finding] | NotApplicable:
    """Judge each forecast against the curve that was measured."""
    found = []
    for forecast in measured.forecasts:
        both = {*measured.curve(forecast.method).counts} & {*forecast.curve.counts}
        if both:
            found += [_judge_part(measured, forecast, max(both), part) for part in QUANTITIES]
    return found or NotApplicable("no curve was both forecast and measured")


def _judge_part(measured: Lifelong, forecast: Forecast, most: int, part: str) -> Finding:
    curves = measured.curve(forecast.method), forecast.curve
    counts = sorted({*curves[0].counts} & {*curves[1].counts})  # or what is between two looks would differ by itself
    found, foretold = (_rising(measured, of, counts, part) for of in curves)
    return Finding(
        claim="horizon",
        part=part,
        variant=forecast.method,
        quantity=f"forecast over measured number of edits until {QUANTITIES[part]}, less 1",
        method=forecast.method,
        edits=most,
        judged=judge_number(_estimate(measured, foretold, found), Bound("within", AIM)),
        count=forecast.sample,
        counted=f"edits of each of {len(foretold.numbers)} samples",
        layers=(measured.plan.layer,),
        references=(*_told("measured", found), *_told("forecast", foretold)),
    )


def _rising(measured: Lifelong, curve: Curve, counts: Sequence[int], part: str) -> Rising:
    """At the numbers of edits at which both the curve and its forecast were looked at."""
    number = _halved if part == "watched" else _less_kept
    by_order = np.array([[number(look, measured.before[0]) for look in curve.at(n)] for n in counts]).T
    return Rising(counts, by_order, A_FIFTH if part == "watched" else -float(measured.reached.mean()) / 2)


def _less_kept(look: Look, _: Look) -> float:
    """What is kept falls, and is turned round; NaN where a forecast knows none of the edits so far."""
    return -float(look.early.log_probability.exp().mean())


def _halved(look: Look, before: Look) -> float:
    lost = look.watched.log_probability - before.watched.log_probability <= -HALVED
    return float(lost.double().mean())


def _estimate(measured: Lifelong, foretold: Rising, found: Rising) -> Replicates:
    rng = np.random.default_rng(measured.seed)
    both = foretold, found
    alone = min(len(of.numbers) for of in both) < 2
    draws = zip(*(draws_of_few(len(of.numbers), measured.resamples, rng) for of in both), strict=True)
    whole = [np.ones(len(of.numbers)) for of in both]
    value, *replicates = (
        too_late(foretold.reached(of_samples), found.reached(of_orders), found.counts[-1])
        for of_samples, of_orders in (whole, *draws)
    )
    return Replicates(np.array(value), np.full(len(replicates), np.nan) if alone else np.array(replicates), np.empty(0))


def too_late(forecast: float, measured: float, most: int) -> float:
    """By which part a number of edits was forecast too high, or too low.

    Args:
        forecast, measured: NaN where it is above `most`.
        most: the number of edits at the last look.

    Returns:
        forecast / measured - 1. With `most` for one that is not known, the least that it can be off, where that is more
        than `AIM`; else NaN.

    Example:
        >>> too_late(50.0, 100.0, 400), too_late(math.nan, 100.0, 400), too_late(math.nan, 390.0, 400)
        (-0.5, 3.0, nan)
    """
    late_known, known = not math.isnan(forecast), not math.isnan(measured)
    off = (forecast if late_known else most) / (measured if known else most) - 1
    if late_known and known:
        return off
    return off if late_known != known and abs(off) > AIM else math.nan


def _told(name: str, rising: Rising) -> tuple[Reference, ...]:
    """After how many edits, or how far it came."""
    reached = rising.reached(np.ones(len(rising.numbers)))
    if not math.isnan(reached):
        return (Reference(f"{name} edits", reached),)
    furthest = float(np.nanmax(rising.numbers.mean(axis=0)))
    return Reference(f"{name} by {rising.counts[-1]} edits", abs(furthest)), Reference("needed", abs(rising.level))


SENTENCE = "a sample of the edits tells after how many a model fails"
CLAIM = Claim("horizon", SENTENCE, "lifelong", judge, short="a sample foretells failure")
