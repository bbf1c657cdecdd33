"""Findings with planted numbers, as claims of every verdict make them."""

from __future__ import annotations

import math

from ks_core.claims.finding import Bound, Finding, Judged, Reference
from ks_core.claims.published import NOT_COMPARED
from ks_core.claims.summing import Sum, sums_of

ABOVE, BELOW, WITHIN = Bound("above", 3.0), Bound("below", 3.0), Bound("within", 0.5, centre=3.0)


def finding(name="mine", value=4.0, error=0.1, bound=ABOVE, reach=2.0, quantity="a number", **of):
    """A finding whose interval reaches so many errors either way."""
    ends = value - reach * error, value + reach * error
    judged = Judged(value, error, 0.0, ends, bound, bound.judge(*ends))
    return Finding(name, quantity, judged, count=8, **of)


def many() -> list[Sum]:
    """Claims of every verdict: with parts, families and layers, undefined, exact, far off, not judged, and unknown."""
    layers = {"layers": tuple(range(30)), "layer": 20}
    found = [
        finding("universal", 5.1, 0.2, **layers),
        finding("zero-mean", 1.1, 0.05, WITHIN, part="mean", **layers),
        finding("zero-mean", 3.1, 0.05, WITHIN, part="mode", **layers),
        finding("kurtosis", 4.0, 2.0, **layers),
        finding("layers", 3.0, 1.0),
        finding("semantic-pairs", 3.01, 1.0, counted="entries of P"),
        finding("lossless", 2.2e-15, 5.6e-17, Bound("below", 1.49e-8), is_rounding=True),
        *(finding("scaling", 3.2, 1.0, part="kurtosis", family=of, depth="last") for of in ("gpt2", "gpt_neox")),
        *(finding("scaling", 3.001, 1.0, part="spread", family=of, depth="first") for of in ("gpt2", "gpt_neox")),
        finding("methods", 3.1, 0.7, part="retention", counted="edits", edits=32),
        finding("bound-pairs", 4.0, math.nan, part="bound", references=(Reference("P < 0.8", 0.05),)),
        finding("horizon", math.nan, math.nan, part="kept", variant="sequential", tolerance="none"),
        finding("related-pairs", 4.0, 0.0),
        finding("mine", 4.0, 0.1, quantity="how many layers there are"),
    ]
    reason = "2 facts were measured; expected 8 at least (num_facts; in pytest: --ks-num-facts)"
    return sums_of(found, {"enough-facts": reason, "published-superposition": f"{NOT_COMPARED}: {reason}"})
