"""Claims, findings and verdicts: a number with its error is held against a threshold, and may be too uncertain to tell.

What each claim of the paper means in numbers stands beside its test, one file each under `bench/paper/`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from ks_core.statistics.estimate import Replicates


class Verdict(str, Enum):
    """What the data say about a claim on a model."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Finding:
    """One number that decides (a part of) a claim, with its error, count, threshold and verdict."""

    claim: str
    """id of the claim, with a part behind a colon where it has several: `zero-mean:mode`"""
    quantity: str
    """what was measured, in words"""
    value: float
    facts_error: float
    text_error: float
    interval: tuple[float, float]
    """95 % over facts, widened by twice the error over text: the verdict is taken on this"""
    count: int
    """what the number is made of, see `counted`"""
    layers: str
    """which layers the number speaks of"""
    threshold: str
    """what the value is held against, in words and numbers"""
    reference: str
    """what is known elsewhere: published number, null model; empty if nothing is"""
    verdict: Verdict
    grain: float = 0.0
    """what one entry adds to the value, where it is a count"""
    counted: str = "pairs of facts a layer"
    """what `count` counts"""

    @property
    def error(self) -> float:
        """Both errors in quadrature."""
        return math.hypot(self.facts_error, self.text_error)


@dataclass(frozen=True)
class Bound:
    """What a claim requires of a number: to lie above, below, or within ± a threshold.

    Example:
        >>> Bound("above", 3.0).judge(4.0, 6.0), Bound("within", 0.2).judge(-0.5, 0.1)
        (<Verdict.HOLDS: 'holds'>, <Verdict.UNDECIDED: 'undecided'>)
    """

    kind: Literal["above", "below", "within"]
    threshold: float

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
        return min(self.threshold - high, low + self.threshold), max(low - self.threshold, -self.threshold - high)

    def __str__(self) -> str:
        """In short: `> 3`, `< 0.5`, `± 0.2`."""
        return f"{ {'above': '>', 'below': '<', 'within': '±'}[self.kind] } {self.threshold:.3g}"


def everywhere(verdicts: list[Verdict]) -> Verdict:
    """Verdict on "in every layer": one clear counterexample refutes it, one open case leaves it open."""
    if Verdict.FAILS in verdicts:
        return Verdict.FAILS
    return Verdict.UNDECIDED if Verdict.UNDECIDED in verdicts else Verdict.HOLDS


def weakest_layer(
    claim: str,
    quantity: str,
    estimates: Replicates,
    bound: Bound,
    *,
    layers: tuple[int, ...],
    count: int,
    reference: str | Sequence[str] = "",
    grain: float = 0.0,
) -> Finding:
    """Judge "in every layer"; the number reported is that of the layer that comes closest to breaking it, or breaks it.

    Args:
        claim: id of the claim.
        quantity: what the numbers are.
        estimates: one number per layer, shape (layers,).
        bound: what each of them must satisfy.
        layers: the layers' own numbers.
        count: pairs behind each number.
        reference: see `Finding`; one for each layer where it differs.
        grain: see `Finding`.

    The claim holds when each layer's own interval is on the required side. That a layer breaks it must stand out among
    all layers: it is judged by the interval that covers all of them at once, or one of 30 would do so by chance.
    """
    intervals = list(zip(*(end.tolist() for end in estimates.interval), strict=True))
    familywise = zip(*(end.tolist() for end in estimates.simultaneous), strict=True)
    verdicts = [_of_one_layer(bound, *ends) for ends in zip(intervals, familywise, strict=True)]
    verdict = everywhere(verdicts)
    worst = min(
        (place for place, of_layer in enumerate(verdicts) if of_layer is verdict),
        key=lambda place: bound.margin(*intervals[place]),
    )
    return Finding(
        claim=claim,
        quantity=quantity,
        value=float(estimates.value[worst]),
        facts_error=float(estimates.facts_error[worst]),
        text_error=float(estimates.text_error[worst]),
        interval=intervals[worst],
        count=count,
        layers=f"{span(layers)}, weakest {layers[worst]}",
        threshold=str(bound),
        reference=reference if isinstance(reference, str) else reference[worst],
        verdict=verdict,
        grain=grain,
    )


def _of_one_layer(bound: Bound, own: tuple[float, float], familywise: tuple[float, float]) -> Verdict:
    verdict = bound.judge(*own)
    if verdict is Verdict.FAILS and bound.judge(*familywise) is not Verdict.FAILS:
        return Verdict.UNDECIDED
    return verdict


def of_one_number(
    claim: str,
    quantity: str,
    estimate: Replicates,
    bound: Bound,
    *,
    layers: str,
    count: int,
    counted: str = "pairs of facts a layer",
    reference: str = "",
    grain: float = 0.0,
) -> Finding:
    """Judge one number, shape (); arguments as for `weakest_layer`, with the layers in words."""
    low, high = (float(end) for end in estimate.interval)
    return Finding(
        claim=claim,
        quantity=quantity,
        value=float(estimate.value),
        facts_error=float(estimate.facts_error),
        text_error=float(estimate.text_error),
        interval=(low, high),
        count=count,
        layers=layers,
        threshold=str(bound),
        reference=reference,
        verdict=bound.judge(low, high),
        grain=grain,
        counted=counted,
    )


def span(layers: tuple[int, ...]) -> str:
    """Layers in short: a range where they are consecutive, the number of them where not.

    Example:
        >>> span((0, 1, 2, 3)), span((0, 4, 8))
        ('0-3', '3 of 0-8')
    """
    if len(layers) == 1:
        return str(layers[0])
    consecutive = layers == tuple(range(layers[0], layers[-1] + 1))
    return f"{layers[0]}-{layers[-1]}" if consecutive else f"{len(layers)} of {layers[0]}-{layers[-1]}"
