"""Two files of pytest-benchmark compared: what counts, what is not compared, and what a gate does not let pass."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from stored_benchmarks import changed, run_benchmarks, slower, store

import ks_core as ks
from ks_core.cli import main
from ks_core.reporting.runs.numbers import LEVEL, Mark, Number, differs
from ks_core.reporting.runs.table import table

SORT, ONCE = "test_sorting.py::test_sort[100]", "test_sorting.py::test_once"


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two real runs."""
    folder = tmp_path_factory.mktemp("benchmarks")
    return run_benchmarks(folder, "a.json"), run_benchmarks(folder, "b.json")


@pytest.fixture
def calm(stored, tmp_path):
    """A real run whose machine was calm, and a function that stores another beside it and compares them."""
    content = slower(json.loads(stored[0].read_text()), 1.0)
    before = store(tmp_path / "before.json", content)

    def compared(now):
        return ks.compare(before, store(tmp_path / "now.json", now))

    return content, compared


def row(found, quantity, name=SORT):
    (one,) = (of for of in found.rows if (of.name, of.quantity) == (name, quantity))
    return one


def test_two_real_runs_are_compared_number_by_number(stored):
    found = ks.compare(*stored)
    assert found.kind == "benchmarks"
    assert found.notes == found.only_before == found.only_now == ()
    quantities = [of.quantity for of in found.rows if of.name == SORT]
    assert quantities == ["seconds", "ratio_to_limit", "ratio_to_replaced", "speedup", "ratio_of_lengths"]
    assert all(of.mark is Mark.SAME for of in found.rows if of.quantity != "seconds")
    assert row(found, "seconds").before.count == 20


def test_a_run_is_the_same_as_its_copy(calm):
    content, compared = calm
    found = compared(content)
    assert set(found.marks) == {"~"}
    assert found.complaints(0.0, strict=True) == []


def test_a_planted_slower_time_is_worse_and_a_faster_one_better(calm):
    content, compared = calm
    found = row(compared(slower(content, 1.5)), "seconds")
    assert found.mark is Mark.WORSE
    assert found.worsened == pytest.approx(0.5)
    assert row(compared(slower(content, 0.5)), "seconds").mark is Mark.BETTER


def test_one_round_is_no_claim(calm):
    content, compared = calm
    found = compared(slower(content, 3.0, "test_once"))
    assert row(found, "seconds", ONCE).mark is Mark.UNKNOWN
    assert found.complaints(0.1) == []
    assert found.complaints(0.1, strict=True) == [
        f"{ONCE}: seconds is worse by 200.0%; at most 10.0% is allowed, by no known error"
    ]


@pytest.mark.parametrize(
    ("info", "quantity", "mark", "worsened"),
    [
        ({"ratio_to_limit": 3.0}, "ratio_to_limit", Mark.WORSE, 1.0),
        ({"ratio_to_limit": 1.6}, "ratio_to_limit", Mark.SAME, 1 / 15),
        ({"ratio_to_replaced": 0.01}, "ratio_to_replaced", Mark.BETTER, -0.9),
        ({"speedup": 3.0}, "speedup", Mark.WORSE, 2.0),
        ({"speedup": 90.0}, "speedup", Mark.BETTER, -0.9),
        ({"speedup": 3.0, "speedup_error": None}, "speedup", Mark.UNKNOWN, 2.0),
        ({"ratio_of_lengths": 3.0}, "ratio_of_lengths", Mark.MOVED, None),
    ],
)
def test_planted_ratios_are_marked_by_their_direction(calm, info, quantity, mark, worsened):
    content, compared = calm
    found = row(compared(changed(content, **info)), quantity)
    assert found.mark is mark
    assert found.worsened == (None if worsened is None else pytest.approx(worsened))


@pytest.mark.parametrize("word", ["limit", "replaced"])
def test_a_ratio_to_something_else_is_not_compared(calm, word):
    content, compared = calm
    found = row(compared(changed(content, **{word: "something else", f"ratio_to_{word}": 50.0})), f"ratio_to_{word}")
    assert (found.mark, found.note) == (Mark.APART, f"to another {word}")


def test_a_ratio_that_only_one_has_is_said(calm):
    content, compared = calm
    found = row(compared(changed(content, speedup=None, speedup_error=None)), "speedup")
    assert (found.mark, found.note, found.now) == (Mark.APART, "only in the first", None)


