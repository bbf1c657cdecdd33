"""The whole measurement on a tiny real model: claims, report, figures, baseline, all as `pytest -m paper` runs them."""

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from measured import write_everything

from ks_core.errors import InputError, KsError
from ks_core.reproduction.baseline import (
    find_baseline,
    finding_problems,
    in_band,
    load_baseline,
    measurement_problems,
    missing_findings,
    request_of,
    save_baseline,
)
from ks_core.reproduction.claims import Verdict
from ks_core.reproduction.figures import write_figures
from ks_core.reproduction.measure import measure
from ks_core.reproduction.report import plus_minus, table, write_results
from ks_core.reproduction.session import CLAIMS
from ks_core.reproduction.settings import Settings

ROOT = Path(__file__).parent.parent
TOKENS = 1600


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reproduction")


@pytest.fixture(scope="module")
def settings(folder):
    inputs = write_everything(folder, "llama")
    return Settings(**inputs, num_facts=8, tokens=TOKENS, resamples=40, batch_tokens=256)


@pytest.fixture(scope="module")
def measurement(settings, folder):
    kept = os.environ.get("KS_CORE_CACHE")
    os.environ["KS_CORE_CACHE"] = str(folder / "cache")
    try:
        return measure(settings)
    finally:
        os.environ.pop("KS_CORE_CACHE") if kept is None else os.environ.update(KS_CORE_CACHE=kept)


@pytest.fixture(scope="module")
def findings(measurement):
    import test_enough_facts
    import test_heavy_tail
    import test_kurtosis
    import test_semantic_pairs
    import test_universal
    import test_whitened_angles
    import test_zero_mean

    judges = [test_universal, test_kurtosis, test_zero_mean, test_heavy_tail, test_whitened_angles, test_semantic_pairs,
              test_enough_facts]  # fmt: skip
    return [finding for module in judges for finding in module.judge(measurement)]


def test_every_number_has_an_error_from_both_sources(measurement):
    for statistics in (measurement.statistics, measurement.distinct):
        for matrix, by_name in statistics.items():
            for name, estimates in by_name.items():
                assert estimates.value.shape == estimates.error.shape == (len(measurement.layers),), (matrix, name)
                assert len(estimates.facts) == measurement.settings.resamples
                assert len(estimates.text) == (2 if matrix in ("P", "whitened_cosine") else 0)


def test_statistics_of_the_halves_come_from_the_halves(measurement):
    for half in (0, 1):
        for layer, pairs in enumerate(measurement.pairs):
            entries = pairs.halves[half]["P"][~np.eye(8, dtype=bool)]
            assert measurement.statistics["P"]["mean"].text[half, layer] == pytest.approx(entries.mean(), rel=1e-12)


def test_statistics_of_each_layer_are_its_own(measurement):
    for layer, pairs in enumerate(measurement.pairs):
        entries = pairs.matrices["Q"][~np.eye(8, dtype=bool)]
        assert measurement.statistics["Q"]["mean"].value[layer] == pytest.approx(entries.mean(), rel=1e-12)


def test_the_measured_facts_are_the_first_known(measurement):
    pool = [fact.case_id for fact in measurement.selection.pool]
    assert [fact.case_id for fact in measurement.selection.measured] == pool[:8]
    assert len(pool) < 48, "a tiny random model that knows everything tests nothing"
    np.testing.assert_allclose(measurement.pairs[0].pool[:8, :8], measurement.pairs[0].matrices["P"], rtol=1e-9)


def test_every_finding_has_error_count_and_verdict(findings):
    assert len({finding.claim.split(":")[0] for finding in findings}) == 7
    for finding in findings:
        assert math.isfinite(finding.error) or finding.verdict is Verdict.UNDECIDED
        assert finding.count > 0
        assert finding.threshold


def test_results_file_is_plain_json_with_everything_in_it(measurement, findings, tmp_path):
    write_results(tmp_path / "r.json", measurement, findings, "none")
    content = json.loads((tmp_path / "r.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert [found["claim"] for found in content["findings"]] == [found.claim for found in findings]
    assert set(content["statistics"]) == {"P", "Q", "whitened_cosine", "activation_cosine"}
    assert len(content["statistics"]["P"]["kurtosis"]["error"]) == len(measurement.layers)
    assert content["facts"]["measured_case_ids"] == [fact.case_id for fact in measurement.selection.measured]
    assert content["provenance"]["weights_sha256"] == measurement.provenance["weights_sha256"]


def test_table_has_a_row_for_each_finding(findings):
    rows, legend = table(findings, "tiny").split("\n\n")
    for line, explained, finding in zip(rows.splitlines()[2:], legend.splitlines(), findings, strict=True):
        assert line.startswith(finding.claim)
        assert line.endswith(finding.verdict.value)
        assert finding.quantity in explained


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(12.3456, 0.234, "12.35 ± 0.23"), (1234.5, 56, "1234 ± 56"), (0.5, 0, "0.5 ± 0"), (2, math.nan, "2 ± ?")],
)
def test_numbers_are_cut_at_their_error(value, error, text):
    assert plus_minus(value, error) == text


