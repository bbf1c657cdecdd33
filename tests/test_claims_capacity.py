"""The capacity claim: one curve holds, two do not, and models without a place are named; what its spread is made of."""

import numpy as np
import pytest

from ks_core.claims.capacity import CLAIM, LOST, UNITS, judge, places, spread
from ks_core.claims.finding import NotApplicable, Verdict
from ks_core.experiments.capacity.measure import Capacity
from ks_core.experiments.capacity.stream import Damage, ModelCapacity, counts_of
from ks_core.reporting.figures.capacity import capacity_figures
from ks_core.reporting.figures.drawing import save_figures
from ks_core.statistics.logistic import fit_logistic

WATCHED = 400
WIDTHS = (128, 192, 256, 384, 512, 768, 1024, 1536)


def planted(name, d_key, middle, onto=0.01, slope=1.5, most=None):
    """A model whose damage is logistic in log2 n, a half at `middle` edits."""
    curves = {}
    for method in ("sequential", "joint"):
        damages = []
        for count in counts_of(d_key, most or d_key):
            share = 1 / (1 + np.exp(-slope * (np.log2(count) - np.log2(middle))))
            damages.append(Damage(count, np.arange(WATCHED) < round(share * WATCHED), 0.1 * count))
        curves[method] = tuple(damages)
    return ModelCapacity(name, "planted", d_key, 1, d_key, WATCHED, 0.9, onto, onto, curves)


def capacity(*models):
    return Capacity(models, resamples=200, seed=0, seconds={})


def verdicts(*models):
    return {finding.part: finding.verdict for finding in judge(capacity(*models))}


def by_dimension(width, factor=1.0):
    """Half is lost at n = d_key / 4, times a factor; P is such that it says nothing of that."""
    return planted(f"w{width}", width, factor * width / 4, onto=0.01 * (1 + width % 7))


def test_one_curve_per_dimension_holds_and_says_where_a_fifth_is_lost():
    first, second = judge(capacity(*map(by_dimension, WIDTHS)))
    assert (first.part, second.part) == tuple(UNITS)
    assert first.verdict is Verdict.HOLDS
    assert first.count == len(WIDTHS)
    references = {reference.source: reference.value for reference in first.references}
    # a fifth: odds of 1/4, so log2(n) is log(4) / slope below that of a half
    assert references["a fifth lost at"] == pytest.approx(0.25 * 2 ** (-np.log(4) / 1.5), rel=0.05)
    assert references["n alone"] == pytest.approx(np.std(np.log2(WIDTHS), ddof=1), rel=0.1)
    assert references["growth of the weight"] == pytest.approx(references["n alone"], rel=0.1)  # as it was planted
    assert references["joint"] == pytest.approx(first.value, abs=0.05)
    assert references["share off one logistic curve"] < 0.01


def test_one_curve_per_superposition_holds_where_dimensions_say_nothing():
    squares = dict(zip(WIDTHS, np.geomspace(0.004, 0.05, len(WIDTHS)), strict=True))
    models = [planted(f"w{width}", width, 0.2 / onto, onto) for width, onto in squares.items()]
    found = verdicts(*models)
    assert found == {"per-superposition": Verdict.HOLDS, "per-dimension": Verdict.FAILS}


def test_two_curves_do_not_hold():
    models = [by_dimension(width, factor=8.0 ** (-1) ** n / 4) for n, width in enumerate(WIDTHS)]
    assert verdicts(*models)["per-dimension"] is Verdict.FAILS


def test_a_spread_across_the_threshold_is_undecided():
    models = [by_dimension(width, factor=2.0 ** (0.5 * (-1) ** n)) for n, width in enumerate(WIDTHS)]
    assert verdicts(*models)["per-dimension"] is Verdict.UNDECIDED


def test_models_without_a_place_are_counted_out_and_named():
    at_once, never = planted("at-once", 256, 0.5), planted("never", 256, 1e6)
    broken = planted("broken", 256, 64)
    failed = Damage(1, np.zeros(0, dtype=bool), np.nan, "no finite probability")
    broken = ModelCapacity(**{**vars(broken), "curves": dict.fromkeys(broken.curves, (failed,))})
    finding, _ = judge(capacity(*map(by_dimension, WIDTHS), at_once, never, broken))
    assert finding.count == len(WIDTHS)
    for words in ("at-once lost 82% with the first edit", "never lost 0% at most", "broken could not be read"):
        assert words in finding.counted
    assert finding.verdict is Verdict.HOLDS


def test_too_few_places_are_said_and_no_verdict_is_made():
    outcome = judge(capacity(*map(by_dimension, WIDTHS[:3]), planted("never", 256, 1e6)))
    assert isinstance(outcome, NotApplicable)
    assert "3 of 4 models" in outcome.reason
    assert "never lost 0% at most" in outcome.reason


def test_a_place_lies_between_the_counts_and_its_error_follows_the_facts():
    (place,) = places(capacity(by_dimension(512)), "sequential")
    curve = place.model.known("sequential")
    after = next(n for n, damage in enumerate(curve) if damage.share >= LOST)
    assert np.log2(curve[after - 1].edits) < place.log_edits < np.log2(curve[after].edits)
    # error of a share of 400 at a fifth, over the slope of a logistic there, p (1 − p) slope
    expected = np.sqrt(LOST * (1 - LOST) / WATCHED) / (LOST * (1 - LOST) * 1.5)
    assert place.error == pytest.approx(expected, rel=0.3)


def test_the_interval_of_a_spread_covers_it_in_95_of_100_samples():
    rng = np.random.default_rng(0)
    true, tries = 0.5, 2000
    covered = 0
    for _ in range(tries):
        _, low, high = spread(true * rng.standard_normal(10))
        covered += low <= true <= high
    # four standard errors of a share of 2,000 samples
    assert abs(covered / tries - 0.95) < 4 * np.sqrt(0.95 * 0.05 / tries)


def test_a_logistic_curve_comes_back_and_two_leave_their_distance():
    where = np.linspace(-5, 5, 41)
    one = 1 / (1 + np.exp(-1.3 * (where - 0.7)))
    fit = fit_logistic(where, one)
    assert (fit.middle, fit.slope, fit.residual) == pytest.approx((0.7, 1.3, 0.0), abs=1e-6)
    both = fit_logistic(np.tile(where, 2), np.concatenate([one, 1 / (1 + np.exp(-1.3 * (where + 3)))]))
    assert both.residual > 0.15


def test_the_figure_is_drawn_with_a_line_for_each_model_and_method(tmp_path):
    models = [by_dimension(width) for width in WIDTHS[:4]]
    drawings = capacity_figures(capacity(*models))
    for axis in drawings["capacity.png"]().axes:
        assert len(axis.lines) == 2 * len(models) + 1
    paths, problems = save_figures(tmp_path, drawings)
    assert [path.name for path in paths] == ["capacity.png"]
    assert problems == []


def test_the_claim_is_of_the_part_that_it_names():
    assert (CLAIM.name, CLAIM.needs) == ("capacity", "capacity")
