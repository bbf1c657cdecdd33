"""What would decide an undecided number: how much more text, how many more facts, edits, seeds or models.

A verdict is taken on an interval. Its arm, from the value to the end that lies across the threshold, is made of two
parts in quadrature, one over facts (whatever was drawn anew: facts, edits, texts) and twice the error over text,

    arm^2 = F^2 + T^2,    T = 2 text_error,

and both fall as the square root of what they are of. With f times the facts and t times the text the interval lies on
one side, *if the value stays where it is*, when

    F^2 / f + T^2 / t < gap^2,

the gap being the distance from the value to the threshold. Of all such f, t >= 1 those with the least f + t are named,
rounded up; one alone where that costs hardly more. That the value stays is an assumption: it moves by
about its error, and half of the numbers that are one error from their threshold need more than is said here.

Exact where the interval is that of one number. Of numbers of several layers (or depths) only the weakest is known: to
decide that *it* holds is the least that is needed, hence "at least". That one place breaks the claim must stand out
among all of them, and is taken on the wider interval of all at once. Where that one is not known, as in results of
an older version, and the number's own is clear of the threshold, nothing can be counted: only the reason is given.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from scipy.stats import chi2
from scipy.stats import t as student

from ks_core.claims.finding import Finding, Verdict
from ks_core.statistics.estimate import TEXT_REACH

BEYOND_REASON = 100
"""Times: of the packaged request that is ten million tokens, what the paper read, and about as many facts as
CounterFact has a use for (12,800 of 21,919). More is not a longer run, it is another study. Seeds and models are
counted, and as many of them are out of reach too."""

HARDLY_MORE = 1.2
"""One factor alone is named where it costs (f + t) at most so much more than both would."""

UNITS = {
    "pairs of edit": "edits",
    "edits of each of": "orders and samples",
    "neighbourhood prompts": "edits",
    "edits": "edits",
    "watched": "watched facts",
    "texts": "held-out texts",
    "bystanders": "bystanders",
    "keys": "keys",
    "fact": "facts",
    "entries of P": "facts",
}
"""What is in a `counted` → what was drawn anew, and there would have to be more of; the first that is there."""

UNIT_WORDS = {"orders and samples": "orders", "held-out texts": "texts", "watched facts": "facts"}
"""Unit → the same in a word, where there is hardly any room."""

MOST_COUNTED = 10_000
"""Models or seeds; further is not looked."""

WHOLE = 4.0
"""Times: rounding up to a whole number then adds a quarter at most."""

AT_IT = 1e-6
"""Of the interval's arm: a value so near to its threshold, 1e12 times the facts away from a verdict, is at it."""

ROUNDING = 1e-9
"""Of a factor: it must be more than enough, as an interval that ends at the threshold is undecided."""

Arm = tuple[float, float]
"""The distance to a threshold, and how far the interval reaches there."""

SPREAD_BETWEEN_SEEDS = "spread between seeds"
"""Reference of a number over seeds of training: its standard error over them."""


