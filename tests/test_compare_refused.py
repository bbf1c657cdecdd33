"""Files that cannot be compared: one clear error each, exit status 2, and nothing is written."""

import copy
import json
import math

import pytest
from errors import refused
from stored_benchmarks import run_benchmarks, store

import ks_core as ks
from ks_core.cli import main
from ks_core.errors import InputError
from ks_core.experiments.measured import Measured
from ks_core.reporting.results import write_results


@pytest.fixture(scope="module")
def benchmarks(tmp_path_factory):
    return run_benchmarks(tmp_path_factory.mktemp("benchmarks"), "a.json", "-k", "100")


@pytest.fixture
def results(measurement, findings, tmp_path):
    write_results(tmp_path / "results.json", Measured(measurement), findings, {}, "none")
    return tmp_path / "results.json"


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"", "truncated or no JSON"),
        (b'{"machine_info": {}, "benchmarks": [{"full', "truncated or no JSON"),
        (b'{"machine_info": {}, "benchmarks": [NaN]}', "NaN is no JSON number"),
        (b'{"benchmarks": [], "benchmarks": []}', "comes twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff\xfe{\x00}\x00", "no text in UTF-8"),
        (b"[1, 2]", "[1, 2]"),
        (b'"text"', "'text'"),
        (b"null", "None"),
        (b"{}", "the fields []"),
        (b'{"benchmarks": []}', "the fields ['benchmarks']"),
        (b'{"format": "ks_core/diff/1"}', "the format 'ks_core/diff/1'"),
        (b'{"format": "ks_core/results/1"}', "the format 'ks_core/results/1'"),
        (b'{"format": "ks_core/results/5"}', "the format 'ks_core/results/5'"),
        (b'{"format": ["ks_core/results/3"]}', "the format ['ks_core/results/3']"),
    ],
)
def test_a_file_that_is_no_run_is_refused(benchmarks, tmp_path, content, got):
    wrong = tmp_path / "wrong.json"
    wrong.write_bytes(content)
    for pair in ((wrong, benchmarks), (benchmarks, wrong)):
        with refused(InputError, what="wrong.json", got=got, expected="a file that pytest-benchmark saved"):
            ks.compare(*pair)


@pytest.mark.parametrize("made", [lambda _: None, lambda path: path.mkdir(), lambda path: path.symlink_to(path)])
def test_what_cannot_be_read_is_refused(benchmarks, tmp_path, made):
    made(tmp_path / "wrong.json")
    with refused(InputError, what="wrong.json", got="cannot be read", expected="a file"):
        ks.compare(benchmarks, tmp_path / "wrong.json")


@pytest.mark.parametrize("given", [None, 3, "", "a\0b"])
def test_what_is_no_path_is_refused(benchmarks, given):
    with refused(InputError, what="now", expected="a non-empty text"):
        ks.compare(benchmarks, given)


def test_one_file_twice_is_refused_by_any_name(benchmarks, tmp_path):
    (tmp_path / "link.json").symlink_to(benchmarks)
    (tmp_path / "hard.json").hardlink_to(benchmarks)
    for other in (benchmarks, tmp_path / "link.json", tmp_path / "hard.json"):
        with refused(InputError, got="one file", expected="two runs"):
            ks.compare(benchmarks, other)


def test_two_kinds_are_refused(benchmarks, results):
    with refused(InputError, got=("benchmarks", "results"), expected="two files of one kind"):
        ks.compare(benchmarks, results)


def test_runs_with_nothing_in_common_are_refused(benchmarks, tmp_path):
    content = json.loads(benchmarks.read_text())
    other = json.loads(benchmarks.read_text().replace("test_sorting.py::", "other.py::"))
    for made in (other, {**content, "benchmarks": []}):
        with refused(InputError, got="none in common", expected="two runs of the same"):
            ks.compare(benchmarks, store(tmp_path / "now.json", made))


def of_benchmark(content):
    return content["benchmarks"][0]


