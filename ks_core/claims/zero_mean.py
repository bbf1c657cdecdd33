"""zero-mean: the distribution of off-diagonal P has zero mean (paper, main text, Fig. 4).

Definition: the mean, in standard deviations of the distribution, is close to zero in every layer; and, as what the
figures show is a peak near zero, the same for the mode. Two numbers, two verdicts.

Threshold: 0.2 standard deviations either way, below which Cohen (1988) calls a shift less than small. A test of
"exactly zero" would only measure how much text and how many facts there are.
"""

from __future__ import annotations

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Bound, Finding, Reference
from ks_core.claims.judging import judge_every
from ks_core.data.published_numbers import published_gpt2_small
from ks_core.experiments.pairs.measure import Measurement
from ks_core.statistics.estimate import derive

NEGLIGIBLE = 0.2


def judge(measurement: Measurement) -> list[Finding]:
    """Judge mean and mode of P, in its standard deviations."""
    published = published_gpt2_small()
    shifts = [mean / std for mean, std in zip(published.p_mean, published.p_std, strict=True)]
    return [
        _judge_centre(measurement, "mean", (Reference("GPT2-small", min(shifts), to=max(shifts)),)),
        _judge_centre(measurement, "mode", ()),
    ]


def _judge_centre(measurement: Measurement, name: str, references: tuple[Reference, ...]) -> Finding:
    statistics = measurement.statistics["P"]
    shift = derive(lambda centre, std: centre / std, statistics[name], statistics["std"])
    place, judged = judge_every(shift, Bound("within", NEGLIGIBLE))
    return Finding(
        claim="zero-mean",
        part=name,
        quantity=f"{name} of P / std of P",
        judged=judged,
        count=measurement.num_pairs,
        layers=measurement.layers,
        layer=measurement.layers[place],
        references=references,
    )


CLAIM = Claim("zero-mean", "P has zero mean", "pairs", judge)
