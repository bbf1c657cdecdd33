"""lossless: without superposition, lifelong editing is lossless (paper, main text, "Theoretical foundation").

Definition: lifelong edits of N known facts on the model's real projection, once with the keys as they are and once with
edited keys and bystanders made orthogonal in the whitened space (lengths kept), asking for the same changes of value.
The number is the root mean square of ||delta_o|| over bystanders, in root mean squares of the residuals, with the
module in float64. The reference has the same with the keys as they are, and with orthogonal keys in the model's own
dtype.

Threshold: 2^-26, the square root of float64's rounding unit: half of all digits. Rounding through second moments of
condition number 1e7 stays below it; interference, were there any, would be of the size that the reference shows.
"""

import numpy as np
import pytest

from ks_core.claims.finding import Bound, Finding, of_one_number
from ks_core.experiments.streams.measure import StreamMeasurement
from ks_core.statistics.estimate import Replicates, mean_replicates

HALF_THE_DIGITS = 2.0**-26


def rms(squares: Replicates) -> Replicates:
    return Replicates(np.sqrt(squares.value), np.sqrt(squares.facts), np.sqrt(squares.text))


def judge(measured: StreamMeasurement, suffix: str = "") -> list[Finding]:
    found = measured.lossless

    def size(of: np.ndarray) -> Replicates:
        return rms(mean_replicates(of**2, measured.resamples, measured.seed))

    as_they_are, in_own_dtype = (float(size(of).value) for of in (found.as_they_are, found.orthogonal_in_own_dtype))
    return [
        of_one_number(
            f"lossless{suffix}",
            f"change of other values after {found.edits} edits, orthogonal keys",
            size(found.orthogonal),
            Bound("below", HALF_THE_DIGITS),
            layers=str(found.layer),
            count=len(found.orthogonal),
            counted="bystanders",
            reference=f"keys as they are {as_they_are:.2f}; own dtype {in_own_dtype:.0e}",
            grain=HALF_THE_DIGITS / 2,  # it is rounding itself, and differs between machines: the verdict is gated
        )
    ]


@pytest.mark.paper
def test_lossless(ks_stream, ks_record):
    ks_record(judge(ks_stream))


@pytest.mark.ks_slow
def test_lossless_long(ks_long_stream, ks_record):
    ks_record(judge(ks_long_stream, "@long"), gate=False)
