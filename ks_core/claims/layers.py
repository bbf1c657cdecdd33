"""layers: early layers have higher kurtosis than late layers (paper, main text, Fig. 5).

Definition: the mean excess kurtosis of P over the first third of the layers minus that over the last third. The facts
are resampled for all layers together, so what the layers share cancels from the error of the difference.

Threshold: 0. The claim is about a direction, not a size; the error decides whether there is one.
"""

from __future__ import annotations

import numpy as np

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Bound, Finding, NotApplicable, Reference
from ks_core.claims.judging import judge_number
from ks_core.data.published_numbers import published_gpt2_small
from ks_core.experiments.pairs.measure import Measurement
from ks_core.statistics.estimate import derive
from ks_core.statistics.pairs import Array

FEWEST = 3
"""Layers, so that the first and the last third have one each."""


def early_minus_late(kurtosis: Array) -> float:
    """Mean of the first third of some numbers by layer, less that of the last third."""
    third = len(kurtosis) // 3
    return float(kurtosis[:third].mean() - kurtosis[-third:].mean())


def judge(measurement: Measurement) -> list[Finding] | NotApplicable:
    """Judge the first third of the layers against the last."""
    if len(measurement.layers) < FEWEST:
        return NotApplicable(f"{len(measurement.layers)} layers measured; early and late need at least {FEWEST}")
    published = early_minus_late(np.array(published_gpt2_small().p_kurtosis))
    difference = derive(early_minus_late, measurement.statistics["P"]["kurtosis"])
    return [
        Finding(
            claim="layers",
            quantity="kurtosis of P, early minus late third",
            judged=judge_number(difference, Bound("above", 0.0)),
            count=measurement.num_pairs,
            layers=measurement.layers,
            across="thirds",
            references=(Reference("GPT2-small", published),),
        )
    ]


SHORT = "early layers have higher kurtosis"
CLAIM = Claim("layers", "early layers have higher kurtosis than late ones", "pairs", judge, short=SHORT)
