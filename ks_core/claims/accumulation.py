"""accumulation: with superposition, interference grows with the number of edits, and earlier edits suffer more (paper,
main text and App. H).

Definitions. `predicted`: by how much the interference predicted from P and the residuals differs from what the real
projection gives in float64, relative to the larger, for the method for which it differs most: delta_o at bystanders of
all four methods after N edits, and delta_e of the two that have one (the others' is zero by construction).
`linear`: the exponent a of ||delta_o|| ~ n^a, root mean square over bystanders and random orders of the edits, from 1
to N/2 edits, less 1. `earlier`: Spearman's rank correlation of ||delta_e|| with the number of later edits, mean over
orders, the last edit (which has none) left out. Both come from the closed form, which `predicted` holds against the
model. Variant `long`: the same two over a stream of hundreds of edits.

Thresholds. `predicted`: 1e-10, far above float64's rounding here (about 1e-14) and far below what a wrong key,
direction or order would do. `linear`: 0.25 either way of 1, halfway to 1/2: residuals of independent directions would
add up as a random walk does, and an exponent is called linear when it is nearer to 1 than to 1/2. `earlier`: 0, a
direction.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Bound, Finding, Reference
from ks_core.claims.judging import judge_number
from ks_core.experiments.lifelong.measurement import Lifelong
from ks_core.experiments.streams.agreement import Agreement
from ks_core.experiments.streams.growth import Growth
from ks_core.experiments.streams.measure import StreamMeasurement
from ks_core.statistics.estimate import Replicates, derive

AGREES = 1e-10
LINEAR = 0.25
WITH_DELTA_E = ("sequential", "null-space")
"""Methods whose later edits disturb earlier ones."""


def judge(measured: StreamMeasurement) -> list[Finding]:
    """Judge the prediction, the growth, and what earlier edits suffer."""
    streams = measured.streams
    edits, bystanders = len(streams.edits), len(streams.bystanders)
    return [_predicted(measured), *judge_growth(measured.growth, streams.layer, edits, bystanders)]


def judge_long(measured: Lifelong) -> list[Finding]:
    """Judge growth over a long stream, whose bystanders are the watched facts."""
    plan = measured.plan
    found = judge_growth(measured.growth, plan.layer, len(plan.edits), len(plan.watched))
    return [replace(finding, variant="long") for finding in found]


def judge_growth(growth: Growth, layer: int, edits: int, bystanders: int) -> list[Finding]:
    """Judge how interference grows with the number of edits, and what earlier edits suffer."""
    return [_linear(growth, layer, edits, bystanders), _earlier(growth, layer, edits)]


def _predicted(measured: StreamMeasurement) -> Finding:
    streams = measured.streams
    compared = _agreements(measured)
    worst = max(compared, key=lambda name: compared[name].relative())
    own_dtypes = [run[-1].own_dtype.bystanders for run in streams.runs.values()]
    own_dtype = max(of.relative() for of in own_dtypes if of.is_predicted)
    difference = _relative_difference(compared[worst], measured.resamples, measured.seed)
    return Finding(
        claim="accumulation",
        part="predicted",
        quantity="predicted against measured interference of the method that differs most",
        method=worst,
        edits=len(streams.edits),
        judged=judge_number(difference, Bound("below", AGREES)),
        count=len(compared[worst].difference),
        counted="keys",
        layers=(streams.layer,),
        references=(Reference("own dtype", own_dtype),),
        is_rounding=True,
    )


def _agreements(measured: StreamMeasurement) -> dict[str, Agreement]:
    last = {name: run[-1].exact for name, run in measured.streams.runs.items()}
    onto = {f"{name}, bystanders": of.bystanders for name, of in last.items() if of.bystanders.is_predicted}
    return onto | {f"{name}, edits": last[name].edits for name in WITH_DELTA_E}


def _relative_difference(of: Agreement, resamples: int, seed: int) -> Replicates:
    keys = len(of.difference)
    drawn = np.random.default_rng(seed).multinomial(keys, np.full(keys, 1 / keys), size=resamples)
    facts = np.array([of.relative(weights.astype(np.float64)) for weights in drawn])
    return Replicates(np.array(of.relative()), facts, np.empty(0))


def _linear(growth: Growth, layer: int, edits: int, bystanders: int) -> Finding:
    beyond = derive(lambda exponent: exponent - 1, growth.exponent)
    return Finding(
        claim="accumulation",
        part="linear",
        quantity="exponent of the growth of delta_o with the number of edits, less 1",
        edits=growth.counts[-1],
        judged=judge_number(beyond, Bound("within", LINEAR)),
        count=edits * bystanders,
        counted="pairs of edit and bystander",
        layers=(layer,),
        references=(Reference("random walk", -0.5),),
    )


def _earlier(growth: Growth, layer: int, edits: int) -> Finding:
    return Finding(
        claim="accumulation",
        part="earlier",
        quantity="rank correlation of delta_e with the number of later edits",
        edits=edits,
        judged=judge_number(growth.earlier, Bound("above", 0.0)),
        count=edits * (edits - 1),
        counted="pairs of edits",
        layers=(layer,),
    )


SENTENCE = "interference grows linearly with the number of edits, and earlier edits suffer more"
CLAIM = Claim("accumulation", SENTENCE, "stream", judge, short="interference grows")
LONG = Claim("accumulation@long", SENTENCE, "lifelong", judge_long, short="long: interference grows")
