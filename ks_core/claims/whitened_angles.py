"""whitened-angles: angles between keys concentrate at 90 degrees in the whitened space, and not in activation space
(paper, main text, Fig. 6).

Definition: the share of pairs whose angle is within 10 degrees of a right one, in every layer: in the whitened space,
and in activation space. Two numbers, two verdicts; the claim needs both.

Threshold: one half, on either side: "concentrates" is read as "most pairs". Ten degrees, because the two
interferences of a pair then have a geometric mean of at most 17 % of a residual (P_ij P_ji = cos^2, |cos| < 0.174).
"""

from __future__ import annotations

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Bound, Finding, Reference
from ks_core.claims.judging import judge_every
from ks_core.experiments.pairs.measure import Measurement

MOST = 0.5


def judge(measurement: Measurement) -> list[Finding]:
    """Judge the pairs near a right angle in both spaces."""
    chance = measurement.null["whitened_cosine"]["near_right_angle"].mean
    return [
        _judge_space(measurement, "whitened", Bound("above", MOST), (Reference("random keys", chance),)),
        _judge_space(measurement, "activation", Bound("below", MOST), ()),
    ]


def _judge_space(measurement: Measurement, space: str, bound: Bound, references: tuple[Reference, ...]) -> Finding:
    place, judged = judge_every(measurement.statistics[f"{space}_cosine"]["near_right_angle"], bound)
    return Finding(
        claim="whitened-angles",
        part=space,
        quantity=f"share within 10 deg of 90, {space}",
        judged=judged,
        count=measurement.num_pairs,
        layers=measurement.layers,
        layer=measurement.layers[place],
        references=references,
        grain=1 / measurement.num_pairs,
    )


SENTENCE = "angles concentrate at 90 degrees, but only after whitening"
CLAIM = Claim("whitened-angles", SENTENCE, "pairs", judge, short="90° only when whitened")
