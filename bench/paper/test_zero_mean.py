"""zero-mean: the distribution of off-diagonal P has zero mean (paper, main text, Fig. 4).

Definition: the mean, in standard deviations of the distribution, is close to zero in every layer; and, as what the
figures show is a peak near zero, the same for the mode. Two numbers, two verdicts.

Threshold: 0.2 standard deviations either way, below which Cohen (1988) calls a shift less than small. A test of
"exactly zero" would only measure how much text and how many facts there are.
"""

import pytest

from ks_core.claims.finding import Bound, Finding, weakest_layer
from ks_core.data.published import published_gpt2_small
from ks_core.experiments.pairs.measure import Measurement
from ks_core.statistics.estimate import derive

pytestmark = pytest.mark.paper

NEGLIGIBLE = 0.2


def judge(measurement: Measurement) -> list[Finding]:
    published = published_gpt2_small()
    shifts = [mean / std for mean, std in zip(published.p_mean, published.p_std, strict=True)]
    references = {"mean": f"GPT2-small {min(shifts):.2f} to {max(shifts):.2f}", "mode": ""}
    statistics = measurement.statistics["P"]
    return [
        weakest_layer(
            f"zero-mean:{name}",
            f"{name} of P / std of P",
            derive(lambda centre, std: centre / std, statistics[name], statistics["std"]),
            Bound("within", NEGLIGIBLE),
            layers=measurement.layers,
            count=measurement.num_pairs,
            reference=reference,
        )
        for name, reference in references.items()
    ]


def test_zero_mean(ks_measurement, ks_record):
    ks_record(judge(ks_measurement))
