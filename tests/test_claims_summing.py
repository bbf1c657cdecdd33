"""A claim of several parts is one verdict, and one number that it rests on."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_findings import ABOVE, BELOW, WITHIN, finding

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Finding, Judged, NotApplicable, Verdict
from ks_core.claims.registry import CLAIMS
from ks_core.claims.summing import Sum, claim_of, count_of, distance, sums_of, sums_of_outcomes


@pytest.mark.parametrize(
    ("value", "error", "bound", "expected"),
    [
        (4.0, 0.5, ABOVE, 2.0),
        (2.0, 0.5, ABOVE, -2.0),
        (2.0, 0.5, BELOW, 2.0),
        (3.4, 0.1, WITHIN, 1.0),
        (2.6, 0.1, WITHIN, 1.0),
        (3.7, 0.1, WITHIN, -2.0),
        (2.3, 0.1, WITHIN, -2.0),
        (4.0, 0.0, ABOVE, math.inf),
        (2.0, 0.0, ABOVE, -math.inf),
        (3.0, 0.0, ABOVE, 0.0),
        (4.0, math.nan, ABOVE, math.nan),
        (math.nan, 0.1, ABOVE, math.nan),
        (math.inf, 0.1, ABOVE, math.nan),
    ],
)
def test_distance_is_counted_in_errors_to_the_nearest_threshold(value, error, bound, expected):
    assert distance(finding(value=value, error=error, bound=bound)) == pytest.approx(expected, nan_ok=True)


def test_each_finding_of_the_registry_finds_its_claim():
    """Of every claim that makes findings of another name than its own, and of one whose variant is no claim."""
    named = {
        ("kurtosis", "", ""): "kurtosis",
        ("methods", "damage", "long"): "methods@long",
        ("methods", "locality", ""): "methods",
        ("horizon", "kept", "sequential"): "horizon",
        ("scaling", "kurtosis", "seeds"): "scaling",
        ("published", "kurtosis-of-Q", ""): "published-inner-products",
        ("published", "subjects", ""): "published-inner-products",
        ("published", "share-of-P-above-0.1", ""): "published-superposition",
        ("mine", "a", "long"): "mine",
    }
    for (name, part, variant), claim in named.items():
        assert claim_of(finding(name, part=part, variant=variant)) == claim
    mine = {"published": CLAIMS["kurtosis"]}
    assert claim_of(finding("published", part="subjects"), mine) == "published", "a claim of one's own of that name"


def test_claims_come_in_the_order_of_the_registry_and_others_after_them():
    found = [finding("mine"), finding("kurtosis"), finding("universal"), finding("other")]
    sums = sums_of(found, {"layers": NotApplicable("two layers"), "zero-mean": "not measured", "theirs": "no data"})
    names = ["universal", "zero-mean", "kurtosis", "layers", "mine", "other", "theirs"]
    assert [of.name for of in sums] == names
    assert [of.reason for of in sums if of.verdict is None] == ["not measured", "two layers", "no data"]
    assert sums[0].sentence == CLAIMS["universal"].sentence


def test_outcomes_are_summed_by_their_own_names():
    mine = Claim("mine", "mine", "pairs", lambda _: [], untested="much")
    sums = sums_of_outcomes({"mine": [finding("of another name")], "b": NotApplicable("few")}, {"mine": mine})
    assert [(of.name, of.verdict, of.untested, of.reason) for of in sums] == [
        ("mine", Verdict.HOLDS, "much", ""),
        ("b", None, "", "few"),
    ]


VALUES = st.floats(0, 6)
MADE = st.lists(st.builds(finding, value=VALUES, error=st.floats(0.01, 2), bound=st.sampled_from([ABOVE, WITHIN])),
                min_size=1, max_size=6)  # fmt: skip


@given(MADE)
def test_a_claim_holds_when_all_its_parts_do_and_fails_when_one_does(found):
    (of,) = sums_of(found)
    verdicts = [each.verdict for each in found]
    assert (of.verdict is Verdict.HOLDS) == all(each is Verdict.HOLDS for each in verdicts)
    assert (of.verdict is Verdict.FAILS) == (Verdict.FAILS in verdicts)
    assert of.holding == verdicts.count(Verdict.HOLDS)


@given(MADE)
def test_the_weakest_part_bears_the_verdict_and_none_is_weaker(found):
    (of,) = sums_of(found)
    weakest = of.weakest
    assert weakest.verdict is of.verdict
    if of.verdict is not Verdict.UNDECIDED:
        assert distance(weakest) == min(distance(each) for each in found if each.verdict is of.verdict)


def test_the_weakest_of_the_undecided_takes_the_most_to_decide():
    near, far = finding(value=3.01, error=0.2), finding(value=3.3, error=0.2)
    unknown = finding(value=3.3, error=math.nan)
    assert sums_of([far, near])[0].weakest is near
    assert sums_of([far, unknown, near])[0].weakest is unknown, "what nothing can be said of"


def test_a_number_that_is_not_known_is_the_weakest_of_those_that_hold():
    unknown = Finding("mine", "q", Judged(1.0, math.nan, 0.0, (4.0, 4.0), ABOVE, Verdict.HOLDS), count=1)
    assert sums_of([finding(), unknown])[0].weakest is unknown


def test_claims_are_counted():
    told = {Verdict.HOLDS: 4.0, Verdict.FAILS: 2.0, Verdict.UNDECIDED: 3.01}
    sums = sums_of([finding(f"{value}{n}", value) for value in told.values() for n in range(3)], {"layers": "few"})
    assert count_of(sums) == "3 of 10 claims hold, 3 do not, 3 undecided, 1 not judged"
    assert count_of(sums, "gpt2") == "3 of 10 claims hold on gpt2, 3 do not, 3 undecided, 1 not judged"
    assert count_of(sums[:0]) == "0 of 0 claims hold"
    assert count_of([Sum("a", "", "", "", (finding(),))]) == "1 of 1 claim holds"


def test_short_sentences_are_short():
    """35 columns are left for a claim in 100; with the parts that hold, ` (3 of 15)`, 26."""
    one_part = {"universal", "kurtosis", "heavy-tail", "layers", "semantic-pairs", "related-pairs", "enough-facts"}
    for claim in CLAIMS.values():
        most = 35 if claim.name in one_part | {"lossless"} else 26
        assert len(claim.short or claim.sentence) <= most, claim.name


def test_that_interference_grows_is_not_what_fails_where_it_is_not_linear():
    """The exponent is held against 1, and the sentence says so."""
    for name in ("accumulation", "accumulation@long"):
        assert "linearly" in CLAIMS[name].sentence


def test_parts_of_the_verdict_of_the_whole_are_told_apart():
    found = [finding(part="a"), finding(part="b", value=3.01), finding(part="c", value=3.02)]
    assert sums_of(found)[0].resting == tuple(found[1:])
