"""Findings and verdicts: a number with its error is held against a bound, and may be too uncertain to tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from ks_core.errors import InputError
from ks_core.formatting import shown


class Verdict(str, Enum):
    """What the data say about a claim on a model."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class NotApplicable:
    """Why a claim cannot be judged on what was measured; neither a pass nor a failure."""

    reason: str


@dataclass(frozen=True)
class Bound:
    """What a claim requires of a number: to lie above, below, or within ± a threshold of a centre.

    Attributes:
        centre: of `within`

    Example:
        >>> Bound("above", 3.0).judge(4.0, 6.0), Bound("within", 0.2).judge(-0.5, 0.1)
        (<Verdict.HOLDS: 'holds'>, <Verdict.UNDECIDED: 'undecided'>)
    """

    kind: Literal["above", "below", "within"]
    threshold: float
    centre: float = 0.0

    def judge(self, low: float, high: float) -> Verdict:
        """Verdict on a number's interval: wholly on the required side, wholly on the other, or across the threshold.

        NaN, an interval that is not known, is undecided.
        """
        margin, opposite = self._margins(low, high)
        if margin > 0:
            return Verdict.HOLDS
        return Verdict.FAILS if opposite > 0 else Verdict.UNDECIDED

    def margin(self, low: float, high: float) -> float:
        """How far inside the required side the whole interval lies; negative when it crosses; -inf for NaN."""
        margin, _ = self._margins(low, high)
        return -math.inf if math.isnan(margin) else margin

    def _margins(self, low: float, high: float) -> tuple[float, float]:
        if self.kind == "above":
            return low - self.threshold, self.threshold - high
        if self.kind == "below":
            return self.threshold - high, low - self.threshold
        least, most = self.centre - self.threshold, self.centre + self.threshold
        return min(most - high, low - least), max(low - most, least - high)


@dataclass(frozen=True)
class Reference:
    """A number that is known elsewhere, to be read beside a finding: published, or what chance gives.

    Attributes:
        source: where it is from, in a word or two: `GPT2-small`, `random keys`
        to: the other end, where it is a range
    """

    source: str
    value: float
    to: float | None = None
    error: float | None = None


@dataclass(frozen=True)
class Judged:
    """A number with its errors, held against what is required of it.

    Attributes:
        interval: 95 % over facts, widened by twice the error over text: the verdict is taken on this
        familywise: where the number is the weakest of several places, its interval such that those of all places hold
            at once: that it breaks the claim is taken on this
    """

    value: float
    facts_error: float
    text_error: float
    interval: tuple[float, float]
    bound: Bound
    verdict: Verdict
    familywise: tuple[float, float] | None = None

    @property
    def error(self) -> float:
        """Both errors in quadrature."""
        return math.hypot(self.facts_error, self.text_error)


@dataclass(frozen=True)
class Finding:
    """One number that decides (a part of) a claim: the number, and what it is of.

    Everything in it is data; `ks_core.reporting.words` says it in words.

    Attributes:
        claim: name of the claim: `zero-mean`
        quantity: what was measured, for the reader
        count: what the number is made of, see `counted`
        counted: what `count` counts
        part: of a claim with several numbers: `mode`
        family: of models, where several were measured
        variant: the same number found in another way: other `seeds` of training, a `long` stream
        relation: of the facts, where they are of one
        layers: all layers that the number speaks of
        across: how several layers are judged: each by itself, their mean, the first third of them less the last, all in
            one
        layer: the layer that the number is of: the one nearest to breaking the claim, or breaking it
        depth: the same where models of different depth are compared: `first`, `middle`, `last`
        facts: the facts that the number is of, counted in the measured order; of a pair in a layer the edited one first
        method: of editing, where several were tried and the number is of one
        edits: after how many edits of a stream the number was taken
        tolerance: what the bound is made of, where each number has one of its own
        grain: what one entry adds to the value, where it is a count of entries or a fraction of them
        is_rounding: whether the value is nothing but rounding, which goes by the machine: then only its verdict can be
            compared
        unit: of the value, its errors, its bound and the references; `1` for a number without, empty where it is not
            known, as in results of an older version
    """

    claim: str
    quantity: str
    judged: Judged
    count: int
    counted: str = "pairs of facts a layer"
    part: str = ""
    family: str = ""
    variant: str = ""
    relation: str = ""
    layers: tuple[int, ...] = ()
    across: Literal["each", "mean", "thirds", "pooled"] = "each"
    layer: int | None = None
    depth: str = ""
    facts: tuple[int, ...] = ()
    method: str = ""
    edits: int = 0
    tolerance: str = ""
    references: tuple[Reference, ...] = ()
    grain: float = 0.0
    is_rounding: bool = False
    unit: str = "1"

    def __post_init__(self) -> None:
        """Refuse a number that was not judged."""
        if not isinstance(self.judged, Judged):
            raise InputError(
                f"finding {shown(self.claim)} has judged = {shown(self.judged)}; expected Judged, as "
                "ks_core.claims.judging.judge_number(estimate, bound) gives it"
            )

    @property
    def id(self) -> str:
        """The claim with part, family and variant: `scaling:kurtosis@gpt_neox@seeds`; one finding of a run has it."""
        part = f":{self.part}" if self.part else ""
        return self.claim + part + "".join(f"@{of}" for of in (self.family, self.variant) if of)

    @property
    def places(self) -> str:
        """`layers` or `depths` where the number is the weakest of several; else empty."""
        if self.depth:
            return "depths"
        return "layers" if self.across == "each" and len(self.layers) > 1 else ""

    @property
    def is_of_all_at_once(self) -> bool:
        """Whether it is on the breaking side of its bound, the weakest of several places: it fails on `familywise`."""
        judged = self.judged
        outside = math.isfinite(judged.value) and judged.bound.margin(judged.value, judged.value) <= 0
        return bool(self.places) and outside

    @property
    def stands_out_alone(self) -> bool:
        """Whether its own interval is wholly on the breaking side, and it is undecided as one of several places."""
        judged = self.judged
        is_clear = judged.bound.judge(*judged.interval) is Verdict.FAILS
        return self.is_of_all_at_once and is_clear and judged.verdict is Verdict.UNDECIDED

    @property
    def value(self) -> float:
        """Of the number."""
        return self.judged.value

    @property
    def error(self) -> float:
        """Of the number, over facts and text together."""
        return self.judged.error

    @property
    def verdict(self) -> Verdict:
        """On the number."""
        return self.judged.verdict
