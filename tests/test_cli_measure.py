"""`ks measure` as a user starts it, on tiny real models: what `pytest -m paper` finds, without pytest."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest
from errors import says
from measured import write_everything
from warm import run_module

import ks_core as ks
from ks_core.checked_files import read_json, write_json
from ks_core.claims.registry import CLAIMS
from ks_core.cli.measure import ALL_PARTS, PARTS
from ks_core.experiments.measured import Part
from ks_core.reporting.all_claims import id_of_test
from ks_core.reporting.baseline_file import FORMAT

ROOT = Path(__file__).parent.parent
SMALL = ("--num-edits", 4, "--tokens", 1600, "--resamples", 40)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measure")
    return folder, write_everything(folder, "gpt_neox", layers=3)


def environment(folder):
    return {**os.environ, "KS_CORE_CACHE": str(folder / "cache"), "PIP_NO_INDEX": "1", "HF_HUB_OFFLINE": "1"}


def arguments(prepared, *options, results="results"):
    folder, paths = prepared
    read = ["--facts", paths["facts"], "--corpus", paths["corpus"]]
    return ["measure", paths["model"], *read, *SMALL, "--results", folder / results, *options]


def measure(prepared, *options, results="results"):
    words = arguments(prepared, *options, results=results)
    return run_module("ks_core.cli", *words, cwd=prepared[0], env=environment(prepared[0]))


@pytest.fixture(scope="module")
def first(prepared):
    """A run without a baseline, of all parts but those of many minutes."""
    return measure(prepared, "--num-facts", 8, "--json", prepared[0] / "copy.json")


def test_the_names_of_parts_are_those_of_a_measurement():
    assert set(ALL_PARTS) == set(get_args(Part))
    assert {CLAIMS[name].needs for name in CLAIMS} <= set(ALL_PARTS)
    assert set(PARTS) < set(ALL_PARTS)


def test_each_claim_of_the_parts_is_judged_and_results_are_written(prepared, first):
    assert first.returncode == 0, first.stdout + first.stderr
    results = prepared[0] / "results" / "model"
    written = json.loads((results / "results.json").read_text())
    of_parts = {name for name, claim in CLAIMS.items() if claim.needs in PARTS}
    judged = {finding["claim"] for finding in written["findings"]} | set(written["not_judged"])
    assert judged == of_parts
    assert all(claim in first.stdout for claim in ("universal", "lossless", "bound-pairs"))
    assert (prepared[0] / "copy.json").read_bytes() == (results / "results.json").read_bytes()
    assert list(results.glob("*.png"))


def test_progress_is_on_standard_error_a_line_each_and_quiet_has_none(prepared, first):
    assert "second moments: 1,600 tokens" in first.stderr
    assert "second moments: 1,600 tokens" not in first.stdout
    quiet = measure(prepared, "--num-facts", 8, "--parts", "pairs", "--quiet", results="quiet")
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert "universal" in quiet.stdout


@pytest.mark.usefixtures("first")
def test_the_numbers_are_those_of_ks_measure_in_python(prepared, monkeypatch):
    folder, paths = prepared
    monkeypatch.setenv("KS_CORE_CACHE", str(folder / "cache"))
    settings = ks.Settings(**paths, num_facts=8, num_edits=4, tokens=1600, resamples=40)
    found = ks.judge(ks.measure(settings=settings, parts=("stream", "dose")))
    stored = {of["id"]: of for of in json.loads((folder / "copy.json").read_text())["findings"]}
    assert {finding.id for finding in found.findings} == set(stored)
    for finding in found.findings:
        assert finding.verdict.value == stored[finding.id]["verdict"]


@pytest.mark.usefixtures("first")
def test_a_number_that_differs_from_the_baseline_ends_with_1(prepared, tmp_path):
    """The baseline is one that pytest wrote, so that both hold the same tests."""
    folder, paths = prepared
    given = {**{f"--ks-{name}": path for name, path in paths.items()}, "--ks-baselines": tmp_path}
    given |= {"--ks-num-facts": 8, "--ks-num-edits": 4, "--ks-tokens": 1600, "--ks-resamples": 40}
    given["--ks-results"] = folder / "of-pytest"
    words = ["-c", "pyproject.toml", "-m", "paper", "bench/paper", "-q", "-p", "no:cacheprovider"]
    words += [*(f"{name}={value}" for name, value in given.items()), "--ks-update-baseline"]
    written = run_module("pytest", *words, cwd=ROOT, env=environment(folder))
    assert "written anew" in written.stdout, written.stdout
    same = measure(prepared, "--num-facts", 8, "--baselines", tmp_path, results="same")
    assert same.returncode == 0, same.stdout + same.stderr
    content = read_json(tmp_path / "model.json", FORMAT)
    assert id_of_test("universal") in content["tests"]
    content["findings"]["universal"]["value"] += 5
    write_json(tmp_path / "model.json", FORMAT, content)
    changed = measure(prepared, "--num-facts", 8, "--baselines", tmp_path, "--quiet", results="changed")
    assert changed.returncode == 1
    (line,) = changed.stderr.splitlines()
    assert line.startswith("ks measure: FAILED: universal: value was")


@pytest.mark.usefixtures("first")
def test_where_fewer_facts_are_known_than_the_default_all_of_them_are_measured_and_that_is_said(prepared):
    found = measure(prepared, "--parts", "pairs", results="all-known")
    assert found.returncode == 0, found.stderr
    assert "fewer than the 128 that are measured by default: all of them are measured" in found.stderr
    stored = json.loads((prepared[0] / "all-known/model/results.json").read_text())
    measured = stored["settings"]["num_facts"]
    assert f"facts:    {measured} of {measured} usable" in found.stdout


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--facts", "nowhere.json"], {"got": "nowhere.json", "what": "ks measure: error: "}),
        (["--num-facts", "1000"], {"got": "knows", "expected": "at least 1000"}),
        (["--layers", "9"], {"what": "layer 9 does not exist"}),
        (["--editor", "nowhere"], {"what": "--editor is 'nowhere'"}),
        (["--results", "{facts}/results"], {"what": "--results: ", "got": "cannot be written"}),
        (["--dtype", "float8"], {"what": "dtype is 'float8'"}),
        (["--revision", "main"], {"what": "revision 'main' means nothing"}),
        (["--parts", "pairs,sums"], {"what": "argument --parts: 'sums'", "expected": "some of pairs"}),
        (["--tokens", "many"], {"what": "argument --tokens: 'many'", "expected": "an integer"}),
        (["--json", "{facts}"], {"what": "--json", "got": "is read as --facts"}),
    ],
)
def test_bad_input_is_one_line_and_status_2_and_nothing_is_written(prepared, options, parts):
    words = [word.format(**prepared[1]) for word in options]
    refused = measure(prepared, "--quiet", *words, results="refused")
    assert (refused.returncode, refused.stdout) == (2, "")
    (line,) = refused.stderr.splitlines()
    says(line, **parts)
    assert not (prepared[0] / "refused").exists()


@pytest.mark.usefixtures("first")
def test_a_part_that_cannot_be_measured_is_said_and_the_others_are_written(prepared):
    found = measure(prepared, "--num-facts", 8, "--num-edits", 1000, "--quiet", results="too-many")
    assert found.returncode == 2
    (line,) = found.stderr.splitlines()
    says(line, what="ks measure: error: stream was not measured", expected="")
    assert json.loads((prepared[0] / "too-many/model/results.json").read_text())["findings"]


def test_an_interrupt_ends_with_130_and_a_second_run_goes_on_from_the_cache(prepared, tmp_path):
    own = (tmp_path, prepared[1])
    words = [*map(str, arguments(own, "--num-facts", "8"))]
    started = subprocess.Popen(
        [sys.executable, "-m", "ks_core.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(tmp_path) | {"PYTHONUNBUFFERED": "1"},
    )
    said = []
    for line in started.stderr:
        said.append(line)
        if "second moments: " in line:
            started.send_signal(signal.SIGINT)
            break
    out, rest = started.communicate()
    assert started.returncode == 130, "".join(said) + rest
    assert (out, rest.splitlines()[-1]) == (
        "",
        "interrupted; what was measured is cached, the same command goes on there",
    )
    moments = next((tmp_path / "cache" / "moments").rglob("*.safetensors"))
    before = moments.stat().st_mtime_ns
    time.sleep(0.01)
    assert measure(own, "--num-facts", 8).returncode == 0
    assert moments.stat().st_mtime_ns == before


def test_the_toy_needs_no_download_but_text_and_is_measured_on_what_is_packaged(tmp_path):
    """Of the packaged text, which is fetched, another takes the place."""
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))))
    words = ["measure", "toy", "--parts", "pairs", "--corpus", text, "--tokens", 4000, "--resamples", 40]
    words += ["--results", tmp_path / "results"]
    found = run_module("ks_core.cli", *words, cwd=tmp_path, env=environment(tmp_path))
    assert found.returncode == 0, found.stderr
    assert "facts:    128 of 383 usable, 664 in the file" in found.stdout
    assert json.loads((tmp_path / "results/toy/results.json").read_text())["settings"]["model"] == "toy"
