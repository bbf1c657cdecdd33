"""A baseline notices what changed, and only that."""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from errors import refused

from ks_core.claims.finding import Verdict
from ks_core.claims.registry import CLAIMS
from ks_core.errors import InputError
from ks_core.experiments.pairs.measure import measure
from ks_core.experiments.request.settings import Settings
from ks_core.reporting.baseline import (
    baseline_path,
    find_baseline,
    finding_problems,
    in_band,
    measurement_problems,
    missing_findings,
    request_of,
    save_baseline,
)
from ks_core.reporting.baseline_file import FORMAT, load_baseline

ROOT = Path(__file__).parent.parent


@pytest.fixture
def baseline(measurement, findings, tmp_path):
    return load_baseline(save_baseline(tmp_path, measurement, findings, by_test(findings), ()))


def by_test(findings):
    """Each claim by a test of its own, as the claims of the paper have them."""
    tests = {}
    for finding in findings:
        tests.setdefault(f"test_claim[{finding.claim}]", []).append(finding.id)
    return tests


def test_a_measurement_is_within_its_own_baseline(baseline, measurement, findings):
    assert measurement_problems(baseline, measurement) == []
    assert [finding_problems(baseline, finding) for finding in findings] == [[]] * len(findings)


def test_a_changed_verdict_is_caught(baseline, findings):
    other = {Verdict.HOLDS: Verdict.FAILS, Verdict.FAILS: Verdict.UNDECIDED, Verdict.UNDECIDED: Verdict.HOLDS}
    for finding in findings:
        judged = replace(finding.judged, verdict=other[finding.verdict])
        problems = finding_problems(baseline, replace(finding, judged=judged))
        assert len(problems) == 1
        assert "verdict was" in problems[0]


def test_a_value_that_leaves_its_band_is_caught(baseline, findings):
    for finding in findings:
        value = finding.value + 0.11 * finding.error + 2.1 * finding.grain + 1e-3 * abs(finding.value) + 1e-9
        moved = replace(finding, judged=replace(finding.judged, value=value))
        assert any("value was" in problem for problem in finding_problems(baseline, moved))


def test_of_a_value_that_is_rounding_only_the_verdict_is_held(baseline, findings):
    """On another machine it is another number, and a band could only be made to fit."""
    for finding in findings:
        rounding = replace(finding, is_rounding=True, judged=replace(finding.judged, value=finding.value + 70.0))
        assert finding_problems(baseline, rounding) == []
        assert finding_problems(baseline, replace(rounding, is_rounding=False)) != []


def test_changed_inputs_and_statistics_are_caught(baseline, measurement):
    other = replace(measurement, provenance={**measurement.provenance, "weights_sha256": "another"})
    assert any(problem.startswith("input weights_sha256") for problem in measurement_problems(baseline, other))
    kurtosis = measurement.statistics["P"]["kurtosis"]
    shifted = replace(kurtosis, value=kurtosis.value + np.array([0.0, 0.2 * kurtosis.error[1]]))
    statistics = {**measurement.statistics, "P": {**measurement.statistics["P"], "kurtosis": shifted}}
    problems = measurement_problems(baseline, replace(measurement, statistics=statistics))
    assert len(problems) == 1
    assert "kurtosis of P, all facts, layer 1: value was" in problems[0]


def test_a_changed_error_and_whatever_is_gone_are_caught(baseline, measurement):
    kurtosis = measurement.statistics["P"]["kurtosis"]
    widened = replace(kurtosis, text=kurtosis.text + 3 * kurtosis.facts_error)
    statistics = {**measurement.statistics, "P": {**measurement.statistics["P"], "kurtosis": widened}}
    problems = measurement_problems(baseline, replace(measurement, statistics=statistics))
    assert any("kurtosis of P, all facts, layer 1: error was" in problem for problem in problems)
    without = {name: of for name, of in measurement.statistics.items() if name != "Q"}
    problems = measurement_problems(baseline, replace(measurement, statistics=without))
    assert any("of Q, all facts is in only one" in problem for problem in problems)


def test_missing_is_what_is_in_the_baseline_and_collected_and_not_recorded(baseline, findings):
    claims, tests = [finding.id for finding in findings], by_test(findings)
    assert missing_findings(baseline, claims, tests) == []
    assert missing_findings(baseline, [], []) == [], "no test was collected"
    assert missing_findings(baseline, [], ["test_of_ones_own"]) == [], "it was in no baseline"
    missing = missing_findings(baseline, claims[1:], tests)
    assert missing == [f"{claims[0]} is in the baseline but was not found by test_claim[{claims[0]}] in this run"]
    assert missing_findings(baseline, claims[1:], tests.keys() - {f"test_claim[{claims[0]}]"}) == []


def test_a_baseline_of_another_request_is_not_overwritten(baseline, measurement, findings):
    before = baseline.path.read_bytes()
    other = replace(measurement, settings=replace(measurement.settings, num_facts=6))
    with pytest.raises(InputError, match="another request"):
        save_baseline(baseline.path.parent, other, findings, {}, by_test(findings))
    assert baseline.path.read_bytes() == before


def test_a_baseline_of_other_weights_is_not_overwritten(baseline, measurement, findings):
    """Two folders of one last name have one file: `a/hf` is not lost to `b/hf`."""
    before = baseline.path.read_bytes()
    other = replace(measurement, provenance={**measurement.provenance, "weights_sha256": "another"})
    with refused(InputError, got="other weights", remedy="remove the file"):
        save_baseline(baseline.path.parent, other, findings, {}, by_test(findings))
    assert baseline.path.read_bytes() == before


