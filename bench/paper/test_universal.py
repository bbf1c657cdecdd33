"""universal: off-diagonal P is non-zero in all layers (paper, main text, Fig. 3).

Definition: the root mean square of the cosines between whitened keys, as a multiple of what random keys of the same
number and width give (whitened Gaussian keys: about 1/sqrt(d_key)), in every layer. P is zero where the cosine is, and
P_ij P_ji = cos^2; but P also grows with the ratio of the two keys' lengths, which says nothing about their overlap.

Threshold: the multiple that 5 % of random key sets exceed. "Non-zero" cannot mean exactly zero: any finite set of keys
has chance overlaps, so the comparison is with chance.
"""

import pytest

from ks_core.claims.finding import Bound, Finding, weakest_layer
from ks_core.experiments.pairs.measure import Measurement
from ks_core.statistics.estimate import derive

pytestmark = pytest.mark.paper


def judge(measurement: Measurement) -> list[Finding]:
    chance = measurement.null["whitened_cosine"]["rms"]
    return [
        weakest_layer(
            "universal",
            "RMS whitened cosine over chance",
            derive(lambda rms: rms / chance.mean, measurement.statistics["whitened_cosine"]["rms"]),
            Bound("above", chance.upper / chance.mean),
            layers=measurement.layers,
            count=measurement.num_pairs,
            reference=f"random keys 1 ± {chance.std / chance.mean:.3f}",
        )
    ]


def test_universal(ks_measurement, ks_record):
    ks_record(judge(ks_measurement))
