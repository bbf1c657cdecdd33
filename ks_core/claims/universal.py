"""universal: off-diagonal P is non-zero in all layers (paper, main text, Fig. 3).

Definition: the root mean square of the cosines between whitened keys, as a multiple of what random keys of the same
number and width give (whitened Gaussian keys: about 1/sqrt(d_key)), in every layer. P is zero where the cosine is, and
P_ij P_ji = cos^2; but P also grows with the ratio of the two keys' lengths, which says nothing about their overlap.

Threshold: the multiple that 5 % of random key sets exceed. "Non-zero" cannot mean exactly zero: any finite set of keys
has chance overlaps, so the comparison is with chance.
"""

from __future__ import annotations

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Bound, Finding, Reference
from ks_core.claims.judging import judge_every
from ks_core.experiments.pairs.measure import Measurement
from ks_core.statistics.estimate import derive


def judge(measurement: Measurement) -> list[Finding]:
    """Judge whitened cosines against random keys."""
    chance = measurement.null["whitened_cosine"]["rms"]
    over_chance = derive(lambda rms: rms / chance.mean, measurement.statistics["whitened_cosine"]["rms"])
    place, judged = judge_every(over_chance, Bound("above", chance.upper / chance.mean))
    return [
        Finding(
            claim="universal",
            quantity="RMS whitened cosine over chance",
            judged=judged,
            count=measurement.num_pairs,
            layers=measurement.layers,
            layer=measurement.layers[place],
            references=(Reference("random keys", 1.0, error=chance.std / chance.mean),),
        )
    ]


CLAIM = Claim("universal", "P is non-zero in every layer", "pairs", judge)
