"""Charts of edits and of sizes on the page: what is drawn is what was measured, and what was not is not drawn."""

from itertools import pairwise

import numpy as np
import pytest
from page_results import capacity, chosen, dose, drawn, everything, family, lifelong, planted, seeds, stream

from ks_core.experiments.sizes.numbers import NUMBERS
from ks_core.reporting.page.figures import dose as dose_module
from ks_core.reporting.page.figures.capacity import capacity_figure
from ks_core.reporting.page.figures.dose import dose_figure
from ks_core.reporting.page.figures.every import FIGURES, figures_of
from ks_core.reporting.page.figures.forecast import forecast_figure, interference_figure
from ks_core.reporting.page.figures.frontier import frontier_figure
from ks_core.reporting.page.figures.methods import methods_figure
from ks_core.reporting.page.figures.scaling import scaling_figure

ROUNDED = 5.1e-6
"""Relative: six significant digits are right to half of the sixth."""

JOINED = 1e-5
"""The same of a sum or difference of two rounded numbers of about one size."""


def of_editing(**editing):
    return planted(editing=editing)


@pytest.fixture(scope="module")
def results():
    return everything()


def test_figures_come_in_the_order_of_the_page(results):
    names = ["density", "kurtosis", "angles", "dose", "frontier", "interference", "forecast", "methods", "scaling",
             "capacity"]  # fmt: skip
    assert [figure.name for figure in figures_of(results)] == names
    assert len(FIGURES) == len(names)


def test_what_was_not_measured_has_no_figure():
    only_pairs = planted(matrices=False)
    assert [figure.name for figure in figures_of(only_pairs)] == ["kurtosis"]
    for part in ("stream", "dose", "lifelong", "capacity"):
        assert [figure.name for figure in figures_of(planted(matrices=False, editing={part: None}))] == ["kurtosis"]


def test_dose_has_every_pair_that_counts_with_its_own_facts(results):
    figure, stored = dose_figure(results), results.content["editing"]["dose"]
    rows = drawn(figure)
    arrays = stored["by_layer_edit_and_fact"]
    for place, layer in enumerate(stored["layers"]):
        found = {(row["e"], row["w"]): row for row in chosen(rows, series=f"layer {layer}")}
        assert len(found) == 3 * 10 - 3, "an edited fact is not read at itself"
        for (edit, watched), row in found.items():
            expected = [arrays[name][place][edit][watched] for name in ("dose", "response", "predicted")]
            assert [row["x"], row["y"], row["p"]] == pytest.approx(expected, rel=ROUNDED)
    tables = [of["from"]["data"]["values"] for of in figure.spec["layer"][0]["transform"]]
    edited = ["Town0 lies in → Land0", "Town1 lies in → Land3", "Town0 lies in → Land2"]
    assert [row["name"] for row in tables[0]] == edited
    assert tables[1][-2]["name"] == "Elsewhere lies in → Land0", "not among the measured ones"
    assert tables[1][-1]["name"] == "fact 99", "whom the results do not name is known by its number"


def test_dose_joins_the_means_of_its_bins():
    stored = dose(edits=6, watched=30)
    figure = dose_figure(of_editing(dose=stored))
    doses, responses = (np.array(stored["by_layer_edit_and_fact"][name], dtype=float) for name in ("dose", "response"))
    edges = [-np.inf, *dose_module.EDGES, np.inf]
    expected = []
    for low, high in pairwise(edges):
        inside = (doses >= low) & (doses < high)
        if inside.any():
            expected.append((doses[inside].mean(), responses[inside].mean(), inside.sum()))
    found = [(row["x"], row["y"], row["n"]) for row in drawn(figure, 1)]
    assert np.array(found) == pytest.approx(np.array(expected), rel=ROUNDED)
    strong = responses[doses >= 0.5]
    assert f"{len(strong)} with P of 0.5 and more: mean change {strong.mean():.3g} nats" in figure.alternative


def test_dose_of_many_pairs_is_thinned_and_says_so(monkeypatch):
    monkeypatch.setattr(dose_module, "MOST_POINTS", 50)
    figure = dose_figure(of_editing(dose=dose()))
    assert len(drawn(figure)) == 41, "every second of 81"
    assert "81 points; one in 2 is drawn" in figure.caption


