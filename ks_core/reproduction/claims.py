"""Claims, findings and verdicts: a number with its error is held against a threshold, and may be too uncertain to tell.

What each claim of the paper means in numbers stands beside its test, one file each under `bench/paper/`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Literal

import numpy as np

from ks_core.statistics.estimate import Replicates

SIGMAS = 2.0
"""A number is on one side of a threshold when it is this many of its errors away: 95 % for a Gaussian error."""


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
    count: int
    """ordered pairs of facts behind the number"""
    layers: str
    """which layers the number speaks of"""
    threshold: str
    """what the value is held against, in words and numbers"""
    reference: str
    """what is known elsewhere: published number, null model; empty if nothing is"""
    verdict: Verdict

    @property
    def error(self) -> float:
        """Both errors in quadrature."""
        return math.hypot(self.facts_error, self.text_error)


@dataclass(frozen=True)
class Bound:
    """What a claim requires of a number: to lie above, below, or within ± a threshold.

    Example:
        >>> Bound("above", 3.0).judge(5.0, error=0.5), Bound("within", 0.2).judge(-0.3, error=0.1)
        (<Verdict.HOLDS: 'holds'>, <Verdict.UNDECIDED: 'undecided'>)
    """

    kind: Literal["above", "below", "within"]
    threshold: float

    def distance(self, value: float) -> float:
        """How far the value lies on the required side; negative on the other."""
        if self.kind == "above":
            return value - self.threshold
        return self.threshold - (value if self.kind == "below" else abs(value))

    def judge(self, value: float, error: float) -> Verdict:
        """Which side the value is on, when that is `SIGMAS` errors clear; undecided otherwise, and for NaN."""
        distance = self.distance(value)
        if distance > SIGMAS * error:
            return Verdict.HOLDS
        return Verdict.FAILS if distance < -SIGMAS * error else Verdict.UNDECIDED

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
    reference: str = "",
) -> Finding:
    """Judge "in every layer"; the number reported is that of the layer which comes closest to breaking it.

    Args:
        claim: id of the claim.
        quantity: what the numbers are.
        estimates: one number per layer, shape (layers,).
        bound: what each of them must satisfy.
        layers: the layers' own numbers.
        count: pairs behind each number.
        reference: see `Finding`.
    """
    verdicts = [bound.judge(float(v), float(e)) for v, e in zip(estimates.value, estimates.error, strict=True)]
    margins = [
        bound.distance(float(v)) - SIGMAS * float(e) for v, e in zip(estimates.value, estimates.error, strict=True)
    ]
    worst = int(np.argmin(np.nan_to_num(margins, nan=-np.inf)))
    return Finding(
        claim=claim,
        quantity=quantity,
        value=float(estimates.value[worst]),
        facts_error=float(estimates.facts_error[worst]),
        text_error=float(estimates.text_error[worst]),
        count=count,
        layers=f"{span(layers)}, weakest {layers[worst]}",
        threshold=f"{bound}, each layer",
        reference=reference,
        verdict=everywhere(verdicts),
    )


def of_one_number(
    claim: str, quantity: str, estimate: Replicates, bound: Bound, *, layers: str, count: int, reference: str = ""
) -> Finding:
    """Judge one number, shape (); arguments as for `weakest_layer`, with the layers in words."""
    return Finding(
        claim=claim,
        quantity=quantity,
        value=float(estimate.value),
        facts_error=float(estimate.facts_error),
        text_error=float(estimate.text_error),
        count=count,
        layers=layers,
        threshold=str(bound),
        reference=reference,
        verdict=bound.judge(float(estimate.value), float(estimate.error)),
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