@dataclass(frozen=True)
class Needed:
    """What would bring the interval of a number to one side of its threshold.

    Attributes:
        text: so many times the text; 1 where there is enough
        others: so many times what `unit` says; NaN where nothing can be said, as some sample leaves the number
            undefined; infinite at the threshold
        unit: `facts`, `edits`, …
        count: so many of what `counted` says, where they are few enough to be counted; else 0
        counted: `seeds` or `models`
        at_least: whether other layers may need more
        is_of_sizes: whether the number is of models of several sizes
        alone: the places among all of which the number does not stand out, while it does alone: `layers`
    """

    text: float
    others: float
    unit: str
    count: int = 0
    counted: str = ""
    at_least: bool = False
    is_of_sizes: bool = False
    alone: str = ""

    @property
    def cost(self) -> float:
        """By which needs are compared: infinite where nothing can be said."""
        return math.inf if math.isnan(self.others) else self.text + self.others + self.count

    @property
    def is_within_reason(self) -> bool:
        """Whether it can be asked of somebody."""
        return max(self.text, self.others, self.count) <= BEYOND_REASON

    @property
    def sentence(self) -> str:
        """In words: `4 × the text and 9 × the facts`."""
        if math.isnan(self.others):
            return f"more {self.unit}, as some samples leave it undefined"
        if self.is_within_reason:
            least = "at least " if self.at_least and self._factors else ""
            return least + self.amounts + (f": it stands out alone, not among all {self.alone}" if self.alone else "")
        if self.is_of_sizes:
            return "not decidable with models this small"
        return f"too near to its threshold ({'needs ' + self.amounts if math.isfinite(self.cost) else 'it is at it'})"

    @property
    def short(self) -> str:
        """The same where there is little room: `4 × text, 9 × facts`."""
        amounts = ", ".join(self._factors).replace("the ", "") or self.amounts
        if math.isnan(self.others):
            return f"more {self.unit}"
        if self.alone and not self._factors:
            return "alone, not among all"
        if self.is_within_reason:
            return amounts
        if self.is_of_sizes:
            return "models too small"
        return f"too near: {amounts}" if math.isfinite(self.cost) else "too near"

    @property
    def shortest(self) -> str:
        """The same with each unit in a word, and without numbers that are beyond reason."""
        word = UNIT_WORDS.get(self.unit, self.unit)
        return self.short.replace(self.unit, word) if self.is_within_reason else self.short.partition(":")[0]

    @property
    def amounts(self) -> str:
        """How much of what: `4 × the text and 9 × the facts`, `12 models`."""
        return " and ".join(self._factors) or f"more {self.unit}"

    @property
    def _factors(self) -> list[str]:
        factors = {"text": self.text, self.unit: self.others}
        named = [f"{_times(times)} × the {unit}" for unit, times in factors.items() if times > 1]
        over = "over " if self.count >= MOST_COUNTED else ""
        named += [f"{over}{self.count:,} {self.counted}"] if self.count else []
        return named


def what_would_decide(finding: Finding) -> str:
    """What would decide an undecided finding, in a few words; nothing for one that is decided.

    Example:
        >>> from ks_core.claims.finding import Bound, Judged
        >>> judged = Judged(4.0, 0.0, 1.0, (2.1, 5.9), Bound("above", 3.0), Verdict.UNDECIDED)
        >>> what_would_decide(Finding("mine", "a number", judged, count=8))
        '3.7 × the text'
    """
    found = needed(finding)
    return "" if found is None else found.sentence


def needed(finding: Finding) -> Needed | None:
    """The same as numbers; None for a finding that is decided."""
    judged = finding.judged
    if judged.verdict is not Verdict.UNDECIDED:
        return None
    unit = next((unit for word, unit in UNITS.items() if word in finding.counted), "data")
    at_least = bool(finding.places) and (not finding.is_of_all_at_once or judged.familywise is None)
    alone = finding.places if finding.stands_out_alone else ""
    say = partial(Needed, at_least=at_least, is_of_sizes=bool(finding.depth), alone=alone)
    arms = _arms(finding)
    if not all(map(math.isfinite, (judged.value, judged.error, *judged.interval))):
        return say(1, math.nan, unit)
    if any(gap <= AT_IT * arm for gap, arm in arms):
        return say(1, math.inf, unit)
    if finding.counted.startswith("models"):
        return say(1, 1, unit, _fewest(finding.count, _spread_decides(finding)), "models")
    text_arm = TEXT_REACH * judged.text_error
    if finding.counted.startswith("seeds"):
        return _seeds(finding, arms, text_arm, say)
    text, others = _least(arms, text_arm)
    if finding.grain:  # one entry must be less than the gap, or it alone could carry the value across
        others = max(others, *(finding.grain / gap for gap, _ in arms))
    return say(_up(text), _up(others), unit)


