"""A horizon that is foretold is within a fifth of the measured one, beyond it, or cannot be told."""

import math
from dataclasses import replace

import numpy as np
import pytest
from planted_claims import Line, cases, verdict_on
from planted_lifelong import EDITS, METHODS, REACHED, forecast, halved, planted_lifelong, standing, with_curves

from ks_core.claims.finding import NotApplicable, Verdict
from ks_core.claims.horizon import too_late
from ks_core.claims.registry import CLAIMS
from ks_core.experiments.lifelong.look import Curve
from ks_core.experiments.measured import Measured


def found(lifelong, claim):
    return {finding.id: finding for finding in CLAIMS[claim].judgement(lifelong)}


def falls_at(where, scatter):
    """p(new) that is whole up to a number of edits, and is half at it; orders differ by a factor."""

    def planted(order, edits):
        middle = where * (1 + scatter * (order - 1))
        return {"kept": REACHED * np.clip(1 - 0.5 * np.log(edits) / np.log(middle), 0.01, 1)}

    return planted


def foretold(lifelong, value, spread):
    """A forecast that halves p(new) later than the curve does by the number."""
    late = forecast(lifelong.plan, "sequential", falls_at(16 * (1 + value), 1.5 * spread))
    return replace(with_curves(lifelong, sequential=falls_at(16, 0.0)), forecasts=(late,))


@pytest.mark.parametrize(
    ("finding", "plant", "value", "spread", "verdict"),
    cases({"horizon:kept@sequential": (foretold, Line("within", 0.2, 0.04))}),
)
def test_a_horizon_turns_at_its_threshold(measurement, finding, plant, value, spread, verdict):
    planted = Measured(measurement, lifelong=plant(planted_lifelong(), value, spread))
    assert verdict_on(planted, finding) is verdict


def breaks_a_fifth_at(where):
    """Nothing is lost before a number of edits, and half of the watched facts, at once, from then on."""
    return lambda _, edits: {"change": halved(0.5) if edits >= where else 0.0}


@pytest.mark.parametrize(("told", "verdict"), [(16, Verdict.HOLDS), (8, Verdict.FAILS), (32, Verdict.FAILS)])
def test_the_horizon_of_damage_is_a_fifth_of_the_watched_halved(told, verdict):
    """A fifth is reached two fifths of the way, over log n, from the look before."""
    lifelong = with_curves(planted_lifelong(), sequential=breaks_a_fifth_at(16))
    lifelong = replace(lifelong, forecasts=(forecast(lifelong.plan, "sequential", breaks_a_fifth_at(told)),))
    finding = found(lifelong, "horizon")["horizon:watched@sequential"]
    assert finding.verdict is verdict
    assert [of.value for of in finding.references] == pytest.approx([8 * 2**0.4, told / 2 * 2**0.4])


@pytest.mark.parametrize(
    ("true", "told", "verdict"),
    [(16, 16, Verdict.HOLDS), (16, 50, Verdict.FAILS), (32, 8, Verdict.FAILS), (1e9, 1e9, Verdict.UNDECIDED),
     (16, 1e9, Verdict.FAILS), (1e9, 16, Verdict.FAILS), (1e9, 62, Verdict.UNDECIDED)],
)  # fmt: skip
def test_a_horizon_that_is_not_reached_fails_only_where_that_is_enough(true, told, verdict):
    lifelong = with_curves(planted_lifelong(), sequential=falls_at(true, 0.0))
    lifelong = replace(lifelong, forecasts=(forecast(lifelong.plan, "sequential", falls_at(told, 0.0)),))
    finding = found(lifelong, "horizon")["horizon:kept@sequential"]
    assert finding.verdict is verdict
    names = [of.source for of in finding.references]
    assert ("measured edits" in names, "forecast edits" in names) == (true < EDITS, told < EDITS)


@pytest.mark.parametrize(
    ("forecast", "measured", "expected"),
    [(120.0, 100.0, 0.2), (math.nan, 100.0, 3.0), (math.nan, 350.0, math.nan), (100.0, math.nan, -0.75),
     (350.0, math.nan, math.nan), (math.nan, math.nan, math.nan)],
)  # fmt: skip
def test_what_is_not_reached_is_known_only_to_be_larger(forecast, measured, expected):
    assert too_late(forecast, measured, 400) == pytest.approx(expected, nan_ok=True)


def test_samples_that_disagree_leave_a_horizon_undecided():
    """As the threshold's tests have it for `spread`, here through the whole curve."""
    lifelong = with_curves(planted_lifelong(), sequential=falls_at(16, 0.0))
    lifelong = replace(lifelong, forecasts=(forecast(lifelong.plan, "sequential", falls_at(16, 0.3)),))
    finding = found(lifelong, "horizon")["horizon:kept@sequential"]
    assert abs(finding.value) < 0.2
    assert finding.verdict is Verdict.UNDECIDED


def test_a_horizon_is_read_off_the_looks_that_there_are():
    """A forecast that looks at every other count only, and at its first knows none of the edits."""
    lifelong = with_curves(planted_lifelong(), sequential=falls_at(16, 0.0))
    whole = forecast(lifelong.plan, "sequential", falls_at(16, 0.0))
    fewer = [list(looks[::2]) for looks in whole.curve.looks]
    for looks in fewer:
        looks[0] = replace(looks[0], early=standing(np.empty(0)))
    cut = replace(whole, curve=replace(whole.curve, looks=tuple(map(tuple, fewer))))
    finding = found(replace(lifelong, forecasts=(cut,)), "horizon")["horizon:kept@sequential"]
    assert finding.value == pytest.approx(0.0, abs=1e-9)
    assert finding.verdict is Verdict.HOLDS


def test_one_sample_alone_decides_no_horizon():
    lifelong = planted_lifelong()
    alone = forecast(lifelong.plan, "sequential", METHODS["sequential"], samples=1)
    finding = found(replace(lifelong, forecasts=(alone,)), "horizon")["horizon:kept@sequential"]
    assert finding.value == pytest.approx(0.0, abs=0.1)
    assert finding.verdict is Verdict.UNDECIDED


def test_a_horizon_takes_a_curve_that_was_both_forecast_and_measured():
    lifelong = planted_lifelong()
    assert isinstance(CLAIMS["horizon"].judgement(replace(lifelong, forecasts=())), NotApplicable)
    failed = tuple(Curve(name, "", True, (), "out of directions") for name in METHODS)
    assert isinstance(CLAIMS["horizon"].judgement(replace(lifelong, curves=failed)), NotApplicable)