def test_a_baseline_with_findings_of_other_tests_is_not_overwritten(baseline, measurement, findings):
    before, some = baseline.path.read_bytes(), by_test(findings[1:])
    with refused(InputError, got=f"test_claim[{findings[0].claim}]", remedy="not overwritten"):
        save_baseline(baseline.path.parent, measurement, findings[1:], some, some)
    assert baseline.path.read_bytes() == before
    save_baseline(baseline.path.parent, measurement, findings, by_test(findings), by_test(findings))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("smollm2-135m-instruct", "smollm2-135m-instruct.json"),
        ("HuggingFaceTB/SmolLM2_135M  Instruct", "smollm2-135m-instruct.json"),
        ("a/模型", "模型.json"),
        ("a/\n$", "model.json"),
        ("a/.hidden", "hidden.json"),
        ("a/" + "é" * 240, "é" * 100 + ".json"),
        ("..", "model.json"),
    ],
)
def test_a_baseline_is_named_after_its_model_whatever_that_is_called(model, name):
    assert baseline_path(Path("folder"), model) == Path("folder") / name


def test_batch_size_moves_no_value(baseline, settings, tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path))
    other = measure(replace(settings, batch_tokens=40))
    assert measurement_problems(baseline, other) == []
    assert any(of_layer.exists() for of_layer in tmp_path.rglob("*.safetensors")), "nothing was measured anew"


def test_the_packaged_request_has_a_baseline():
    found, reason = find_baseline(ROOT / "fixtures" / "baselines", request_of(Settings()))
    assert found is not None, reason


def test_the_packaged_baseline_holds_every_claim_that_has_a_test():
    """A test that is renamed or added without its baseline is held against nothing, and nothing else would say so."""
    found, _ = find_baseline(ROOT / "fixtures" / "baselines", request_of(Settings()))
    gated = {name for name, claim in CLAIMS.items() if claim.gate == "baseline"}
    assert set(found.tests) == {f"bench/paper/test_claims.py::test_claim[{name}]" for name in gated}
    assert sorted(claim for claims in found.tests.values() for claim in claims) == sorted(found.findings)


@pytest.mark.parametrize("name", ["tokens", "num_facts", "dtype", "seed"])
def test_a_baseline_for_another_request_is_not_used(baseline, settings, name):
    assert find_baseline(baseline.path.parent, request_of(settings))[0] is not None
    other = replace(settings, **{name: "bfloat16" if name == "dtype" else 7})
    found, reason = find_baseline(baseline.path.parent, request_of(other))
    assert found is None
    assert name in reason


def test_device_and_batch_size_do_not_make_another_request(settings):
    assert request_of(replace(settings, device="cuda", batch_tokens=1)) == request_of(settings)


DAMAGED = json.dumps({"format": FORMAT, "request": [], "provenance": {}, "findings": {}, "statistics": {}, "tests": {}})


@pytest.mark.parametrize("content", ["", "{", '{"format": "other"}', '{"format": "ks_core/baseline/2"}', "[]", DAMAGED])
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


NOT_NUMBERS = [math.inf, math.nan, "0.1", True, [1.0]]
FAULTS = [
    *[("findings", claim) for claim in (5, [], "text", None)],
    *[("value", number) for number in NOT_NUMBERS],
    *[("error", number) for number in (*NOT_NUMBERS, -0.1)],
    *[("verdict", verdict) for verdict in (5, None, "perhaps", ["holds"])],
    *[("statistics", estimates) for estimates in (5, [], {}, {"value": [1.0], "error": []}, {"value": 1, "error": 2})],
    *[("statistics", {"value": [1.0], "error": [number]}) for number in (math.inf, "0.1", -1.0)],
    *[(part, 5) for part in ("all findings", "all statistics", "request", "provenance")],
]


@pytest.mark.parametrize("sealed", [True, False], ids=["with its checksum", "by hand"])
@pytest.mark.parametrize(("place", "fault"), FAULTS, ids=str)
def test_a_baseline_with_anything_else_in_a_numbers_place_is_refused(tmp_path, place, fault, sealed):
    finding = {"value": 0.25, "error": 0.01, "verdict": "holds"}
    content = {
        "request": {},
        "provenance": {},
        "findings": {"kurtosis": fault if place == "findings" else {**finding, place: fault}},
        "statistics": {"kurtosis of P": fault if place == "statistics" else {"value": [1.0], "error": [0.1]}},
    }
    if place.removeprefix("all ") in content and place not in ("findings", "statistics"):
        content[place.removeprefix("all ")] = fault
    sha256 = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest() if sealed else "0" * 64
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"format": FORMAT, "sha256": sha256, **content}))
    with pytest.raises(InputError, match=r"model\.json.*--ks-update-baseline") as info:
        load_baseline(path)
    assert "\n" not in str(info.value)


def test_a_baseline_whose_number_was_changed_by_hand_is_refused(baseline):
    text = baseline.path.read_text()
    value = next(iter(baseline.findings.values()))["value"]
    assert str(value) in text
    baseline.path.write_text(text.replace(str(value), str(value + 1), 1))
    with pytest.raises(InputError, match=r"does not have its sha256.*--ks-update-baseline"):
        load_baseline(baseline.path)
