"""published: GPT2-small on the authors' own facts gives the numbers that the authors published.

Not a claim of the paper but a check of this project, and of no other model: it does not apply, and says why, unless the
facts were chosen by the published list, which takes GPT2-small and CounterFact. Definition: each published number
(fixtures/paper) and the measured one differ by no more than a tolerance, whose parts and their reasons are stated in
`ks_core.claims.gpt2_small`. Of each quantity the number that is furthest off is shown, with its tolerance. Q is
compared to 1e-3 and needs no text; P is compared only on articles of Wikipedia, within the errors over both texts.

A number that is off fails the run, with or without a baseline; no baseline holds these numbers.
"""

from __future__ import annotations

from ks_core.claims.claim import Claim
from ks_core.claims.comparison import findings_of
from ks_core.claims.finding import Finding, NotApplicable
from ks_core.claims.gpt2_small import (
    compare_inner_products,
    compare_superposition,
    not_comparable,
    text_not_comparable,
)
from ks_core.data.published_numbers import published_gpt2_small
from ks_core.experiments.pairs.measure import Measurement

NOT_COMPARED = "not compared with the published numbers"


def judge_inner_products(measurement: Measurement) -> list[Finding] | NotApplicable:
    """Hold Q, and that the facts are the published ones, against what was published."""
    published = published_gpt2_small()
    reason = not_comparable(measurement, published)
    if reason is not None:
        return NotApplicable(f"{NOT_COMPARED}: {reason}")
    return findings_of(compare_inner_products(measurement, published))


def judge_superposition(measurement: Measurement) -> list[Finding] | NotApplicable:
    """Hold P against what was published."""
    published = published_gpt2_small()
    reason = not_comparable(measurement, published) or text_not_comparable(measurement)
    if reason is not None:
        return NotApplicable(f"{NOT_COMPARED}: {reason}")
    return findings_of(compare_superposition(measurement, published))


INNER_PRODUCTS = Claim(
    "published-inner-products",
    "Q of GPT2-small is what was published",
    "pairs",
    judge_inner_products,
    short="GPT2-small's published Q",
    gate="always",
)
SUPERPOSITION = Claim(
    "published-superposition",
    "P of GPT2-small is what was published",
    "pairs",
    judge_superposition,
    short="GPT2-small's published P",
    gate="always",
)
