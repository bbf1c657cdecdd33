"""`pytest -m paper` as a user starts it, on tiny real models: from the first run to a regression."""

import json
import os
import re
from functools import partial
from pathlib import Path

import pytest
from errors import says
from measured import write_everything
from tiny_models import save_tiny_checkpoint
from warm import run_module

import ks_core as ks
from ks_core.checked_files import read_json, write_json
from ks_core.claims.registry import CLAIMS
from ks_core.reporting.baseline_file import FORMAT

ROOT = Path(__file__).parent.parent


def run_paper(inputs, folder, *options, family=()):
    given = {
        **{f"--ks-{name}": path for name, path in inputs.items()},
        **{"--ks-num-facts": 8, "--ks-num-edits": 4, "--ks-tokens": 1600, "--ks-resamples": 40},
        **{f"--ks-{name}": folder / name for name in ("results", "baselines")},
    }
    options = (*options, *(("--ks-family", *family) if family else ()))
    environment = {**os.environ, "KS_CORE_CACHE": str(folder / "cache"), "PIP_NO_INDEX": "1", "HF_HUB_OFFLINE": "1"}
    environment |= {"COLUMNS": "200"}  # so that tables have their rows in lines
    arguments = ["-c", "pyproject.toml", "-m", "paper", "bench/paper", "-v", "-rs", "-p", "no:cacheprovider"]
    arguments += [*(f"{name}={value}" for name, value in given.items()), *options]
    return run_module("pytest", *arguments, cwd=ROOT, env=environment)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run the claims on a tiny model beside a family of two; results and baselines in one folder, as `run.folder`."""
    folder = tmp_path_factory.mktemp("run")
    inputs = write_everything(folder, "gpt_neox", layers=3)
    family = inputs["model"], str(save_tiny_checkpoint(folder / "larger", "gpt_neox", layers=4))
    started = partial(run_paper, inputs, folder, family=family)
    started.folder = folder
    return started


@pytest.fixture(scope="module")
def first(run):
    """The first run, without a baseline."""
    return run()


@pytest.fixture(scope="module")
def baseline(run, first):
    """The baseline that the first run is followed by."""
    assert first.returncode == 0
    written = run("--ks-update-baseline")
    assert "written anew" in written.stdout, written.stdout
    return read_json(run.folder / "baselines" / "model.json", FORMAT)


def planted(run, tmp_path, baseline, *options):
    """A run against another baseline."""
    write_json(tmp_path / "model.json", FORMAT, baseline)
    return run(f"--ks-baselines={tmp_path}", *options)


def test_a_first_run_judges_each_claim_alone_and_writes_everything(run, first):
    assert first.returncode == 0, first.stdout + first.stderr
    assert "none for this model" in first.stdout
    assert "not compared with the published numbers: model is" in first.stdout, "skipped, and seen to be"
    assert "expected openai-community/gpt2 with CounterFact" in first.stdout
    assert "xfailed" in first.stdout, "a claim that a random model does not satisfy must not count as passed"
    assert "protection of " in first.stdout, "the table of methods"
    results = run.folder / "results" / "model"
    written = json.loads((results / "results.json").read_text())
    of_paper = {name for name, claim in CLAIMS.items() if claim.needs not in ("lifelong", "capacity", "long_dose")}
    judged = {name for name in of_paper if CLAIMS[name].gate == "baseline"} - {"heavy-tail"}
    assert {finding["claim"] for finding in written["findings"]} == judged, "eight facts have too few pairs for a tail"
    listed = [finding["id"].removeprefix(f"{finding['claim']}:") for finding in written["findings"] if finding["part"]]
    assert all(
        re.search(rf"^  (holds|does not hold|undecided) +{part} ", first.stdout, re.MULTILINE) for part in listed
    )
    assert re.search(rf"^\d+ of {len(of_paper)} claims hold on model, .*3 not judged$", first.stdout, re.MULTILINE)
    assert set(written["not_judged"]) == {"heavy-tail", "published-inner-products", "published-superposition"}
    assert {path.stem for path in results.glob("*.png")} >= {"kurtosis", "growth", "dose", "scaling"}
    assert set(written["editing"]) == {"stream", "dose"}
    assert [member["name"] for member in written["scaling"][0]["members"]] == ["model", "larger"]
    read = ks.load_results(results / "results.json")
    assert [finding.id for finding in read.findings] == [finding["id"] for finding in written["findings"]]


@pytest.mark.usefixtures("baseline")
def test_a_run_is_within_its_own_baseline(run):
    again = run()
    assert again.returncode == 0, again.stdout
    assert "xfailed" not in again.stdout
    reasons = " ".join(line for line in again.stdout.splitlines() if line.startswith("SKIPPED"))
    assert "not compared with the published numbers" in reasons, "what is for GPT2-small alone"
    assert "8 facts have 56 pairs" in reasons


@pytest.mark.usefixtures("first")
def test_results_that_could_not_be_written_end_a_run_before_the_work(run, tmp_path):
    (tmp_path / "model" / "results.json").mkdir(parents=True)
    blocked = run(f"--ks-results={tmp_path}")
    said = blocked.stdout + blocked.stderr
    assert blocked.returncode == 4, said
    (line,) = {line for line in said.splitlines() if "results.json is no" in line}
    says(line, what="results.json", got="no regular file", expected="results or nothing")
    assert "INTERNALERROR" not in said


def test_a_planted_verdict_and_a_planted_statistic_fail_the_run(run, baseline, tmp_path):
    """With anyone's editor in its stream too, which has a row beside the methods."""
    universal = baseline["findings"]["universal"]
    other = {"holds": "does not hold", "does not hold": "undecided", "undecided": "holds"}[universal["verdict"]]
    kurtosis = baseline["statistics"]["kurtosis of P, all facts"]
    moved = [kurtosis["value"][0], kurtosis["value"][1] + 1.0, *kurtosis["value"][2:]]
    changed = {
        "findings": baseline["findings"] | {"universal": universal | {"verdict": other}},
        "statistics": baseline["statistics"] | {"kurtosis of P, all facts": kurtosis | {"value": moved}},
    }
    failed = planted(run, tmp_path, baseline | changed, "--ks-editor=ks_core.conformance.reference:joint")
    assert failed.returncode == 1
    assert f"verdict was {other!r}" in failed.stdout
    assert "kurtosis of P, all facts, layer 1" in failed.stdout
    assert "ks_core.conformance.reference:joint  4 " in failed.stdout


def test_a_finding_of_the_baseline_that_is_not_made_any_more_fails_the_run(run, baseline, tmp_path):
    test = "bench/paper/test_claims.py::test_claim[zero-mean]"
    gone = {
        "findings": baseline["findings"] | {"zero-mean:gone": baseline["findings"]["universal"]},
        "tests": baseline["tests"] | {test: [*baseline["tests"][test], "zero-mean:gone"]},
    }
    failed = planted(run, tmp_path, baseline | gone)
    assert failed.returncode == 1
    assert "zero-mean:gone is in the baseline but was not found" in failed.stdout


def test_a_refused_run_prints_one_error_and_no_traceback(tmp_path):
    done = run_paper(write_everything(tmp_path, "gpt2"), tmp_path, "--ks-num-facts=47")
    said = done.stdout + done.stderr
    assert done.returncode == 4, said
    assert "Traceback" not in said
    assert said.count("ERROR:") == 1
    assert "expected at least 47" in said
