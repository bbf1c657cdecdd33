"""kurtosis: the distribution of off-diagonal P has high kurtosis (paper, main text, Fig. 4).

Definition: the excess kurtosis of the n (n - 1) off-diagonal entries (SciPy's default, biased) in every layer.

Threshold: 3, the excess kurtosis of a Laplace distribution. The paper calls the distribution peaked and heavy-tailed;
the Laplace is the mildest well-known shape that is both, so "high" is read as "more than that", where a Gaussian has
0. Keys of different lengths make P heavy-tailed without any overlap of their directions: the reference "lengths alone"
is the kurtosis of random directions with the same layer's own whitened lengths.
"""

import pytest

from ks_core.claims.finding import Bound, Finding, weakest_layer
from ks_core.data.published import published_gpt2_small
from ks_core.experiments.pairs.measure import Measurement

pytestmark = pytest.mark.paper

LAPLACE = 3.0


def judge(measurement: Measurement) -> list[Finding]:
    published = published_gpt2_small().p_kurtosis
    known = f"GPT2-small {min(published):.0f} to {max(published):.0f}"
    lengths = measurement.lengths_alone["kurtosis"].mean
    return [
        weakest_layer(
            "kurtosis",
            "excess kurtosis of P",
            measurement.statistics["P"]["kurtosis"],
            Bound("above", LAPLACE),
            layers=measurement.layers,
            count=measurement.num_pairs,
            reference=[f"{known}; lengths alone {of_layer:.1f}" for of_layer in lengths],
        )
    ]


def test_kurtosis(ks_measurement, ks_record):
    ks_record(judge(ks_measurement))