def test_figures_are_png_files(measurement, tmp_path):
    paths = write_figures(tmp_path, measurement)
    assert len(paths) == 5
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


@pytest.fixture
def baseline(measurement, findings, tmp_path):
    return load_baseline(save_baseline(tmp_path, measurement, findings))


def test_a_measurement_is_within_its_own_baseline(baseline, measurement, findings):
    assert measurement_problems(baseline, measurement) == []
    assert [finding_problems(baseline, finding) for finding in findings] == [[]] * len(findings)


def test_a_changed_verdict_is_caught(baseline, findings):
    other = {Verdict.HOLDS: Verdict.FAILS, Verdict.FAILS: Verdict.UNDECIDED, Verdict.UNDECIDED: Verdict.HOLDS}
    for finding in findings:
        problems = finding_problems(baseline, replace(finding, verdict=other[finding.verdict]))
        assert len(problems) == 1
        assert "verdict was" in problems[0]


def test_a_value_that_leaves_its_band_is_caught(baseline, findings):
    for finding in findings:
        moved = replace(
            finding, value=finding.value + 0.11 * finding.error + 2.1 * finding.grain + 1e-3 * abs(finding.value) + 1e-9
        )
        assert any("value was" in problem for problem in finding_problems(baseline, moved))


def test_changed_inputs_and_statistics_are_caught(baseline, measurement):
    other = replace(measurement, provenance={**measurement.provenance, "weights_sha256": "another"})
    assert any(problem.startswith("weights_sha256") for problem in measurement_problems(baseline, other))
    kurtosis = measurement.statistics["P"]["kurtosis"]
    shifted = replace(kurtosis, value=kurtosis.value + np.array([0.0, 0.2 * kurtosis.error[1]]))
    statistics = {**measurement.statistics, "P": {**measurement.statistics["P"], "kurtosis": shifted}}
    problems = measurement_problems(baseline, replace(measurement, statistics=statistics))
    assert len(problems) == 1
    assert "kurtosis of P, all facts, layer 1: value was" in problems[0]


def test_a_changed_error_and_whatever_is_gone_are_caught(baseline, measurement, findings):
    kurtosis = measurement.statistics["P"]["kurtosis"]
    widened = replace(kurtosis, text=kurtosis.text + 3 * kurtosis.facts_error)
    statistics = {**measurement.statistics, "P": {**measurement.statistics["P"], "kurtosis": widened}}
    problems = measurement_problems(baseline, replace(measurement, statistics=statistics))
    assert any("kurtosis of P, all facts, layer 1: error was" in problem for problem in problems)
    without = {name: of for name, of in measurement.statistics.items() if name != "Q"}
    problems = measurement_problems(baseline, replace(measurement, statistics=without))
    assert any("of Q, all facts is in only one" in problem for problem in problems)
    assert missing_findings(baseline, findings) == []
    assert findings[0].claim in missing_findings(baseline, findings[1:])[0]


def test_a_baseline_of_another_request_is_not_overwritten(baseline, measurement, findings):
    before = baseline.path.read_bytes()
    other = replace(measurement, settings=replace(measurement.settings, num_facts=6))
    with pytest.raises(InputError, match="another request"):
        save_baseline(baseline.path.parent, other, findings)
    assert baseline.path.read_bytes() == before


def test_batch_size_moves_no_value(baseline, settings, tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path))
    other = measure(replace(settings, batch_tokens=40))
    assert measurement_problems(baseline, other) == []
    assert any(of_layer.exists() for of_layer in tmp_path.rglob("*.safetensors")), "nothing was measured anew"


def test_the_packaged_request_has_a_baseline():
    found, reason = find_baseline(ROOT / "fixtures" / "baselines", request_of(Settings()))
    assert found is not None, reason


def test_all_claims_have_a_file():
    claims = sorted((ROOT / "bench" / "paper").glob("test_*.py"))
    assert len([path for path in claims if path.stem != "test_baseline"]) == CLAIMS


@pytest.mark.parametrize("name", ["tokens", "num_facts", "dtype", "seed"])
def test_a_baseline_for_another_request_is_not_used(baseline, settings, name):
    assert find_baseline(baseline.path.parent, request_of(settings))[0] is not None
    other = replace(settings, **{name: "bfloat16" if name == "dtype" else 7})
    found, reason = find_baseline(baseline.path.parent, request_of(other))
    assert found is None
    assert name in reason


def test_device_and_batch_size_do_not_make_another_request(settings):
    assert request_of(replace(settings, device="cuda", batch_tokens=1)) == request_of(settings)


DAMAGED = json.dumps(
    {"format": "ks_core/baseline/1", "request": [], "provenance": {}, "findings": {}, "statistics": {}}
)


@pytest.mark.parametrize("content", ["", "{", '{"format": "other"}', '{"format": "ks_core/baseline/1"}', "[]", DAMAGED])
def test_a_damaged_baseline_is_refused(tmp_path, content):
    path = tmp_path / "model.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"model\.json"):
        load_baseline(path)


