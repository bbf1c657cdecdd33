"""A run of the claims as a value: what it keeps when names are odd, figures fail, or two models have one name."""

import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from errors import refused
from matplotlib.figure import Figure
from planted_lifelong import planted_lifelong

from ks_core.claims.finding import Bound, Finding
from ks_core.claims.judging import judge_number
from ks_core.errors import InputError, KsError
from ks_core.reporting.figures.drawing import as_label, save_figures
from ks_core.reporting.page.write import PAGE
from ks_core.reporting.pairs_file import PAIRS
from ks_core.reporting.results import RESULTS, check_results
from ks_core.reporting.screen import Screen
from ks_core.reporting.session import start_session
from ks_core.statistics.estimate import Replicates

ODD = ["costs_$5", "$x^{2}$ and \\frac", "a\nforged", "\x1b[2J", "模型 نموذج", "\u202ecba", "x" * 200, "%n_&#~"]
FIGURES = {"superposition.png", "density.png", "kurtosis.png", "angles.png", "convergence.png"}


@pytest.fixture
def start(settings, tmp_path, monkeypatch, measured_folder):
    """Start a session on a model in a folder of this name; of the measurement all but the statistics is cached."""
    monkeypatch.setenv("KS_CORE_CACHE", str(measured_folder / "cache"))

    def started(model=settings.model, **changed):
        given = asdict(settings) | {"results": tmp_path / "results", "model": str(model)} | changed
        return start_session(given)

    return started


def finding(claim, value=2.0):
    spread = np.array([value - 0.1, value + 0.1])
    estimate = Replicates(np.array(value), spread, np.empty(0))
    return Finding(claim, "words", judge_number(estimate, Bound("above", 1.0)), count=2, layers=(0,))


@pytest.mark.parametrize("name", ODD)
def test_a_model_of_any_name_is_measured_shown_and_drawn(start, settings, tmp_path, name):
    folder = Path(shutil.copytree(settings.model, tmp_path / "models" / name))
    session = start(folder)
    assert session.finish([], clean=True, whole=True), session.problems
    written = {path.name for path in (tmp_path / "results" / name).iterdir()}
    assert written == FIGURES | {RESULTS, PAIRS, PAGE}
    assert all(line.text.isprintable() for line in session.summary(verbose=True))


@pytest.mark.parametrize("name", ODD)
def test_a_label_shows_a_name_and_no_formula(name):
    """Drawn beside what would be a formula, and measured: matplotlib has taken the text as it stands."""
    figure = Figure()
    text = figure.text(0, 0, as_label(name))
    figure.canvas.draw()
    shown, is_formula = text._preprocess_math(text.get_text())
    assert not is_formula
    assert shown.isprintable()
    assert len(shown) <= 48


def test_results_are_written_before_tests_and_a_figure_that_fails_loses_nothing_else(start, tmp_path):
    session = start()
    results = tmp_path / "results" / "model"
    assert json.loads((results / RESULTS).read_text())["findings"] == [], "what was measured, before any test"
    session.record([finding("mine")], "test_mine.py::test_mine")
    (results / "kurtosis.png").mkdir()
    (results / "kurtosis.png" / "in the way").touch()
    assert not session.finish(["test_mine.py::test_mine"], clean=True, whole=True)
    (problem,) = session.problems
    assert problem.startswith("figure kurtosis.png was not drawn: ")
    assert [of["id"] for of in json.loads((results / RESULTS).read_text())["findings"]] == ["mine"]
    assert {path.name for path in results.iterdir()} == FIGURES | {RESULTS, PAIRS, PAGE}
    assert any(line.text.startswith("ERROR: figure kurtosis.png") for line in session.summary())


def test_any_error_of_a_drawing_is_one_line_and_the_others_are_drawn(tmp_path):
    def fails():
        raise ValueError("of matplotlib,\nin two lines")

    paths, problems = save_figures(tmp_path, {"bad.png": fails, "good.png": Figure})
    assert [path.name for path in paths] == ["good.png"]
    assert problems == ["figure bad.png was not drawn: ValueError: of matplotlib,\nin two lines"]


def test_models_of_one_last_name_do_not_write_over_each_others_results(start, settings, tmp_path):
    first, second = (Path(shutil.copytree(settings.model, tmp_path / name / "hf")) for name in "ab")
    start(first)
    start(second)  # the same weights: the same model
    other = shutil.copytree(second, tmp_path / "c" / "hf")
    path = tmp_path / "results" / "hf" / RESULTS
    before = path.read_bytes()
    with refused(InputError, what="another model", got="/b/hf", remedy=("--ks-results", "remove the file")):
        check_results(path, replace(settings, model=str(other)), "other weights")
    assert path.read_bytes() == before
    check_results(path, replace(settings, model=str(second)), "trained further, in its place")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"provenance": 5}', "[" * 100_000, "\udcff"])
