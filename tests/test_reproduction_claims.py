"""Verdicts follow from value, error and bound; each claim can come out either way."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks_core.reproduction.claims import SIGMAS, Bound, Verdict, everywhere, of_one_number, span, weakest_layer
from ks_core.statistics.estimate import Replicates

numbers = st.floats(-100, 100)
kinds = st.sampled_from(["above", "below", "within"])


def replicates(values, error):
    """Numbers with the given error over facts and none over text: two replicates stand `error` / sqrt 2 either side."""
    values = np.asarray(values, dtype=float)
    step = np.asarray(error) / math.sqrt(2)
    return Replicates(values, np.stack([values - step, values + step]), np.stack([values, values]))


@given(kinds, numbers, st.floats(0.01, 10), st.floats(0, 50))
def test_verdict_needs_two_errors_either_way(kind, value, error, threshold):
    bound = Bound(kind, threshold)
    on_the_right_side = {"above": value > threshold, "below": value < threshold, "within": abs(value) < threshold}[kind]
    clear = abs((abs(value) if kind == "within" else value) - threshold) > SIGMAS * error
    expected = Verdict.UNDECIDED if not clear else Verdict.HOLDS if on_the_right_side else Verdict.FAILS
    assert bound.judge(value, error) is expected


@given(kinds, numbers)
def test_a_number_without_an_error_is_undecided(kind, value):
    assert Bound(kind, 1.0).judge(value, math.nan) is Verdict.UNDECIDED
    assert Bound(kind, 1.0).judge(math.nan, 0.1) is Verdict.UNDECIDED


@given(st.lists(st.sampled_from(list(Verdict)), min_size=1))
def test_everywhere_fails_on_one_counterexample_and_waits_for_one_open_case(verdicts):
    expected = min(verdicts, key=[Verdict.FAILS, Verdict.UNDECIDED, Verdict.HOLDS].index)
    assert everywhere(verdicts) is expected


def test_weakest_layer_reports_the_layer_nearest_to_breaking_the_claim():
    found = weakest_layer(
        "c", "q", replicates([9.0, 5.0, 6.0], [0.1, 0.1, 1.4]), Bound("above", 3.0), layers=(0, 4, 8), count=6
    )
    assert (found.value, found.layers, found.verdict) == (6.0, "3 of 0-8, weakest 8", Verdict.HOLDS)
    assert found.error == pytest.approx(1.4)


def test_one_layer_below_breaks_the_claim_for_all():
    found = weakest_layer("c", "q", replicates([9.0, 1.0], [0.1, 0.1]), Bound("above", 3.0), layers=(0, 1), count=6)
    assert found.verdict is Verdict.FAILS


def test_an_undefined_layer_leaves_the_claim_open():
    estimates = replicates([9.0, 8.0], [0.1, 0.1])
    broken = replace(estimates, facts=np.array([[9.0, math.nan], [9.1, 8.0]]))
    found = weakest_layer("c", "q", broken, Bound("above", 3.0), layers=(0, 1), count=6)
    assert found.verdict is Verdict.UNDECIDED
    assert "weakest 1" in found.layers


def test_one_number_carries_both_errors():
    estimate = Replicates(np.array(1.0), np.array([0.7, 1.3]), np.array([0.6, 1.4]))
    found = of_one_number("c", "q", estimate, Bound("above", 0.0), layers="all", count=6)
    assert found.text_error == pytest.approx(0.4)
    assert found.facts_error == pytest.approx(np.std([0.7, 1.3], ddof=1))
    assert found.error == pytest.approx(math.hypot(found.text_error, found.facts_error))


@pytest.mark.parametrize(
    ("layers", "text"), [((0,), "0"), ((3, 4, 5), "3-5"), ((0, 2), "2 of 0-2"), ((1, 3, 5), "3 of 1-5")]
)
def test_span_names_layers(layers, text):
    assert span(layers) == text
