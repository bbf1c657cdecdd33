"""heavy-tail: the distribution of off-diagonal P has heavy tails (paper, main text, Fig. 4).

Definition: the share of entries further than four standard deviations from the mean, as a multiple of a Gaussian's
share (6.3e-5), in every layer.

Threshold: a Laplace distribution's multiple, exp(-4 sqrt 2) / 6.3e-5 = 55. A tail is called heavy when it falls more
slowly than an exponential one, and the Laplace's tails are exponential. Four standard deviations, because of 128 facts'
16,256 entries a Gaussian then puts one outside and a Laplace 57: enough to tell them apart, and to count. With fewer
facts than it takes for ten of a Laplace's, nothing can be decided.
"""

from __future__ import annotations

import math

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Bound, Finding, NotApplicable, Reference
from ks_core.claims.judging import judge_every
from ks_core.experiments.pairs.measure import Measurement
from ks_core.experiments.request.options import set_by
from ks_core.statistics.tails import GAUSSIAN_TAIL, TAIL_DEVIATIONS

ENOUGH = 10
"""Entries that a Laplace distribution would put outside: their number is then known to a third."""

LAPLACE_TAIL = math.exp(-math.sqrt(2) * TAIL_DEVIATIONS)


def judge(measurement: Measurement) -> list[Finding] | NotApplicable:
    """Judge the entries outside against a Laplace distribution's."""
    expected = LAPLACE_TAIL * measurement.num_pairs
    if expected < ENOUGH:
        return NotApplicable(
            f"{measurement.num_facts} facts have {measurement.num_pairs:,} pairs, of which a Laplace distribution puts "
            f"{expected:.1f} outside; expected {ENOUGH} at least: measure more facts {set_by('num_facts')}"
        )
    ratio = measurement.statistics["P"]["tail_ratio"]
    place, judged = judge_every(ratio, Bound("above", LAPLACE_TAIL / GAUSSIAN_TAIL))
    return [
        Finding(
            claim="heavy-tail",
            quantity="share of P beyond 4 std over a Gaussian's",
            judged=judged,
            count=measurement.num_pairs,
            layers=measurement.layers,
            layer=measurement.layers[place],
            references=(
                Reference("Gaussian", 1.0),
                Reference("lengths alone", float(measurement.lengths_alone["tail_ratio"].mean[place])),
            ),
            grain=1 / GAUSSIAN_TAIL / measurement.num_pairs,
        )
    ]


CLAIM = Claim("heavy-tail", "P has heavy tails", "pairs", judge)
