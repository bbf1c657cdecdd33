"""lossless: without superposition, lifelong editing is lossless (paper, main text, "Theoretical foundation").

Definition: lifelong edits of N known facts on the model's real projection, once with the keys as they are and once with
edited keys and bystanders made orthogonal in the whitened space (lengths kept), asking for the same changes of value.
The number is the root mean square of ||delta_o|| over bystanders, in root mean squares of the residuals, with the
module in float64. The references have the same with the keys as they are, and with orthogonal keys in the model's own
dtype.

Threshold: 2^-26, the square root of float64's rounding unit: half of all digits. Rounding through second moments of
condition number 1e7 stays below it; interference, were there any, would be of the size that the reference shows.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Bound, Finding, Reference
from ks_core.claims.judging import judge_number
from ks_core.experiments.streams.measure import StreamMeasurement
from ks_core.statistics.estimate import Replicates, mean_replicates
from ks_core.statistics.pairs import Array

HALF_THE_DIGITS = 2.0**-26


def judge(measured: StreamMeasurement) -> list[Finding]:
    """Judge what lifelong edits move where keys are orthogonal."""
    found = measured.lossless
    size = partial(_root_mean_square, resamples=measured.resamples, seed=measured.seed)
    return [
        Finding(
            claim="lossless",
            quantity="change of bystanders' values by edits with orthogonal keys",
            edits=found.edits,
            judged=judge_number(size(found.orthogonal), Bound("below", HALF_THE_DIGITS)),
            count=len(found.orthogonal),
            counted="bystanders",
            layers=(found.layer,),
            references=(
                Reference("keys as they are", float(size(found.as_they_are).value)),
                Reference("own dtype", float(size(found.orthogonal_in_own_dtype).value)),
            ),
            is_rounding=True,
        )
    ]


def _root_mean_square(lengths: Array, resamples: int, seed: int) -> Replicates:
    squares = mean_replicates(lengths**2, resamples, seed)
    return Replicates(np.sqrt(squares.value), np.sqrt(squares.facts), np.sqrt(squares.text))


SENTENCE = "where keys are orthogonal, lifelong editing is lossless"
CLAIM = Claim("lossless", SENTENCE, "stream", judge, short="orthogonal keys: lossless editing")