def test_a_long_dose_goes_before_a_short_one():
    both = of_editing(dose=dose(layers=(1,)), long_dose=dose(layers=(2,)))
    assert {row["series"] for row in drawn(dose_figure(both))} == {"layer 2"}
    nothing = dose(edits=1, watched=1)
    assert dose_figure(of_editing(dose=nothing)) is None


def test_frontier_is_of_the_long_stream_where_there_is_one(results):
    figure, stored = frontier_figure(results), results.content["editing"]["lifelong"]
    last = max(look["edits"] for curve in stored["curves"] for look in curve["looks"])
    expected = [
        (curve["method"], curve["setting"] or "default", look["scores"])
        for curve in stored["curves"]
        for look in curve["looks"]
        if look["edits"] == last
    ]
    assert f"after {last} edits of a long stream" in figure.caption
    assert len(drawn(figure)) == len(expected) > 10
    for row, (method, setting, scores) in zip(drawn(figure), expected, strict=True):
        assert (row["series"], row["setting"]) == (method, setting)
        for axis, score in (("x", "watched halved"), ("y", "retention")):
            value, error = scores[score]["value"], scores[score]["error"]
            assert (row[axis], row[f"{axis}_error"]) == pytest.approx((value, error), rel=ROUNDED)
            assert row[f"{axis}_high"] - row[f"{axis}_low"] == pytest.approx(2 * error, rel=1e-3, abs=1e-6)


def test_frontier_is_else_of_the_short_stream_and_says_so():
    stored = stream()
    figure = frontier_figure(of_editing(stream=stored))
    assert "short stream of 8 edits (no long stream was measured)" in figure.caption
    for name, run in stored["methods"].items():
        (row,) = chosen(drawn(figure), series=name)
        scores = run[-1]["scores"]
        assert row["y"] == pytest.approx(scores["retention"]["value"], rel=ROUNDED)
        assert row["x"] == pytest.approx(1 - scores["neighbourhood"]["value"], rel=JOINED)
        assert row["x_error"] == 0.02
        assert f"{name}: retention {scores['retention']['value']:.3f}" in figure.alternative


def test_a_point_without_an_error_has_no_bar():
    stored = stream()
    for run in stored["methods"].values():
        run[-1]["scores"]["retention"]["error"] = None
    rows = drawn(frontier_figure(of_editing(stream=stored)))
    assert not any("y_low" in row for row in rows)
    assert all("x_low" in row for row in rows)
    for run in stored["methods"].values():
        run[-1]["scores"]["retention"]["value"] = None
    assert frontier_figure(of_editing(stream=stored)) is None


def test_interference_is_drawn_but_for_what_is_nothing_but_rounding(results):
    figure, stored = interference_figure(results), results.content["editing"]["stream"]
    expected = [
        (name, at["edits"], where, at["float64"][part])
        for name, run in stored["methods"].items()
        for at in run
        for part, where in (("bystanders", "facts not edited"), ("edits", "earlier edits"))
        if name != "joint" or part == "bystanders"
    ]
    rows = drawn(figure)
    assert len(rows) == len(expected) == 28
    assert "4 points are left out" in figure.caption
    for row, (name, edits, where, of) in zip(rows, expected, strict=True):
        assert (row["series"], row["edits"], row["at"]) == (name, edits, where)
        assert (row["predicted"], row["measured"]) == pytest.approx((of["predicted"], of["measured"]), rel=ROUNDED)
    assert "Largest relative difference: 1e-07" in figure.alternative


def test_interference_that_is_not_predicted_is_not_drawn():
    """Where an editor of someone else's writes is not known."""
    stored = stream(("theirs",))
    for at in stored["methods"]["theirs"]:
        for of in at["float64"].values():
            of.update(predicted=None, difference=None, relative=None)
    assert interference_figure(of_editing(stream=stored)) is None


def test_forecast_has_both_curves_of_the_methods_foretold(results):
    stored = results.content["editing"]["lifelong"]
    rows = drawn(forecast_figure(results))
    foretold = [of["method"] for of in stored["forecasts"]]
    assert {row["series"] for row in rows} == set(foretold)
    curves = {of["method"]: of for of in stored["curves"] if of["default"]}
    for method, forecast in zip(foretold, stored["forecasts"], strict=True):
        for kind, of in (("foretold", forecast), ("measured", curves[method])):
            for score in ("retention", "watched halved"):
                found = chosen(rows, series=method, kind=kind, score=score)
                looks = [look for look in of["looks"] if look["scores"][score]["value"] is not None]
                assert [row["edits"] for row in found] == [look["edits"] for look in looks]
                expected = [look["scores"][score]["value"] for look in looks]
                assert [row["value"] for row in found] == pytest.approx(expected, rel=ROUNDED)
    assert forecast_figure(of_editing(lifelong={**lifelong(), "forecasts": []})) is None