BENCHMARK_FAULTS = {
    "benchmarks": [lambda c: c.update(benchmarks={}), lambda c: c.update(benchmarks=None)],
    "machine_info": [lambda c: c.update(machine_info=[]), lambda c: c.update(machine_info="x")],
    "benchmark 0": [lambda c, of=of: c["benchmarks"].insert(0, of) for of in (None, 3, [])],
    "fullname": [lambda c, of=of: of_benchmark(c).update(fullname=of) for of in (None, 3, [])],
    "has no fullname": [lambda c: of_benchmark(c).pop("fullname")],
    "comes twice": [lambda c: c["benchmarks"].append(of_benchmark(c))],
    "stats": [lambda c, of=of: of_benchmark(c).update(stats=of) for of in (None, 3, [])],
    "has no stats": [lambda c: of_benchmark(c).pop("stats")],
    "extra_info": [lambda c, of=of: of_benchmark(c).update(extra_info=of) for of in (None, 3, [])],
    "has no mean": [lambda c: of_benchmark(c)["stats"].pop("mean")],
    "mean": [lambda c, of=of: of_benchmark(c)["stats"].update(mean=of) for of in ("1", True, -1.0, 10**400)],
    "took": [
        lambda c, of=of: of_benchmark(c)["stats"].update(of) for of in ({"mean": 0}, {"mean": None}, {"rounds": 0})
    ],
    "stddev": [lambda c, of=of: of_benchmark(c)["stats"].update(stddev=of) for of in ("1", [], -1.0)],
    "rounds": [lambda c, of=of: of_benchmark(c)["stats"].update(rounds=of) for of in ("1", None, 1.5)],
    "ratio_to_limit_error": [
        lambda c, of=of: of_benchmark(c)["extra_info"].update(ratio_to_limit_error=of) for of in ("1", [], -1.0)
    ],
    "ratio_to_limit": [lambda c: of_benchmark(c)["extra_info"].update(ratio_to_limit=10**400)],
    "NaN": [lambda c: of_benchmark(c)["extra_info"].update(edits=math.nan)],
    "Infinity": [lambda c: of_benchmark(c)["stats"].update(mean=math.inf)],
}

RESULT_FAULTS = {
    "has no findings": [lambda c: c.pop("findings")],
    "has no one_fact_per_subject": [lambda c: c.pop("one_fact_per_subject")],
    "has no pairs": [lambda c: c.pop("pairs")],
    "finding 0": [lambda c, of=of: c["findings"].insert(0, of) for of in (None, 3, [])],
    "comes twice": [lambda c: c["findings"].append(c["findings"][0])],
    "verdict": [lambda c, of=of: c["findings"][0].update(verdict=of) for of in (None, 3, "maybe")],
    "value": [lambda c, of=of: c["findings"][0].update(value=of) for of in ("1", True, [])],
    "error": [lambda c, of=of: c["findings"][0].update(error=of) for of in ("1", True, -1.0)],
    "count": [lambda c, of=of: c["findings"][0].update(count=of) for of in ("1", None, 1.5)],
    "statistics: P": [lambda c, of=of: c["statistics"].update(P=of) for of in (None, 3, [])],
    "kurtosis": [lambda c, of=of: c["statistics"]["P"].update(kurtosis=of) for of in (None, 3, [])],
    "values": [lambda c: c["statistics"]["P"]["kurtosis"]["value"].pop(), lambda c: c["layers"].append(9)],
    "NaN": [lambda c: c["statistics"]["P"]["kurtosis"]["value"].insert(0, math.nan)],
}


def faults(those):
    return [
        pytest.param(what, each, id=f"{what} {place}") for what, of in those.items() for place, each in enumerate(of)
    ]


def plant(path, tmp_path, fault):
    content = copy.deepcopy(json.loads(path.read_text()))
    fault(content)
    return store(tmp_path / "wrong.json", content)


@pytest.mark.parametrize(("what", "fault"), faults(BENCHMARK_FAULTS))
def test_planted_faults_of_benchmarks_are_named(benchmarks, tmp_path, what, fault):
    with refused(InputError, what=("wrong.json", what), expected=""):
        ks.compare(benchmarks, plant(benchmarks, tmp_path, fault))


@pytest.mark.parametrize(("what", "fault"), faults(RESULT_FAULTS))
def test_planted_faults_of_results_are_named(results, tmp_path, what, fault):
    with refused(InputError, what=("wrong.json", what), expected=""):
        ks.compare(results, plant(results, tmp_path, fault))


@pytest.mark.parametrize("value", ["-1%", "nan", "inf", "ten", "%", ""])
def test_what_is_no_percentage_is_refused(value, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["compare", "a.json", "b.json", f"--fail={value}"])
    assert "expected a percentage" in capsys.readouterr().err


@pytest.mark.parametrize("fail", [-0.1, math.nan, "10%", None])
def test_a_part_that_is_none_is_refused(benchmarks, tmp_path, fail):
    found = ks.compare(benchmarks, store(tmp_path / "now.json", json.loads(benchmarks.read_text())))
    with refused(InputError, what="fail", expected=""):
        found.complaints(fail)


def test_the_command_says_one_line_and_writes_nothing(benchmarks, tmp_path, capsys):
    out = tmp_path / "out.json"
    for given in (["absent.json"], [str(benchmarks)], [str(tmp_path / "now.json"), "--strict"]):
        store(tmp_path / "now.json", json.loads(benchmarks.read_text()))
        assert main(["compare", str(benchmarks), *given, "--json", str(out)]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert said.err.startswith("ks compare: error: ")
    assert not out.exists()


def test_what_is_read_is_not_written_over(benchmarks, tmp_path, capsys):
    now = store(tmp_path / "now.json", json.loads(benchmarks.read_text()))
    before = now.read_bytes()
    assert main(["compare", str(benchmarks), str(now), "--json", str(now)]) == 2
    assert "read as B.json" in capsys.readouterr().err
    assert now.read_bytes() == before
