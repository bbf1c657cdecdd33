"""whitened-angles: angles between keys concentrate at 90 degrees in the whitened space, and not in activation space
(paper, main text, Fig. 6).

Definition: the share of pairs whose angle is within 10 degrees of a right one, in every layer: in the whitened space,
and in activation space. Two numbers, two verdicts; the claim needs both.

Threshold: one half, on either side: "concentrates" is read as "most pairs". Ten degrees, because the two
interferences of a pair then have a geometric mean of at most 17 % of a residual (P_ij P_ji = cos^2, |cos| < 0.174).
"""

import pytest

from ks_core.claims.finding import Bound, Finding, weakest_layer
from ks_core.experiments.pairs.measure import Measurement

pytestmark = pytest.mark.paper

MOST = 0.5


def judge(measurement: Measurement) -> list[Finding]:
    chance = measurement.null["whitened_cosine"]["near_right_angle"].mean
    sides = {
        "whitened": (Bound("above", MOST), f"random keys {chance:.2f}"),
        "activation": (Bound("below", MOST), ""),
    }
    return [
        weakest_layer(
            f"whitened-angles:{space}",
            f"share within 10 deg of 90, {space}",
            measurement.statistics[f"{space}_cosine"]["near_right_angle"],
            bound,
            layers=measurement.layers,
            count=measurement.num_pairs,
            reference=reference,
            grain=1 / measurement.num_pairs,
        )
        for space, (bound, reference) in sides.items()
    ]


def test_whitened_angles(ks_measurement, ks_record):
    ks_record(judge(ks_measurement))