@pytest.mark.parametrize(
    ("value", "before", "error", "inside"),
    [(1.0, 1.0, 0.0, True), (1.0, 1.01, 0.2, True), (1.0, 1.03, 0.2, False), (math.nan, None, None, True),
     (1.0, None, None, False), (math.nan, 1.0, 1, False), (1.1, 1.0, None, False)],
)  # fmt: skip
def test_band_is_a_tenth_of_the_error(value, before, error, inside):
    assert in_band(value, before, error) is inside


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": "no/such/model/here"}, "is no folder and no hub id"),
        ({"corpus": "nowhere.txt"}, "does not exist"),
        ({"facts": "nowhere.json"}, "nowhere.json"),
        ({"num_facts": 47}, "expected at least 47"),
        ({"tokens": 20}, "d_key"),
        ({"tokens": 10**8}, "ask for fewer tokens"),
        ({"dtype": "float8"}, "dtype is 'float8'"),
        ({"device": "abacus"}, "abacus"),
        ({"layers": (0, 99)}, "layer 99 does not exist"),
        ({"num_facts": 2}, "num_facts is 2; expected at least 3 (--ks-num-facts)"),
        ({"resamples": 1}, "resamples is 1"),
        ({"seed": -1}, "seed is -1"),
        ({"batch_tokens": 0}, "batch_tokens is 0"),
        ({"ridge": math.nan}, "ridge is nan"),
    ],
)
def test_bad_input_is_one_clear_error_that_leaves_nothing_behind(settings, changed, message, tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path))
    with pytest.raises(KsError, match=re.escape(message)):
        measure(replace(settings, **changed))
    assert not list(tmp_path.rglob("*.safetensors"))


def run_paper(inputs, folder, *options):
    given = {
        **{f"--ks-{name}": path for name, path in inputs.items()},
        **{"--ks-num-facts": 8, "--ks-tokens": TOKENS, "--ks-resamples": 40},
        **{f"--ks-{name}": folder / name for name in ("results", "baselines")},
    }
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-m", "paper", "bench/paper", "-q"]
    environment = {**os.environ, "KS_CORE_CACHE": str(folder / "cache"), "PIP_NO_INDEX": "1", "HF_HUB_OFFLINE": "1"}
    command += ["-p", "no:cacheprovider", *(f"{name}={value}" for name, value in given.items()), *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)


def test_paper_run_from_first_run_to_regression(tmp_path):
    """Without a baseline, writing one, passing against it, and failing on a planted fault."""
    inputs = write_everything(tmp_path, "gpt_neox", layers=3)
    first = run_paper(inputs, tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "none for this model" in first.stdout
    assert "xfailed" in first.stdout, "a claim that a random model does not satisfy must not count as passed"
    results = tmp_path / "results" / "model"
    assert len(list(results.glob("*.png"))) == 5
    found = json.loads((results / "results.json").read_text())["findings"]
    assert len({finding["claim"].split(":")[0] for finding in found}) == 8
    assert all(finding["claim"] in first.stdout for finding in found)

    written = run_paper(inputs, tmp_path, "--ks-update-baseline")
    assert "written anew" in written.stdout, written.stdout
    again = run_paper(inputs, tmp_path)
    assert again.returncode == 0, again.stdout
    assert "xfailed" not in again.stdout
    assert "skipped" not in again.stdout

    path = tmp_path / "baselines" / "model.json"
    baseline = json.loads(path.read_text())
    written_verdict = baseline["findings"]["universal"]
    baseline["findings"]["universal"] = {**written_verdict, "verdict": "planted"}
    baseline["statistics"]["kurtosis of P, all facts"]["value"][1] += 1.0
    path.write_text(json.dumps(baseline))
    failed = run_paper(inputs, tmp_path)
    assert failed.returncode == 1
    assert "verdict was 'planted'" in failed.stdout
    assert "kurtosis of P, all facts, layer 1" in failed.stdout

    baseline["findings"] |= {"universal": written_verdict, "zero-mean:gone": written_verdict}
    baseline["statistics"]["kurtosis of P, all facts"]["value"][1] -= 1.0
    path.write_text(json.dumps(baseline))
    failed = run_paper(inputs, tmp_path)
    assert failed.returncode == 1
    assert "zero-mean:gone is in the baseline but was not found" in failed.stdout


def test_a_refused_run_prints_one_error_and_no_traceback(tmp_path):
    done = run_paper(write_everything(tmp_path, "gpt2"), tmp_path, "--ks-num-facts=47")
    said = done.stdout + done.stderr
    assert done.returncode == 4, said
    assert "Traceback" not in said
    assert [line for line in said.splitlines() if line.startswith("ERROR:")] != []
    assert "expected at least 47" in said


def test_claims_refuse_to_run_in_several_processes():
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-m", "paper", "bench/paper", "-n", "2"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 4
    assert "without -n" in done.stderr + done.stdout
