"""accumulation: with superposition, interference grows with the number of edits, and earlier edits suffer more (paper,
main text and App. H).

Definitions. `predicted`: by how much the interference predicted from P and the residuals differs from what the real
projection gives in float64, relative to the larger, for the method for which it differs most: delta_o at bystanders of
all four methods after N edits, and delta_e of the two that have one (the others' is zero by construction).
`linear`: the exponent a of ||delta_o|| ~ n^a, root mean square over bystanders and random orders of the edits, from 1
to N/2 edits, less 1. `earlier`: Spearman's rank correlation of ||delta_e|| with the number of later edits, mean over
orders, the last edit (which has none) left out. Both come from the closed form, which `predicted` holds against the
model.

Thresholds. `predicted`: 1e-10, far above float64's rounding here (about 1e-14) and far below what a wrong key,
direction or order would do. `linear`: 0.25 either way of 1, halfway to 1/2: residuals of independent directions would
add up as a random walk does, and an exponent is called linear when it is nearer to 1 than to 1/2. `earlier`: 0, a
direction.
"""

import numpy as np
import pytest

from ks_core.claims.finding import Bound, Finding, of_one_number
from ks_core.experiments.streams.agreement import Agreement
from ks_core.experiments.streams.measure import StreamMeasurement
from ks_core.statistics.estimate import Replicates, derive

AGREES = 1e-10
LINEAR = 0.25
WITH_DELTA_E = ("sequential", "null-space")


def agreements(measured: StreamMeasurement) -> dict[str, Agreement]:
    last = {name: run[-1].exact for name, run in measured.streams.runs.items()}
    onto = {f"{name}, other facts": of.bystanders for name, of in last.items()}
    return onto | {f"{name}, edits": last[name].edits for name in WITH_DELTA_E}


def relative_difference(of: Agreement, resamples: int, seed: int) -> Replicates:
    keys = len(of.difference)
    drawn = np.random.default_rng(seed).multinomial(keys, np.full(keys, 1 / keys), size=resamples)
    facts = np.array([of.relative(weights.astype(np.float64)) for weights in drawn])
    return Replicates(np.array(of.relative()), facts, np.empty(0))


def judge(measured: StreamMeasurement, suffix: str = "") -> list[Finding]:
    streams, grown = measured.streams, measured.growth
    compared = agreements(measured)
    worst = max(compared, key=lambda name: compared[name].relative())
    own = max(run[-1].own_dtype.bystanders.relative() for run in streams.runs.values())
    layer, n = str(streams.layer), len(streams.edits)
    return [
        of_one_number(
            f"accumulation:predicted{suffix}",
            f"predicted against measured interference, {n} edits, worst method ({worst})",
            relative_difference(compared[worst], measured.resamples, measured.seed),
            Bound("below", AGREES),
            layers=layer,
            count=len(compared[worst].difference),
            counted="keys",
            reference=f"own dtype {own:.0e}",
            grain=AGREES / 2,  # it is rounding itself, and differs between machines: the verdict is what is gated
        ),
        of_one_number(
            f"accumulation:linear{suffix}",
            f"exponent of the growth of delta_o, 1 to {grown.counts[-1]} edits, less 1",
            derive(lambda exponent: exponent - 1, grown.exponent),
            Bound("within", LINEAR),
            layers=layer,
            count=n * len(streams.bystanders),
            counted="pairs of edit and bystander",
            reference="random walk -0.5",
        ),
        of_one_number(
            f"accumulation:earlier{suffix}",
            "rank correlation of delta_e with the number of later edits",
            grown.earlier,
            Bound("above", 0.0),
            layers=layer,
            count=n * (n - 1),
            counted="pairs of edits",
            reference="",
        ),
    ]


@pytest.mark.paper
def test_accumulation(ks_stream, ks_record):
    ks_record(judge(ks_stream))


@pytest.mark.ks_slow
def test_accumulation_long(ks_long_stream, ks_record):
    ks_record(judge(ks_long_stream, "@long"), gate=False)
