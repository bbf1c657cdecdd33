"""layers: early layers have higher kurtosis than late layers (paper, main text, Fig. 5).

Definition: the mean excess kurtosis of P over the first third of the layers minus that over the last third. The facts
are resampled for all layers together, so what the layers share cancels from the error of the difference.

Threshold: 0. The claim is about a direction, not a size; the error decides whether there is one.
"""

import numpy as np
import pytest

from ks_core.claims.finding import Bound, Finding, of_one_number, span
from ks_core.data.published import published_gpt2_small
from ks_core.experiments.pairs.measure import Measurement
from ks_core.statistics.estimate import derive

pytestmark = pytest.mark.paper


def early_minus_late(kurtosis: np.ndarray) -> float:
    third = len(kurtosis) // 3
    return float(kurtosis[:third].mean() - kurtosis[-third:].mean())


def judge(measurement: Measurement) -> list[Finding]:
    if len(measurement.layers) < 3:
        pytest.skip(f"{len(measurement.layers)} layers measured; early and late need at least 3")
    published = early_minus_late(np.array(published_gpt2_small().p_kurtosis))
    difference = derive(early_minus_late, measurement.statistics["P"]["kurtosis"])
    third = len(measurement.layers) // 3
    return [
        of_one_number(
            "layers",
            "kurtosis of P, early minus late third",
            difference,
            Bound("above", 0.0),
            layers=f"{span(measurement.layers[:third])} vs {span(measurement.layers[-third:])}",
            count=measurement.num_pairs,
            reference=f"GPT2-small {published:.1f}",
        )
    ]


def test_layers(ks_measurement, ks_record):
    ks_record(judge(ks_measurement))
