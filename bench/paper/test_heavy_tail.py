"""heavy-tail: the distribution of off-diagonal P has heavy tails (paper, main text, Fig. 4).

Definition: the share of entries further than four standard deviations from the mean, as a multiple of a Gaussian's
share (6.3e-5), in every layer.

Threshold: a Laplace distribution's multiple, exp(-4 sqrt 2) / 6.3e-5 = 55. A tail is called heavy when it falls more
slowly than an exponential one, and the Laplace's tails are exponential. Four standard deviations, because of 128 facts'
16,256 entries a Gaussian then puts one outside and a Laplace 57: enough to tell them apart, and to count.
"""

import math

import pytest

from ks_core.reproduction.claims import Bound, Finding, weakest_layer
from ks_core.reproduction.measure import Measurement
from ks_core.statistics.tails import GAUSSIAN_TAIL, TAIL_DEVIATIONS

pytestmark = pytest.mark.paper

LAPLACE = math.exp(-math.sqrt(2) * TAIL_DEVIATIONS) / GAUSSIAN_TAIL


def judge(measurement: Measurement) -> list[Finding]:
    return [
        weakest_layer(
            "heavy-tail",
            "share of P beyond 4 std over a Gaussian's",
            measurement.statistics["P"]["tail_ratio"],
            Bound("above", LAPLACE),
            layers=measurement.layers,
            count=measurement.num_pairs,
            reference="Gaussian 1, Laplace 55",
        )
    ]


def test_heavy_tail(ks_measurement, ks_record):
    ks_record(judge(ks_measurement))