def test_methods_have_every_score_at_every_checkpoint(results):
    figure, stored = methods_figure(results), results.content["editing"]["stream"]["methods"]
    rows = drawn(figure)
    options = figure.spec["params"][0]["bind"]["options"]
    assert options == ["retention", "efficacy", "paraphrase", "neighbourhood", "log-perplexity rise"]
    assert len(rows) == 5 * 4 * len(stored)
    for name, run in stored.items():
        for at in run:
            for score in options:
                (row,) = chosen(rows, series=name, edits=at["edits"], score=score)
                of = at["scores"][score]
                assert row["value"] == pytest.approx(of["value"], rel=ROUNDED)
                assert ("low" in row) == (of["error"] is not None)
                if of["error"]:
                    assert row["high"] - row["value"] == pytest.approx(of["error"], rel=1e-3)


def test_scaling_is_at_the_depths_of_the_claim(results):
    rows = drawn(scaling_figure(results))
    by_layer = [20.0, 10.0, 20 / 3]  # of the family's second model: three layers, so that each depth is one
    for number in NUMBERS:
        for depth, value in zip(("first", "middle", "last"), by_layer, strict=True):
            (row,) = chosen(rows, series="gpt2", size=30_000, number=number, depth=depth, kind="measured")
            assert row["value"] == pytest.approx(value, rel=ROUNDED)
            assert row["error"] == pytest.approx(0.5, rel=ROUNDED), "0.3 over facts and 0.4 over text"
            assert (row["low"], row["high"]) == pytest.approx((value - 0.5, value + 0.5), rel=JOINED)
    (between,) = chosen(rows, series="gpt2", size=1000, number="kurtosis", depth="middle", kind="measured")
    assert between["value"] == pytest.approx(np.sqrt(10 * 5), rel=ROUNDED), "two layers: the geometric mean"
    assert between["error"] == pytest.approx(np.sqrt(50) * (0.5 / 10 + 0.5 / 5) / 2, rel=1e-4)
    of_seeds = chosen(rows, kind="another seed of training", depth="last", number="spread")
    assert [(row["size"], row["value"]) for row in of_seeds] == [(1000, 4.0), (30_000, 4.0)] * 2
    assert {row["value"] for row in chosen(rows, kind="chance")} == {1.5}


def test_one_family_has_a_figure_and_none_has_not():
    one = scaling_figure(planted(scaling=[family()]))
    assert {row["series"] for row in drawn(one)} == {"gpt2"}
    assert "another seed" not in str(one.spec["data"])
    assert "exponents in size 0.10 to 0.20" in one.alternative
    assert scaling_figure(planted(scaling=[])) is None
    assert scaling_figure(planted(scaling=[], seeds=seeds())) is None


def test_a_layer_without_a_statistic_takes_its_model_out_of_the_chart():
    broken = family()
    numbers = broken["members"][1]["by_layer"]
    numbers["spread"] = {**numbers["spread"], "value": [20.0, None, 5.0]}
    figure = scaling_figure(planted(scaling=[broken]))
    rows = chosen(drawn(figure), number="spread")
    assert {row["size"] for row in rows} == {1000, 1_000_000}
    assert "not defined" in figure.alternative


def test_capacity_is_in_both_units(results):
    figure, stored = capacity_figure(results), capacity()
    rows = drawn(figure)
    for model in stored["models"]:
        name = model["name"].replace("\n", "\\n")
        for method, curve in model["methods"].items():
            read = [damage for damage in curve if damage["halved"]["value"] is not None]
            for unit, each in (("dimension", 1 / 64), ("superposition", 0.01)):
                found = chosen(rows, model=name, method=method, unit=unit)
                assert [row["x"] for row in found] == pytest.approx([of["edits"] * each for of in read], rel=ROUNDED)
                assert [row["value"] for row in found] == [of["halved"]["value"] for of in read]
    assert "3 models of 2 families" in figure.caption
    assert "falls, sequential: 60 % after 8 edits" in figure.alternative