def _arms(finding: Finding) -> list[Arm]:
    """(gap, arm) of each side of the interval that must clear a threshold; a gap of 0 is a value at it."""
    judged, bound = finding.judged, finding.judged.bound
    low, high = judged.interval
    below, above = judged.value - low, high - judged.value
    inside = bound.margin(judged.value, judged.value)
    if inside <= 0 and judged.familywise is not None:
        below, above = judged.value - judged.familywise[0], judged.familywise[1] - judged.value
    if bound.kind == "above":
        return [(abs(inside), below if inside > 0 else above)]
    if bound.kind == "below":
        return [(abs(inside), above if inside > 0 else below)]
    off = judged.value - bound.centre
    if inside > 0:
        return [(bound.threshold - off, above), (bound.threshold + off, below)]
    return [(abs(inside), below if off > 0 else above)]


def _least(arms: list[Arm], text_arm: float) -> tuple[float, float]:
    """The least factors t, f of text and facts that bring every arm inside its gap."""
    parts = [(gap, math.sqrt(max(0.0, arm**2 - text_arm**2)), min(text_arm, arm)) for gap, arm in arms]

    def beside(times: float, own: Literal[1, 2]) -> float:
        """The least factor of one part of each arm (1: facts, 2: text) where the other part has so many times."""
        left = [(part[own], part[0] ** 2 - part[3 - own] ** 2 / times) for part in parts]
        return max(1.0, *((math.inf if rest <= 0 else arm**2 / rest) for arm, rest in left))

    tried = [(beside(1.0, 2), 1.0), (1.0, beside(1.0, 1))]
    both = [(gap, of_text * (facts_arm + of_text) / gap**2) for gap, facts_arm, of_text in parts]
    tried += [(text, beside(text, 1)) for _, text in both if text > 1]  # where f + t is least along one arm
    costs = [HARDLY_MORE * (t + f) if t > 1 and f > 1 else t + f for t, f in tried]
    return tried[costs.index(min(costs))]


def _spread_decides(finding: Finding) -> Callable[[int], bool]:
    """Whether so many models decide on a standard deviation over them, whose interval is by χ²."""
    judged = finding.judged

    def decides(count: int) -> bool:
        low, high = (judged.value * math.sqrt((count - 1) / float(chi2.ppf(q, count - 1))) for q in (0.975, 0.025))
        return judged.bound.judge(low, high) is not Verdict.UNDECIDED

    return decides


def _seeds(finding: Finding, arms: list[Arm], text_arm: float, say: Callable[..., Needed]) -> Needed:
    """A mean over seeds, whose interval is by Student's t, beside what facts and text leave of it."""
    spread = next((of.value for of in finding.references if of.source == SPREAD_BETWEEN_SEEDS), finding.judged.error)

    def reach(count: int) -> float:
        return float(student.ppf(0.975, count - 1)) * spread * math.sqrt(finding.count / count)

    own = [(gap, math.sqrt(max(0.0, arm**2 - reach(finding.count) ** 2))) for gap, arm in arms]
    text, facts = 1.0, 1.0
    if any(arm >= gap for gap, arm in own):  # no number of seeds would do: half of the gap's square to each
        text, facts = _least([(gap / math.sqrt(2), arm) for gap, arm in own], text_arm)
        own = [(gap, gap / math.sqrt(2)) for gap, _ in own]
    count = _fewest(finding.count, lambda count: all(arm**2 + reach(count) ** 2 < gap**2 for gap, arm in own))
    return say(_up(text), _up(facts), "facts", count, "seeds")


def _fewest(count: int, decides: Callable[[int], bool]) -> int:
    """The fewest above a count that decide, which more would too; at most `MOST_COUNTED`."""
    counts = range(count + 1, MOST_COUNTED)
    return count + 1 + bisect_left(counts, True, key=decides)


def _up(times: float) -> float:
    """Rounded up, so that it is enough: to tenths, from `WHOLE` on to whole numbers, from 100 on to two digits."""
    if not math.isfinite(times) or times <= 1:
        return times
    unit = 0.1 if times < WHOLE else max(1.0, 10.0 ** (math.floor(math.log10(times)) - 1))
    return math.ceil(times / unit * (1 + ROUNDING)) * unit


def _times(times: float) -> str:
    return "over 10,000" if times > 10_000 else f"{float(f'{times:.3g}'):,g}"
