"""universal: off-diagonal P is non-zero in all layers (paper, main text, Fig. 3).

Definition: the root mean square of off-diagonal P, as a multiple of what random keys of the same number and width give
(whitened Gaussian keys: about 1/sqrt(d_key)), is above the null model's own spread in every layer.

Threshold: the multiple that 5 % of random key sets exceed. "Non-zero" cannot mean exactly zero: any finite set of keys
has chance overlaps, so the comparison is with chance.
"""

import pytest

from ks_core.reproduction.claims import Bound, Finding, weakest_layer
from ks_core.reproduction.measure import Measurement
from ks_core.statistics.estimate import derive

pytestmark = pytest.mark.paper


def judge(measurement: Measurement) -> list[Finding]:
    chance = measurement.null["P"]["rms"]
    return [
        weakest_layer(
            "universal",
            "RMS of off-diagonal P over chance",
            derive(lambda rms: rms / chance.mean, measurement.statistics["P"]["rms"]),
            Bound("above", chance.upper / chance.mean),
            layers=measurement.layers,
            count=measurement.num_pairs,
            reference="random keys 1",
        )
    ]


def test_universal(ks_measurement, ks_record):
    ks_record(judge(ks_measurement))
