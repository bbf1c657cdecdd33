"""`pytest -m paper` as a user starts it, on tiny real models: from the first run to a regression."""

import json
import os
from functools import partial
from pathlib import Path

from measured import write_everything
from tiny_models import save_tiny_checkpoint
from warm import run_module

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
    arguments = ["-c", "pyproject.toml", "-m", "paper", "bench/paper", "-q", "-rs", "-p", "no:cacheprovider"]
    arguments += [*(f"{name}={value}" for name, value in given.items()), *options]
    return run_module("pytest", *arguments, cwd=ROOT, env=environment)


def test_paper_run_from_first_run_to_regression(tmp_path):
    """Without a baseline, writing one, passing against it, and failing on a planted fault."""
    inputs = write_everything(tmp_path, "gpt_neox", layers=3)
    family = inputs["model"], str(save_tiny_checkpoint(tmp_path / "larger", "gpt_neox", layers=4))
    run = partial(run_paper, inputs, tmp_path, family=family)
    first = run()
    assert first.returncode == 0, first.stdout + first.stderr
    assert "none for this model" in first.stdout
    assert "not compared with the published numbers: model is" in first.stdout, "skipped, and seen to be"
    assert "expected openai-community/gpt2 with CounterFact" in first.stdout
    assert "xfailed" in first.stdout, "a claim that a random model does not satisfy must not count as passed"
    results = tmp_path / "results" / "model"
    found = json.loads((results / "results.json").read_text())["findings"]
    judged = {name for name, claim in CLAIMS.items() if claim.gate == "baseline"} - {"heavy-tail"}
    assert {finding["claim"] for finding in found} == judged, "eight facts have too few pairs for the tail"
    assert all(finding["id"] in first.stdout for finding in found)
    assert {path.stem for path in results.glob("*.png")} >= {"kurtosis", "growth", "dose", "scaling"}
    assert "protection of " in first.stdout, "the table of methods"
    written = json.loads((results / "results.json").read_text())
    assert set(written["editing"]) == {"stream", "dose"}
    assert [member["name"] for member in written["scaling"][0]["members"]] == ["model", "larger"]

    written = run("--ks-update-baseline")
    assert "written anew" in written.stdout, written.stdout
    again = run()
    assert again.returncode == 0, again.stdout
    assert "xfailed" not in again.stdout
    skipped = [line for line in again.stdout.splitlines() if line.startswith("SKIPPED")]
    reasons = " ".join(skipped)
    assert "not compared with the published numbers" in reasons, "what is for GPT2-small alone"
    assert "8 facts have 56 pairs" in reasons

    (results / "results.json").unlink()
    (results / "results.json").mkdir()
    blocked = run()
    assert blocked.returncode == 4, "before the work"
    assert "results.json is no regular file; expected results or nothing there" in blocked.stdout + blocked.stderr
    assert "INTERNALERROR" not in blocked.stdout + blocked.stderr
    (results / "results.json").rmdir()

    path = tmp_path / "baselines" / "model.json"
    baseline = read_json(path, FORMAT)
    written_verdict = baseline["findings"]["universal"]
    other = {"holds": "does not hold", "does not hold": "undecided", "undecided": "holds"}[written_verdict["verdict"]]
    baseline["findings"]["universal"] = {**written_verdict, "verdict": other}
    baseline["statistics"]["kurtosis of P, all facts"]["value"][1] += 1.0
    write_json(path, FORMAT, baseline)
    failed = run()
    assert failed.returncode == 1
    assert f"verdict was {other!r}" in failed.stdout
    assert "kurtosis of P, all facts, layer 1" in failed.stdout

    baseline["findings"] |= {"universal": written_verdict, "zero-mean:gone": written_verdict}
    baseline["tests"]["bench/paper/test_claims.py::test_claim[zero-mean]"].append("zero-mean:gone")
    baseline["statistics"]["kurtosis of P, all facts"]["value"][1] -= 1.0
    write_json(path, FORMAT, baseline)
    failed = run()
    assert failed.returncode == 1
    assert "zero-mean:gone is in the baseline but was not found" in failed.stdout


def test_a_refused_run_prints_one_error_and_no_traceback(tmp_path):
    done = run_paper(write_everything(tmp_path, "gpt2"), tmp_path, "--ks-num-facts=47")
    said = done.stdout + done.stderr
    assert done.returncode == 4, said
    assert "Traceback" not in said
    assert said.count("ERROR:") == 1
    assert "expected at least 47" in said