def test_a_file_that_is_no_results_is_not_written_over(settings, tmp_path, content):
    path = tmp_path / RESULTS
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match="cannot be read as results"):
        check_results(path, settings, "weights")


@pytest.mark.parametrize(
    "changed",
    [{"model": "no/such/model/here"}, {"facts": "nowhere.json"}, {"corpus": "nowhere.txt"}, {"device": "abacus"},
     {"tokens": 20}, {"families": (("a", "a"),)}, {"layers": (0, 99)}],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_used_leaves_no_folder_of_results(start, tmp_path, changed):
    with pytest.raises(KsError):
        start(**changed)
    assert not (tmp_path / "results").exists()


def test_two_tests_cannot_record_one_claim(start):
    session = start()
    assert session.record([finding("mine")], "test_a.py::test_a") == []
    assert session.record([finding("mine", 3.0)], "test_a.py::test_a") == [], "run again: the last counts"
    (problem,) = session.record([finding("mine", 4.0)], "test_b.py::test_b")
    assert "mine was recorded by test_a.py::test_a already" in problem
    assert session.recorded["mine"].finding.value == 3.0


def test_long_streams_that_were_measured_are_shown_written_and_drawn(start, tmp_path):
    session = start()
    session.measured = replace(session.measured, lifelong=planted_lifelong())
    assert session.finish([], clean=True, whole=True), session.problems
    results = tmp_path / "results" / "model"
    assert json.loads((results / RESULTS).read_text())["editing"]["lifelong"]["layer"] == 1
    names = {path.name for path in results.iterdir()}
    assert names == FIGURES | {RESULTS, PAIRS, PAGE, "frontier.png", "lifelong.png", "forecast.png"}
    assert "methods as published, or as recommended" in [line.text for line in session.summary(verbose=True)]


THEIRS = "ks_core.conformance.reference:joint"


def test_anyones_editor_runs_in_the_stream_beside_the_methods(start, tmp_path):
    session = start(num_edits=4, editor=[THEIRS, THEIRS])
    runs = session.require("stream").stream.streams.runs
    assert list(runs)[-1] == THEIRS
    np.testing.assert_allclose(runs[THEIRS][-1].length, runs["joint"][-1].length, rtol=1e-6)
    written = json.loads((tmp_path / "results" / "model" / RESULTS).read_text())
    assert THEIRS in written["editing"]["stream"]["methods"]
    assert any(line.text.startswith(THEIRS) for line in session.summary(Screen(200), verbose=True))


@pytest.mark.parametrize(("editor", "got"), [("json:dumps", "json:dumps"), ("nowhere:edit", "'nowhere'")])
def test_an_editor_that_cannot_be_used_is_refused_before_the_work(start, tmp_path, editor, got):
    with pytest.raises(KsError, match=got):
        start(editor=[editor])
    assert not (tmp_path / "results").exists()


def test_no_baseline_is_written_or_asked_about_anyones_editor(start, tmp_path):
    with refused(InputError, what="--ks-update-baseline", got="--ks-editor", expected="one"):
        start(editor=[THEIRS], update_baseline=True, baselines=tmp_path / "baselines")
    test = "test_mine.py::test_mine"
    written = start(update_baseline=True, baselines=tmp_path / "baselines")
    written.record([finding("mine")], test)
    assert written.finish([test], clean=True, whole=True), written.problems
    session = start(editor=[THEIRS], baselines=tmp_path / "baselines")
    assert session.record([finding("mine"), finding("theirs")], test) == []
    (problem,) = session.record([finding("mine", 3.0)], test)
    assert problem.startswith("mine"), "what the baseline has is held against it"
    (problem,) = start(baselines=tmp_path / "baselines").record([finding("theirs")], test)
    assert "theirs is not in" in problem, "without an editor nothing new may appear"


def test_parts_are_measured_once_when_they_are_required(start, tmp_path):
    session = start(num_edits=4)
    assert session.measured.stream is None
    assert session.require("stream").stream is session.require("stream").stream is not None
    assert session.require("sizes").sizes is None, "another model than the default, and no family named"
    assert "stream" in json.loads((tmp_path / "results" / "model" / RESULTS).read_text())["editing"]


def test_a_pipe_in_the_place_of_results_is_refused_and_not_waited_for(settings, tmp_path):
    path = tmp_path / RESULTS
    os.mkfifo(path)
    with pytest.raises(InputError, match=r"no regular file; expected results or nothing there"):
        check_results(path, settings, "weights")
    assert path.is_fifo()
