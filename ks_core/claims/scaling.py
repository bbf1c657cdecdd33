"""scaling: within a family, kurtosis rises with model size and superposition weakens (paper, main text, Fig. 5).

Definition: members of one family are measured on the same facts, the first that all of them know. A number is taken at
three relative depths (first, middle and last layer; between layers, as in the middle of two, on a logarithmic scale),
and at each a power law in the parameters outside the embeddings is fitted by least squares on logarithms. The facts are
resampled for all members together, so what the members share cancels from the error of the exponent. `kurtosis`: of P,
and not in excess of a Gaussian's 3, which could be negative. `spread`: standard deviation of P. `cosine`: standard
deviation of the cosines in the whitened space, which unlike P does not depend on the keys' lengths.

Threshold: 0, at every depth. The claim is about a direction; the error decides whether there is one, and the row shows
the depth that comes closest to breaking the claim or breaks it. Random directions are the nearer to orthogonal the more
dimensions there are, so spread and cosine fall with size without any structure (the reference "chance": exponents of
random directions with the keys' own lengths). `cosine-over-chance` asks for more than that: cosines against those of
random keys of the same width. Kendall's test for a monotone trend of the mean over depths stands beside; with four
sizes it cannot reach p < 0.05, and is not judged by.

One training of each size is one sample of what training may give, and the error over facts and text knows nothing of
it. For a family that was trained from three seeds the mean of the exponents is judged by a t interval over the seeds
(two degrees of freedom, 4.30 standard errors), joined in quadrature with that over facts and text, which are the same
for all seeds and do not average out: variant `seeds`, at the depth that breaks the claim or comes closest to it.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import t as student

from ks_core.claims.claim import Claim
from ks_core.claims.deciding import SPREAD_BETWEEN_SEEDS
from ks_core.claims.finding import Bound, Finding, Judged, Reference
from ks_core.claims.judging import judge_every, weakest
from ks_core.experiments.sizes.family import FamilyScaling
from ks_core.experiments.sizes.measure import SizesMeasurement
from ks_core.experiments.sizes.numbers import NUMBERS, PLACES
from ks_core.experiments.sizes.seeds import SeedScaling

RISES, FALLS = Bound("above", 0.0), Bound("below", 0.0)
CLAIMED = {"kurtosis": ("kurtosis", RISES), "spread": ("spread", FALLS), "cosine_spread": ("cosine", FALLS)}
"""Number of `NUMBERS` → part of the claim, and the direction that is claimed."""

DEPTHS = tuple(PLACES)


def judge(measured: SizesMeasurement) -> list[Finding]:
    """Judge exponents in size, of each family, and of the family that was trained from several seeds."""
    found = [finding for family in measured.families for finding in _judge_family(family)]
    seeds = measured.seeds
    if seeds is not None:
        family = next(family for family in measured.families if family.name == seeds.family)
        found += [_judge_seeds(family.only(seeds.sizes), seeds, number) for number in CLAIMED]
    return found


def _judge_family(family: FamilyScaling) -> list[Finding]:
    return [*(_judge_number(family, number) for number in CLAIMED), _judge_over_chance(family)]


def _judge_number(family: FamilyScaling, number: str) -> Finding:
    part, bound = CLAIMED[number]
    place, judged = judge_every(family.exponents(number), bound)
    trend = family.trend(number)
    return Finding(
        claim="scaling",
        part=part,
        family=family.name,
        quantity=f"exponent in size of the {NUMBERS[number][0]}",
        judged=judged,
        count=_pairs(family),
        counted=f"pairs of facts a layer and each of {len(family.sizes)} sizes",
        depth=DEPTHS[place],
        references=(
            Reference("chance", float(family.chance_exponents(number)[place])),
            Reference("pairs of sizes that rise", trend.rising / trend.pairs),
            Reference("p", trend.p),
        ),
    )


def _judge_over_chance(family: FamilyScaling) -> Finding:
    place, judged = judge_every(family.exponents_over_chance("cosine_spread"), FALLS)
    return Finding(
        claim="scaling",
        part="cosine-over-chance",
        family=family.name,
        quantity=f"exponent in size of the {NUMBERS['cosine_spread'][0]}, over that of random keys",
        judged=judged,
        count=_pairs(family),
        counted=f"pairs of facts a layer and each of {len(family.sizes)} sizes",
        depth=DEPTHS[place],
    )


def _pairs(family: FamilyScaling) -> int:
    facts = len(family.case_ids)
    return facts * (facts - 1)


def _judge_seeds(family: FamilyScaling, seeds: SeedScaling, number: str) -> Finding:
    part, bound = CLAIMED[number]
    own = family.exponents(number)
    exponents = np.vstack([own.value, seeds.exponents(number)])
    count = len(exponents)
    values = exponents.mean(axis=0)
    over_seeds = exponents.std(axis=0, ddof=1) / math.sqrt(count)
    reach = float(student.ppf(0.975, count - 1)) * over_seeds
    below, above = (np.abs(end - own.value) for end in own.interval)
    lows, highs = values - np.hypot(below, reach), values + np.hypot(above, reach)
    intervals = list(zip(lows.tolist(), highs.tolist(), strict=True))
    place, verdict = weakest(bound, intervals, intervals)
    judged = Judged(
        value=float(values[place]),
        facts_error=math.hypot(float(own.facts_error[place]), float(over_seeds[place])),
        text_error=float(own.text_error[place]),
        interval=intervals[place],
        bound=bound,
        verdict=verdict,
        familywise=intervals[place],
    )
    return Finding(
        claim="scaling",
        part=part,
        family=family.name,
        variant="seeds",
        quantity=f"exponent in size of the {NUMBERS[number][0]}, mean of seeds of training, whose error is in it",
        judged=judged,
        count=count,
        counted=f"seeds of {len(family.sizes)} sizes each",
        depth=DEPTHS[place],
        references=(Reference(SPREAD_BETWEEN_SEEDS, float(over_seeds[place])),),
    )


CLAIM = Claim(
    "scaling",
    "in larger models of a family kurtosis is higher and superposition weaker",
    "sizes",
    judge,
    short="larger is less superposed",
    missing="no sizes: name a family (families; in pytest: --ks-family MODEL MODEL …), or take the default model and "
    "facts in a checkout of the project, which has families of its own",
)
