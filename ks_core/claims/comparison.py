"""Measured numbers beside published ones, each with a tolerance and its reason, and as rows for the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ks_core.claims.finding import Bound, Finding, Judged, Reference, Verdict


@dataclass(frozen=True)
class Comparison:
    """One measured number beside the published one.

    Attributes:
        quantity: what is compared, in words
        tolerance: by how much they may differ, in their own unit
        why: what the tolerance is made of, in words
        layer: None where it is not of one
        facts: of an entry, the edited and the disturbed one, counted in the published order; or those that are off
        text_error: one standard error of the measured number over text; 0 where no text enters
        at_most: whether the published number is only an upper bound: an entry that is not among the published largest

    Example:
        >>> found = Comparison("kurtosis of Q", 3.575, 3.57, 0.01, "digitised to 0.01", layer=3)
        >>> found.agrees, str(found)
        (True, 'kurtosis of Q, layer 3: measured 3.575, published 3.57 ± 0.01 (digitised to 0.01)')
    """

    quantity: str
    measured: float
    published: float
    tolerance: float
    why: str
    layer: int | None = None
    facts: tuple[int, ...] = ()
    text_error: float = 0.0
    at_most: bool = False

    @property
    def deviation(self) -> float:
        """How far they differ, in tolerances; at most 1 when they agree. NaN when any of it is not known."""
        off = self.measured - self.published
        if math.isnan(off) or math.isnan(self.tolerance):
            return math.nan
        off = max(off, 0.0) if self.at_most else abs(off)
        return off / self.tolerance if self.tolerance > 0 else (0.0 if off == 0 else math.inf)

    @property
    def agrees(self) -> bool:
        """Whether they differ by no more than the tolerance; what is not known (NaN) does not agree."""
        return self.deviation <= 1

    @property
    def where(self) -> str:
        """The layer, and of an entry its facts: `layer 0, facts 2 → 125`."""
        layer = [] if self.layer is None else [f"layer {self.layer}"]
        between = " → " if layer else ", "
        return ", ".join([*layer, *([f"facts {between.join(map(str, self.facts))}"] if self.facts else [])])

    @property
    def required(self) -> str:
        """The published number and the tolerance: `3.57 ± 0.01`, `at most 116.618 ± 0.12`."""
        return f"{'at most ' if self.at_most else ''}{self.published:.6g} ± {self.tolerance:.2g}"

    def __str__(self) -> str:
        """One line: quantity, place, both numbers, the tolerance and its reason."""
        where = f", {self.where}" if self.where else ""
        return f"{self.quantity}{where}: measured {self.measured:.6g}, published {self.required} ({self.why})"


def findings_of(comparisons: Sequence[Comparison]) -> list[Finding]:
    """One finding of each quantity: the number that is furthest off, in tolerances."""
    by_quantity: dict[str, list[Comparison]] = {}
    for found in comparisons:
        by_quantity.setdefault(found.quantity, []).append(found)
    return [_finding(of_one) for of_one in by_quantity.values()]


def _finding(comparisons: Sequence[Comparison]) -> Finding:
    # what is not known (NaN) is worst of all
    worst = max(comparisons, key=lambda of: math.inf if math.isnan(of.deviation) else of.deviation)
    off = sum(not found.agrees for found in comparisons)
    bound = (
        Bound("below", worst.published + worst.tolerance)
        if worst.at_most
        else Bound("within", worst.tolerance, centre=worst.published)
    )
    judged = Judged(
        value=worst.measured,
        facts_error=0.0,
        text_error=worst.text_error,
        interval=(worst.measured, worst.measured),  # the error is in the tolerance
        bound=bound,
        verdict=Verdict.FAILS if off else Verdict.HOLDS,
    )
    return Finding(
        claim="published",
        part=worst.quantity.replace(" ", "-"),
        quantity=f"{worst.quantity}: of all numbers the furthest off",
        tolerance=worst.why,
        judged=judged,
        count=len(comparisons),
        counted="numbers compared",
        layers=tuple(sorted({of.layer for of in comparisons if of.layer is not None})),
        layer=worst.layer,
        facts=worst.facts,
        references=(Reference("numbers that are off", off),),
        unit=_unit(worst.quantity),
    )


def _unit(quantity: str) -> str:
    """Inner products are in squares of what a key's entries are in; their kurtosis, and all of P, have no unit."""
    return "key^2" if quantity.endswith(" of Q") and not quantity.startswith("kurtosis") else "1"
