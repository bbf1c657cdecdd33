"""Verdicts follow from value, error and bound; each claim can come out either way."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks_core.claims.comparison import Comparison
from ks_core.claims.finding import Bound, Finding, Judged, Reference, Verdict
from ks_core.claims.judging import everywhere, judge_every, judge_number
from ks_core.reporting import words
from ks_core.statistics.estimate import Replicates

numbers = st.floats(-100, 100)
kinds = st.sampled_from(["above", "below", "within"])


def replicates(values, half_width):
    """Numbers with replicates spread evenly over value ± half_width, and no error over text."""
    values, half_width = np.asarray(values, dtype=float), np.asarray(half_width)
    spread = np.linspace(-1, 1, 41)[:, None] * half_width
    return Replicates(values, values + spread, np.stack([values, values]))


@given(kinds, numbers, st.floats(0.01, 50), st.floats(0.01, 50))
def test_verdict_follows_from_where_the_interval_lies(kind, low, width, threshold):
    high = low + width
    required = {
        "above": lambda x: x > threshold,
        "below": lambda x: x < threshold,
        "within": lambda x: -threshold < x < threshold,
    }[kind]
    inside = [required(x) for x in np.linspace(low, high, 2001)]
    expected = Verdict.HOLDS if all(inside) else Verdict.UNDECIDED if any(inside) else Verdict.FAILS
    found = Bound(kind, threshold).judge(low, high)
    # an interval that only just crosses can fall between the points of the grid
    assert found is expected or (found is Verdict.UNDECIDED and width / 2000 > _distance(kind, low, high, threshold))


def _distance(kind, low, high, threshold):
    borders = [threshold, -threshold] if kind == "within" else [threshold]
    return min(abs(end - border) for end in (low, high) for border in borders)


@given(kinds, numbers)
def test_a_number_without_an_interval_is_undecided(kind, value):
    assert Bound(kind, 1.0).judge(math.nan, math.nan) is Verdict.UNDECIDED
    assert Bound(kind, 1.0).margin(value, math.nan) == -math.inf or kind == "above"


@given(st.lists(st.sampled_from(list(Verdict)), min_size=1))
def test_everywhere_fails_on_one_counterexample_and_waits_for_one_open_case(verdicts):
    expected = min(verdicts, key=[Verdict.FAILS, Verdict.UNDECIDED, Verdict.HOLDS].index)
    assert everywhere(verdicts) is expected


def test_every_layer_reports_the_one_nearest_to_breaking_the_claim():
    place, found = judge_every(replicates([9.0, 5.0, 6.0], [0.1, 0.1, 2.0]), Bound("above", 3.0))
    assert (place, found.value, found.verdict) == (2, 6.0, Verdict.HOLDS)
    assert found.interval == pytest.approx((6 - 2 * 0.95, 6 + 2 * 0.95))


def test_a_layer_that_only_chance_puts_below_leaves_the_claim_open():
    rng = np.random.default_rng(0)
    facts = 3.0 + rng.standard_normal((400, 30))
    value = np.full(30, 3.0)
    value[7] = 0.9  # 2.1 errors below: one of 30 independent layers gets there by chance in two runs of three
    estimates = Replicates(value, facts + (value - 3.0), np.empty((0, 30)))
    assert judge_every(estimates, Bound("above", 3.0))[1].verdict is Verdict.UNDECIDED
    alone = Replicates(value[7:8], estimates.facts[:, 7:8], np.empty((0, 1)))
    assert judge_every(alone, Bound("above", 3.0))[1].verdict is Verdict.FAILS


def test_one_layer_below_breaks_the_claim_for_all():
    place, found = judge_every(replicates([9.0, 1.0], [0.1, 0.1]), Bound("above", 3.0))
    assert (place, found.verdict) == (1, Verdict.FAILS)


def test_the_layer_reported_is_one_that_the_verdict_rests_on():
    estimates = replicates([9.0, 1.0, 5.0], [0.1, 0.1, 3.0])
    unknown = replace(estimates, facts=np.where([True, False, False], math.nan, estimates.facts))
    place, found = judge_every(unknown, Bound("above", 3.0))
    assert (place, found.verdict) == (1, Verdict.FAILS), "not the unknown layer 0, nor the open layer 2"


def test_an_undefined_layer_leaves_the_claim_open():
    estimates = replicates([9.0, 8.0], [0.1, 0.1])
    broken = replace(estimates, facts=np.array([[9.0, math.nan]] + [[9.0, 8.0]] * 40))
    place, found = judge_every(broken, Bound("above", 3.0))
    assert (place, found.verdict) == (1, Verdict.UNDECIDED)


def test_one_number_carries_both_errors():
    estimate = Replicates(np.array(1.0), np.array([0.7, 1.3]), np.array([0.6, 1.4]))
    found = judge_number(estimate, Bound("above", 0.0))
    assert found.text_error == pytest.approx(0.4)
    assert found.facts_error == pytest.approx(np.std([0.7, 1.3], ddof=1))
    assert found.error == pytest.approx(math.hypot(found.text_error, found.facts_error))


@given(numbers, st.floats(-5, 5), st.floats(0.01, 50))
def test_a_bound_around_a_centre_is_that_around_zero_moved(low, centre, threshold):
    moved = Bound("within", threshold, centre=centre).margin(low + centre, low + centre + 1.0)
    assert moved == pytest.approx(Bound("within", threshold).margin(low, low + 1.0), abs=1e-9)


JUDGED = Judged(4.0, 0.3, 0.4, (3.0, 5.0), Bound("above", 3.0), Verdict.UNDECIDED)


def test_a_finding_has_one_id_of_all_that_tells_it_apart():
    found = Finding("scaling", "q", JUDGED, count=6, part="kurtosis", family="gpt_neox", variant="seeds")
    assert found.id == "scaling:kurtosis@gpt_neox@seeds"
    assert (found.value, found.error, found.verdict) == (4.0, pytest.approx(0.5), Verdict.UNDECIDED)
    assert Finding("kurtosis", "q", JUDGED, count=6).id == "kurtosis"


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"layers": (0,)}, "0"),
        ({"layers": (3, 4, 5), "layer": 4}, "3-5, weakest 4"),
        ({"layers": (0, 2), "across": "mean"}, "2 of 0-2, mean"),
        ({"layers": (1, 3, 5), "across": "pooled"}, "3 of 1-5"),
        ({"layers": tuple(range(7)), "across": "thirds"}, "0-1 vs 5-6"),
        ({"depth": "last"}, "first, middle, last; weakest last"),
        ({"layers": (0, 1), "layer": 0, "facts": (2, 125)}, "0-1, weakest 0, facts 2 → 125"),
        ({"facts": (3, 7)}, "facts 3, 7"),
        ({}, ""),
    ],
)
def test_the_place_of_a_number_is_said_from_its_fields(about, said):
    assert words.place(Finding("c", "q", JUDGED, count=6, **about)) == said


def test_references_are_said_with_what_is_known_of_them():
    known = (
        Reference("GPT2-small", 0.15, to=0.3),
        Reference("random keys", 1.0, error=0.012),
        Reference("p", math.nan),
    )
    found = Finding("c", "q", JUDGED, count=6, references=known)
    assert words.references(found) == "GPT2-small 0.15 to 0.3; random keys 1.000 ± 0.012; p ?"


def test_what_is_not_known_does_not_agree():
    for measured, tolerance in ((math.nan, 1.0), (1.0, math.nan)):
        for at_most in (False, True):
            assert not Comparison("x", measured, 1.0, tolerance, "why", layer=0, at_most=at_most).agrees
    assert Comparison("x", -5.0, 1.0, 0.1, "why", layer=0, at_most=True).agrees
