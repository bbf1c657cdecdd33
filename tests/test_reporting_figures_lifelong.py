"""The figures of long streams: what is drawn is what was measured, a colour a method, and every file is written."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from planted_frontier import SETTINGS, planted_frontier
from planted_lifelong import planted_lifelong

from ks_core.experiments.lifelong.look import Curve
from ks_core.reporting.figures.drawing import save_figures
from ks_core.reporting.figures.lifelong import (
    PANELS,
    along,
    draw_foretold,
    draw_frontier,
    frontier,
    knobs,
    lifelong_figures,
    styles,
)


@pytest.fixture(scope="module")
def measured():
    return planted_frontier()


def axis():
    return Figure().subplots()


def drawn(of):
    """x and y of everything that an axis has a line or marker for."""
    return np.array([point for line in of.get_lines() for point in zip(*line.get_data(), strict=True)])


def test_every_figure_is_written(measured, tmp_path):
    paths, problems = save_figures(tmp_path, lifelong_figures(measured, "a model"))
    assert (sorted(path.name for path in paths), problems) == (["forecast.png", "frontier.png", "lifelong.png"], [])


def test_a_figure_of_nothing_foretold_is_left_out_and_failures_do_not_stop_the_others(tmp_path):
    bare = replace(planted_lifelong(), forecasts=(), curves=(Curve("mine", "", True, (), failed="NaN"),))
    paths, problems = save_figures(tmp_path, lifelong_figures(bare, "a model"))
    assert (len(paths), problems) == (2, [])


def test_the_frontier_has_each_setting_where_it_was_measured(measured):
    count = measured.plan.frontier[-1]
    points = drawn(draw_frontier(axis(), measured, count))
    for curve in measured.curves:
        scores = measured.scores(curve, count)
        place = scores["watched halved"].value, scores["retention"].value
        assert np.abs(points - place).max(axis=1).min() < 1e-12, curve.name


def test_the_frontier_has_a_panel_for_each_count_and_a_name_for_each_method(measured):
    figure = frontier(measured, "a model")
    assert [of.get_title() for of in figure.axes] == [f"after {count} edits" for count in measured.plan.frontier]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(SETTINGS)
    least, _ = figure.axes[0].get_xlim()
    assert least < 0 < max(of.get_xlim()[1] for of in figure.axes)


def test_all_points_of_the_frontier_are_inside_its_panels(measured):
    figure = frontier(measured, "a model")
    for of, count in zip(figure.axes, measured.plan.frontier, strict=True):
        (left, right), (low, high) = of.get_xlim(), of.get_ylim()
        for curve in measured.curves:
            scores = measured.scores(curve, count)
            assert left < scores["watched halved"].value < right
            assert low < scores["retention"].value < high


def test_a_knob_joins_settings_that_differ_in_a_number_alone():
    joint = [Curve("joint", setting, not setting, ()) for setting in ("", "ridge 0.03", "ridge 3")]
    search = [Curve("search", setting, False, ()) for setting in ("stop at 0.5", "stop at 0.8", "ROME's")]
    assert [[of.setting for of in line] for line in knobs(joint)] == [["", "ridge 0.03", "ridge 3"]]
    assert [[of.setting for of in line] for line in knobs(search)] == [["stop at 0.5", "stop at 0.8"], ["ROME's"]]


def test_each_method_has_a_look_of_its_own():
    chosen = styles([*SETTINGS, "another:editor"])
    looks = [chosen[name] for name in (*SETTINGS, "another:editor")]
    assert len(set(looks)) == len(looks)


def test_curves_along_the_stream_end_where_the_scores_do(measured):
    figure = along(measured, "a model")
    for of, score in zip(figure.axes, PANELS, strict=False):
        end = measured.scores(measured.curve("joint"), len(measured.plan.edits))[score].value
        assert np.abs(drawn(of) - (len(measured.plan.edits), end)).max(axis=1).min() < 1e-12


def test_a_foretold_curve_stands_beside_the_measured_one(measured):
    of = draw_foretold(axis(), measured, "retention")
    dashed = [line for line in of.get_lines() if line.get_linestyle() == "--"]
    assert len(dashed) == len(measured.forecasts)
    for line, forecast in zip(dashed, measured.forecasts, strict=True):
        expected = [measured.foretold(forecast, count)["retention"].value for count in forecast.curve.counts]
        assert line.get_ydata() == pytest.approx(expected)
