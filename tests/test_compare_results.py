"""Two results, or two baselines, compared: the rule is the baseline's, and what leaves its band is named."""

import json

import pytest
from errors import says
from older_results import as_older

import ks_core as ks
from ks_core.checked_files import read_json, write_json
from ks_core.cli import main
from ks_core.experiments.measured import Measured
from ks_core.reporting.baseline import BAND, finding_problems, save_baseline
from ks_core.reporting.baseline_file import FORMAT, load_baseline
from ks_core.reporting.results import write_results
from ks_core.reporting.runs.numbers import Mark


@pytest.fixture
def stored(measurement, findings, tmp_path):
    """A real results.json, its content, and a function that stores another and compares them."""
    path = tmp_path / "before.json"
    write_results(path, Measured(measurement), findings, {}, "none")
    content = json.loads(path.read_text())

    def compared(now):
        other = tmp_path / "now.json"
        other.write_text(json.dumps(now))
        return ks.compare(path, other)

    return content, compared


def judged(content):
    """A finding that is no rounding and whose error is known, in the content."""
    return next(of for of in content["findings"] if not of["is_rounding"] and of["error"] and not of["grain"])


def row(found, name):
    (one,) = (of for of in found.rows if of.name == name)
    return one


def test_results_are_within_their_own_bands(stored, findings, measurement):
    content, compared = stored
    found = compared(content)
    assert found.kind == "results"
    assert set(found.marks) == {"~"}
    assert found.complaints(0.0, strict=True) == []
    names = {of.name for of in found.rows}
    assert {of.id for of in findings} < names
    assert f"kurtosis of P, all facts, layer {measurement.layers[0]}" in names
    assert f"kurtosis of P, one fact per subject, layer {measurement.layers[-1]}" in names


def test_a_folder_of_results_is_taken_for_the_results_in_it(measurement, findings, tmp_path):
    for name in ("before", "now"):
        (tmp_path / name).mkdir()
        write_results(tmp_path / name / "results.json", Measured(measurement), findings, {}, "none")
    found = ks.compare(tmp_path / "before", tmp_path / "now")
    assert found.before.endswith("before/results.json")
    assert set(found.marks) == {Mark.SAME.value}


@pytest.mark.parametrize(("moved", "mark"), [(0.5 * BAND, Mark.SAME), (3 * BAND, Mark.MOVED), (-3 * BAND, Mark.MOVED)])
def test_a_planted_value_is_caught_where_it_leaves_its_band(stored, moved, mark):
    content, compared = stored
    finding = judged(content)
    finding["value"] += moved * finding["error"] + (0 if mark is Mark.SAME else 3e-4 * moved * abs(finding["value"]))
    assert row(compared(content), finding["id"]).mark is mark


def test_a_turned_verdict_and_another_n_are_named(stored):
    content, compared = stored
    finding = judged(content)
    before = finding["verdict"]
    finding["verdict"] = next(of.value for of in ks.Verdict if of.value != before)
    finding["count"] += 5
    found = compared(content)
    assert row(found, finding["id"]).note == f"{before} -> {finding['verdict']}"
    verdict, n = found.complaints(0.1)
    assert verdict == f"{finding['id']}: verdict was {before!r}, now {finding['verdict']!r}"
    assert n == f"{finding['id']}: n was {finding['count'] - 5}, now {finding['count']}"
    assert f"{before} -> {finding['verdict']}" in str(found)


def test_of_what_is_rounding_only_the_verdict_is_compared(stored):
    content, compared = stored
    finding = judged(content)
    finding["is_rounding"], finding["value"] = True, 1e3
    assert row(compared(content), finding["id"]).mark is Mark.SAME


def test_results_of_the_older_format_are_compared_with_those_of_the_newer(stored):
    content, compared = stored
    found = compared(as_older(content))
    assert set(found.marks) == {"~"}
    assert found.complaints(0.0, strict=True) == []


@pytest.mark.parametrize("field", ["value", "error"])
def test_a_planted_statistic_is_caught_in_its_layer(stored, measurement, field):
    content, compared = stored
    content["statistics"]["P"]["kurtosis"][field][1] *= 2.0
    found = compared(content)
    (moved,) = (of for of in found.rows if of.mark is not Mark.SAME)
    assert moved.name == f"kurtosis of P, all facts, layer {measurement.layers[1]}"
    assert moved.problems[0].startswith(f"{moved.name}: {field} was")


def test_an_undefined_number_agrees_with_an_undefined_one_only(stored):
    content, compared = stored
    finding = judged(content)
    finding["value"] = None
    found = compared(content)
    assert "was" in row(found, finding["id"]).problems[0]
    assert row(found, finding["id"]).change is None
    assert "?" in str(found)


def test_other_inputs_are_named_and_fail_nothing_by_themselves(stored):
    content, compared = stored
    content["provenance"]["corpus_sha256"] = "0" * 64
    content["settings"]["tokens"] = 7
    found = compared(content)
    assert [note.split()[1] for note in found.notes] == ["tokens", "corpus_sha256"]
    assert found.complaints(0.1) == []


def test_what_is_gone_is_listed_and_fails_where_that_is_asked(stored):
    content, compared = stored
    gone = content["findings"].pop()["id"]
    found = compared(content)
    assert found.only_before == (gone,)
    assert found.complaints(0.1) == []
    assert found.complaints(0.1, strict=True) == [f"{gone} is not in {found.now}"]


def test_baselines_are_compared_by_the_rule_that_gates_a_run(measurement, findings, tmp_path):
    paths = [
        save_baseline(tmp_path / name, measurement, findings, {"test": [of.id for of in findings]}, ())
        for name in ("first", "second")
    ]
    assert set(ks.compare(*paths).marks) == {"~"}
    content = read_json(paths[0], FORMAT)
    named = next(of for of in findings if not of.is_rounding and not of.grain and of.error > 0)
    content["findings"][named.id]["value"] += 2 * BAND * named.error + 1e-3 * abs(named.value)
    write_json(paths[0], FORMAT, content)
    assert ks.compare(*paths).complaints(0.0) == finding_problems(load_baseline(paths[0]), named)
    assert finding_problems(load_baseline(paths[0]), named)


def test_command_of_results_ends_with_the_status_of_the_gate(stored, tmp_path, capsys):
    content, compared = stored
    finding = judged(content)
    finding["value"] += 10 * finding["error"] + abs(finding["value"])
    compared(content)
    given = ["compare", str(tmp_path / "before.json"), str(tmp_path / "now.json")]
    assert main([*given, "--json", str(tmp_path / "out.json")]) == 0
    assert "findings: 1 of" in capsys.readouterr().out
    assert main([*given, "--fail", "5%"]) == 1
    says(capsys.readouterr().err, what=finding["id"], got="now", expected="within 0.1 errors")
    assert json.loads((tmp_path / "out.json").read_text())["kind"] == "results"
