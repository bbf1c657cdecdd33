"""heavy-tail: the distribution of off-diagonal P has heavy tails (paper, main text, Fig. 4).

Definition: the share of entries further than four standard deviations from the mean, as a multiple of a Gaussian's
share (6.3e-5), in every layer.

Threshold: a Laplace distribution's multiple, exp(-4 sqrt 2) / 6.3e-5 = 55. A tail is called heavy when it falls more
slowly than an exponential one, and the Laplace's tails are exponential. Four standard deviations, because of 128 facts'
16,256 entries a Gaussian then puts one outside and a Laplace 57: enough to tell them apart, and to count.
"""

import math
from dataclasses import replace

import pytest

from ks_core.claims.finding import Bound, Finding, Verdict, weakest_layer
from ks_core.experiments.pairs.measure import Measurement
from ks_core.statistics.tails import GAUSSIAN_TAIL, TAIL_DEVIATIONS

pytestmark = pytest.mark.paper

ENOUGH = 10
"""Entries that a Laplace distribution would put out there; with fewer facts than that takes (54) nothing is decided."""

LAPLACE = math.exp(-math.sqrt(2) * TAIL_DEVIATIONS) / GAUSSIAN_TAIL


def judge(measurement: Measurement) -> list[Finding]:
    lengths = measurement.lengths_alone["tail_ratio"].mean
    found = [
        weakest_layer(
            "heavy-tail",
            "share of P beyond 4 std over a Gaussian's",
            measurement.statistics["P"]["tail_ratio"],
            Bound("above", LAPLACE),
            layers=measurement.layers,
            count=measurement.num_pairs,
            reference=[f"Gaussian 1; lengths alone {of_layer:.0f}" for of_layer in lengths],
            grain=1 / GAUSSIAN_TAIL / measurement.num_pairs,
        )
    ]
    if LAPLACE * GAUSSIAN_TAIL * measurement.num_pairs < ENOUGH:
        return [replace(finding, verdict=Verdict.UNDECIDED, reference="too few pairs to decide") for finding in found]
    return found


def test_heavy_tail(ks_measurement, ks_record):
    ks_record(judge(ks_measurement))