def test_other_numbers_are_shown_where_they_changed(calm):
    content, compared = calm
    assert row(compared(changed(content, edits=150)), "edits").change == 0.5
    found = compared(changed(content, words="others", limit_seconds=9.0))
    assert {of.quantity for of in found.rows}.isdisjoint({"edits", "words", "limit_seconds"})


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        (("cpu", "brand_raw"), "Other", "cpu "),
        (("cpu", "count"), 64, "cpus "),
        (("python_version",), "3.99.1", "now CPython 3.99"),
        (("cpu",), {}, "cpu "),
    ],
)
def test_times_of_other_machines_are_not_compared_and_ratios_are(calm, field, value, told):
    content, compared = calm
    now = changed(slower(content, 9.0), ratio_to_limit=3.0)
    part = now["machine_info"]
    for name in field[:-1]:
        part = part[name]
    part[field[-1]] = value
    found = compared(now)
    assert told in found.notes[0]
    assert {of.mark for of in found.rows if of.quantity == "seconds"} == {Mark.APART}
    assert found.complaints(0.1) == [f"{SORT}: ratio_to_limit is worse by 100.0%; at most 10.0% is allowed"]


def test_a_machine_that_neither_knows_is_not_taken_for_the_same(calm):
    content, compared = calm
    content["machine_info"]["cpu"] = {}
    now = slower(content, 9.0)
    assert "cpu Processor" not in compared(now).notes[0]
    assert row(compared(now), "seconds").mark is Mark.APART


def test_another_host_clock_or_patch_of_python_is_the_same_machine(calm):
    content, compared = calm
    now = slower(content, 2.0)
    now["machine_info"]["node"] = "elsewhere"
    now["machine_info"]["cpu"]["hz_actual"] = [1, 0]
    now["machine_info"]["python_version"] += "1"
    assert row(compared(now), "seconds").mark is Mark.WORSE


def test_times_with_other_threads_are_not_compared(calm):
    content, compared = calm
    found = row(compared(changed(content, threads=2)), "seconds")
    assert (found.mark, found.note) == (Mark.APART, "threads 1, now 2")


def test_what_only_one_has_is_listed(calm):
    content, compared = calm
    now = {**content, "benchmarks": [{**content["benchmarks"][0]}]}
    now["benchmarks"].append({**content["benchmarks"][1], "fullname": "test_sorting.py::test_new"})
    found = compared(now)
    assert len(found.only_before) == 2
    assert found.only_now == ("test_sorting.py::test_new",)
    assert "only in" in str(found)
    assert [of for of in found.complaints(0.1, strict=True) if "is not in" in of]


def test_names_of_others_forge_no_line(calm, tmp_path):
    content, _ = calm
    for each in content["benchmarks"]:
        each["fullname"] += "\nforged\x1b[2J"
    content["benchmarks"][0]["extra_info"]["ratio\nforged"] = 1.0
    first = store(tmp_path / "first.json", content)
    found = ks.compare(first, store(tmp_path / "second.json", changed(content, edits=150)))
    assert not [line for line in table(found).splitlines() if line.startswith("forged")]
    assert "\x1b" not in table(found)


def test_command_prints_writes_and_ends_with_the_status_of_the_gate(calm, tmp_path, capsys):
    content, compared = calm
    compared(slower(content, 1.5))
    given = ["compare", str(tmp_path / "before.json"), str(tmp_path / "now.json"), "--json", str(tmp_path / "out.json")]
    assert main(given) == 0
    assert main([*given, "--fail", "60%"]) == 0
    capsys.readouterr()
    assert main([*given, "--fail", "40%"]) == 1
    said = capsys.readouterr()
    assert "worse" in said.out
    assert said.err == f"ks compare: FAILED: {SORT}: seconds is worse by 50.0%; at most 40.0% is allowed\n"
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["format"] == "ks_core/compare/1"
    assert len(written["complaints"]) == 1
    assert [of["mark"] for of in written["rows"]].count("worse") == 1


positive = st.floats(1e-6, 1e6)


@given(positive, positive, st.lists(st.integers(1, 1000), min_size=3, max_size=9, unique=True))
def test_differs_is_welchs_test(scale, shift, rounds):
    """SciPy's test on the rounds themselves is the oracle, away from its own edge."""
    first = [scale * of for of in rounds]
    second = [scale * (of + shift / 1e3) for of in (*rounds[1:], rounds[0] * 2)]
    p = stats.ttest_ind(first, second, equal_var=False).pvalue
    if not math.isnan(p) and abs(p - (1 - LEVEL)) > 1e-6:
        assert differs(_number(first), _number(second)) == (p < 1 - LEVEL)


def _number(rounds):
    mean = sum(rounds) / len(rounds)
    spread = math.sqrt(sum((of - mean) ** 2 for of in rounds) / (len(rounds) - 1))
    return Number(mean, spread / math.sqrt(len(rounds)), len(rounds))


@given(positive, positive, positive)
def test_differs_has_no_side(first, second, error):
    numbers = Number(first, error, 5), Number(second, error, 7)
    assert differs(*numbers) == differs(*reversed(numbers))
