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
for all seeds and do not average out: parts `@seeds`, at the depth that breaks the claim or comes closest to it.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from ks_core.claims.finding import Bound, Finding, everywhere, weakest_layer
from ks_core.experiments.sizes.family import FamilyScaling
from ks_core.experiments.sizes.numbers import NUMBERS, PLACES
from ks_core.experiments.sizes.seeds import SeedScaling
from ks_core.statistics.estimate import Replicates

pytestmark = pytest.mark.paper

RISES, FALLS = Bound("above", 0.0), Bound("below", 0.0)
CLAIMED = {"kurtosis": ("kurtosis", RISES), "spread": ("spread", FALLS), "cosine_spread": ("cosine", FALLS)}


def judge(family: FamilyScaling) -> list[Finding]:
    found = [
        _of_exponents(
            family,
            f"scaling:{short}@{family.name}",
            f"exponent in size of the {NUMBERS[number][0]}, {len(family.sizes)} sizes",
            family.exponents(number),
            bound,
            [f"chance {chance:+.2f}; {family.trend(number)}" for chance in family.chance_exponents(number)],
        )
        for number, (short, bound) in CLAIMED.items()
    ]
    over_chance = _of_exponents(
        family,
        f"scaling:cosine-over-chance@{family.name}",
        f"exponent in size of the {NUMBERS['cosine_spread'][0]}, over that of random keys",
        family.exponents_over_chance("cosine_spread"),
        FALLS,
        [""] * len(PLACES),
    )
    return [*found, over_chance]


def _of_exponents(
    family: FamilyScaling, claim: str, quantity: str, exponents: Replicates, bound: Bound, references: list[str]
) -> Finding:
    count = len(family.case_ids)
    finding = weakest_layer(
        claim,
        quantity,
        exponents,
        bound,
        layers=tuple(range(len(PLACES))),
        count=count * (count - 1),
        reference=references,
    )
    weakest = list(PLACES)[int(finding.layers.split()[-1])]
    return replace(finding, layers=f"first, middle, last; weakest {weakest}", counted="pairs of facts a layer and size")


def judge_seeds(family: FamilyScaling, seeds: SeedScaling) -> list[Finding]:
    return [_over_seeds(family.only(seeds.sizes), seeds, number) for number in CLAIMED]


def _over_seeds(family: FamilyScaling, seeds: SeedScaling, number: str) -> Finding:
    short, bound = CLAIMED[number]
    own = family.exponents(number)
    exponents = np.vstack([own.value, seeds.exponents(number)])
    count = len(exponents)
    values = exponents.mean(axis=0)
    over_seeds = exponents.std(axis=0, ddof=1) / math.sqrt(count)
    reach = float(student.ppf(0.975, count - 1)) * over_seeds
    below, above = (np.abs(end - own.value) for end in own.interval)
    lows, highs = values - np.hypot(below, reach), values + np.hypot(above, reach)
    intervals = list(zip(lows.tolist(), highs.tolist(), strict=True))
    verdicts = [bound.judge(*interval) for interval in intervals]
    verdict = everywhere(verdicts)
    worst = min(
        (place for place, of_place in enumerate(verdicts) if of_place is verdict),
        key=lambda place: bound.margin(*intervals[place]),
    )
    return Finding(
        claim=f"scaling:{short}@{family.name}@seeds",
        quantity=f"the same over {len(family.sizes)} sizes, mean of {count} seeds of training, whose error is in it",
        value=float(values[worst]),
        facts_error=math.hypot(float(own.facts_error[worst]), float(over_seeds[worst])),
        text_error=float(own.text_error[worst]),
        interval=intervals[worst],
        count=count,
        layers=f"first, middle, last; weakest {list(PLACES)[worst]}",
        threshold=str(bound),
        reference=f"between seeds ± {over_seeds[worst]:.2g}",
        verdict=verdict,
        counted="seeds",
    )


def test_scaling(ks_scaling, ks_record):
    found = [finding for family in ks_scaling.scaling for finding in judge(family)]
    if ks_scaling.seeds is not None:
        of = next(family for family in ks_scaling.scaling if family.name == ks_scaling.seeds.family)
        found += judge_seeds(of, ks_scaling.seeds)
    ks_record(found)
