"""kurtosis: the distribution of off-diagonal P has high kurtosis (paper, main text, Fig. 4).

Definition: the excess kurtosis of the n (n - 1) off-diagonal entries (SciPy's default, biased) in every layer.

Threshold: 3, the excess kurtosis of a Laplace distribution. The paper calls the distribution peaked and heavy-tailed;
the Laplace is the mildest well-known shape that is both, so "high" is read as "more than that", where a Gaussian has
0. Keys of different lengths make P heavy-tailed without any overlap of their directions: the reference "lengths alone"
is the kurtosis of random directions with the same layer's own whitened lengths.
"""

from __future__ import annotations

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Bound, Finding, Reference
from ks_core.claims.judging import judge_every
from ks_core.data.published_numbers import published_gpt2_small
from ks_core.experiments.pairs.measure import Measurement

LAPLACE = 3.0


def judge(measurement: Measurement) -> list[Finding]:
    """Judge the excess kurtosis of P."""
    published = published_gpt2_small().p_kurtosis
    place, judged = judge_every(measurement.statistics["P"]["kurtosis"], Bound("above", LAPLACE))
    return [
        Finding(
            claim="kurtosis",
            quantity="excess kurtosis of P",
            judged=judged,
            count=measurement.num_pairs,
            layers=measurement.layers,
            layer=measurement.layers[place],
            references=(
                Reference("GPT2-small", min(published), to=max(published)),
                Reference("lengths alone", float(measurement.lengths_alone["kurtosis"].mean[place])),
            ),
        )
    ]


CLAIM = Claim("kurtosis", "P has high kurtosis", "pairs", judge)
