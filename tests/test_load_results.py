"""A results.json read back: what was written is what is read, and whatever is wrong is one clear error."""

import copy
import json
import math
import os
import sys
from dataclasses import FrozenInstanceError, asdict, fields, replace

import numpy as np
import pandas
import pytest
from errors import refused
from hypothesis import given
from hypothesis import strategies as st
from older_results import as_older

import ks_core as ks
from ks_core.claims.finding import Bound, Finding, Judged, Reference, Verdict
from ks_core.errors import InputError, MissingExtraError
from ks_core.experiments.measured import Measured
from ks_core.reporting import results_file
from ks_core.reporting.results import FORMAT, OLDER, write_results


@pytest.fixture(scope="module")
def stored(measurement, findings, tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "results.json"
    write_results(path, Measured(measurement), findings, {"layers": ks.NotApplicable("few")}, "none")
    return path


@pytest.fixture(scope="module")
def content(stored):
    return json.loads(stored.read_text(encoding="utf-8"))


def store(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def same(one, other):
    """Whether two values are equal, NaN and whatever else is not finite counting as one."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or not (math.isfinite(one) or math.isfinite(other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def thawed(value):
    if hasattr(value, "items"):
        return {name: thawed(item) for name, item in value.items()}
    return [thawed(item) for item in value] if isinstance(value, tuple) else value


def test_what_was_written_is_what_is_read(stored, content, measurement, findings, settings):
    found = ks.load_results(stored)
    assert (found.format, found.model) == (FORMAT, settings.model_origin)
    assert thawed(found.content) == content
    assert thawed(found.provenance) == json.loads(json.dumps(dict(measurement.provenance)))
    assert thawed(found.settings) == json.loads(json.dumps(asdict(settings)))
    assert [type(of) for of in found.findings] == [Finding] * len(findings)
    for read, made in zip(found.findings, findings, strict=True):
        assert same(asdict(read), asdict(made))
    assert repr(found).startswith("StoredResults(model=")


@pytest.mark.parametrize(("facts", "of"), [("all", "statistics"), ("one per subject", "distinct")])
def test_every_statistic_is_read_as_it_was_measured(stored, measurement, facts, of):
    found = ks.load_results(stored)
    for matrix, by_name in getattr(measurement, of).items():
        for name, made in by_name.items():
            for place, layer in enumerate(measurement.layers):
                row = found.statistic(matrix, name, layer, facts=facts)
                for field in ("value", "facts_error", "text_error", "error"):
                    np.testing.assert_equal(getattr(row, field), float(getattr(made, field)[place]))
    subjects = len({fact.subject for fact in measurement.selection.measured})
    assert row.count == (measurement.num_pairs if facts == "all" else subjects * (subjects - 1))


def test_a_frame_has_one_row_for_each_number(stored, measurement, findings):
    found = ks.load_results(stored)
    frame = found.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == [field.name for field in fields(ks.ResultRow)]
    sets = (measurement.statistics, measurement.distinct)
    numbers = sum(len(by_name) for of in sets for by_name in of.values()) * len(measurement.layers)
    assert len(frame) == len(findings) + numbers == len(found.rows)
    assert not frame.duplicated(["claim", "matrix", "facts", "quantity", "layer"]).any()
    assert set(frame["model"]) == {found.model}
    assert frame["layer"].dtype == "Int64"
    judged = frame[frame["claim"] != ""].set_index("claim")
    for of in findings:
        assert (judged.loc[of.id, "verdict"], judged.loc[of.id, "count"]) == (of.verdict.value, of.count)
        np.testing.assert_equal(judged.loc[of.id, "error"], of.error)
    units = frame.set_index(["matrix", "facts", "quantity", "layer"])["unit"]
    assert units.loc[("Q", "all", "std", measurement.layers[0])] == "key^2"


def test_a_frame_without_pandas_is_one_clear_error(stored, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match="pip install pandas"):
        ks.load_results(stored).to_frame()


def test_a_file_without_findings_is_read(measurement, tmp_path):
    write_results(tmp_path / "results.json", Measured(measurement), [], {}, "none")
    assert ks.load_results(tmp_path / "results.json").findings == ()


def test_nothing_that_was_read_can_be_changed(stored):
    found = ks.load_results(stored)
    with pytest.raises(FrozenInstanceError):
        found.model = "another"
    with pytest.raises(TypeError):
        found.settings["model"] = "another"
    with pytest.raises(TypeError):
        found.content["statistics"]["P"]["std"]["value"] = ()


def alone(findings):
    """Findings without the intervals of all places at once, which older formats do not have."""
    return [replace(of, judged=replace(of.judged, familywise=None)) for of in findings]


NUMBERS = st.floats(width=64)
ERRORS = st.floats(min_value=0, width=64) | st.just(math.nan)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
FINDINGS = st.builds(
    Finding,
    claim=TEXTS,
    quantity=TEXTS,
    judged=st.builds(
        Judged,
        NUMBERS,
        ERRORS,
        ERRORS,
        st.tuples(NUMBERS, NUMBERS),
        st.builds(Bound, st.sampled_from(["above", "below", "within"]), NUMBERS, NUMBERS),
        st.sampled_from(Verdict),
        st.none() | st.tuples(NUMBERS, NUMBERS),
    ),
    count=st.integers(0, 10**12),
    counted=TEXTS,
    part=TEXTS,
    layers=st.lists(st.integers(0, 99), max_size=3).map(tuple),
    layer=st.none() | st.integers(0, 99),
    facts=st.lists(st.integers(0, 99), max_size=3).map(tuple),
    references=st.lists(st.builds(Reference, TEXTS, NUMBERS, st.none() | st.floats(-1, 1)), max_size=2).map(tuple),
    grain=st.floats(0, 1),
    is_rounding=st.booleans(),
    unit=TEXTS,
)


@given(made=st.lists(FINDINGS, max_size=3, unique_by=lambda of: of.id))
def test_any_findings_are_read_as_they_were_written(measurement, tmp_path_factory, made):
    path = tmp_path_factory.mktemp("any") / "results.json"
    write_results(path, Measured(measurement), made, {}, "none")
    read = ks.load_results(path).findings
    assert same([asdict(of) for of in read], [asdict(of) for of in made])


def first(content):
    return content["findings"][0]


def kurtosis(content):
    return content["statistics"]["P"]["kurtosis"]


FAULTS = {
    "settings is not there": lambda c: c.pop("settings"),
    "provenance.weights_sha256 is not there": lambda c: c["provenance"].pop("weights_sha256"),
    "statistics.P is not there": lambda c: c["statistics"].pop("P"),
    "findings[0].unit is not there": lambda c: first(c).pop("unit"),
    "findings[0].value is '1.5'": lambda c: first(c).update(value="1.5"),
    "findings[0].error is -1": lambda c: first(c).update(error=-1),
    "findings[0].count is 1.5": lambda c: first(c).update(count=1.5),
    "findings[0].count is True": lambda c: first(c).update(count=True),
    "findings[0].verdict is 'maybe'": lambda c: first(c).update(verdict="maybe"),
    "findings[0].id is 'another'": lambda c: first(c).update(id="another"),
    "comes twice": lambda c: c["findings"].append(first(c)),
    "findings[0] is None": lambda c: c["findings"].insert(0, None),
    "findings is {}": lambda c: c.update(findings={}),
    "findings[0].interval has 1 items": lambda c: first(c)["interval"].pop(),
    "unheard is there": lambda c: c.update(unheard=1),
    "statistics.P.kurtosis.value has 1 numbers": lambda c: kurtosis(c)["value"].pop(),
    "statistics.P.kurtosis.error[0] is '0.1'": lambda c: kurtosis(c)["error"].__setitem__(0, "0.1"),
    "statistics.P.kurtosis.unit is not there": lambda c: kurtosis(c).pop("unit"),
    "statistics.P.kurtosis.count is None": lambda c: kurtosis(c).update(count=None),
    "d_key has 3 numbers": lambda c: c["d_key"].append(1),
    "facts.measured has 7 facts": lambda c: c["facts"]["measured"].pop(),
    "facts.measured has 8 facts": lambda c: c["facts"]["measured"].reverse(),
    "facts.measured[0].text is None": lambda c: c["facts"]["measured"][0].update(text=None),
    "matrices.sha256 is not there": lambda c: c.update(matrices={"file": "x", "names": [], "dtype": "float32"}),
    "rank has 3 numbers": lambda c: c["rank"].append(1),
    "layers": lambda c: c["layers"].append(9),
}


@pytest.mark.parametrize("what", FAULTS)
def test_planted_faults_are_named(content, tmp_path, what):
    changed = copy.deepcopy(content)
    FAULTS[what](changed)
    with refused(InputError, what=("wrong.json", what), expected="", remedy="measure again"):
        ks.load_results(store(tmp_path / "wrong.json", changed))


@pytest.mark.parametrize("part", ["findings", "statistics", "null", "pairs", "facts", "editing"])
def test_a_damaged_older_file_is_named(content, tmp_path, part):
    older = as_older(content)
    del older[part]
    with refused(InputError, what="wrong.json", got=(OLDER[-1], part), expected="what", remedy="measure again"):
        ks.load_results(store(tmp_path / "wrong.json", older))


@pytest.mark.parametrize("depth", [10, 300, 900])
@pytest.mark.parametrize("place", ["unheard", "rank", "null", "findings", "pairs", "editing"])
def test_deep_nesting_ends_in_one_clear_error(content, tmp_path, depth, place):
    deep = json.loads("[" * depth + "]" * depth)
    for of in (content, as_older(content)):
        with refused(InputError, what="wrong.json", expected=""):
            ks.load_results(store(tmp_path / "wrong.json", {**of, place: deep}))


@pytest.mark.parametrize(
    ("raw", "got", "remedy"),
    [
        (b"", "cut short or no JSON", "restore the file"),
        (b"[" * 100_000, "nested too deeply", "restore the file"),
        (b'{"format": 1, "format": 2}', "comes twice", "restore the file"),
        (b'{"format": NaN}', "NaN is no JSON number", "restore the file"),
        (b"\xff\xfe{\x00}\x00", "no text in UTF-8", "restore the file"),
        (b"[1, 2]", "[1, 2]", "another file"),
        (b'"text"', "'text'", "another file"),
        (b"null", "None", "another file"),
        (b"{}", "no format", "another file"),
        (b'{"machine_info": {}, "benchmarks": []}', "benchmarks", "another file"),
        (b'{"format": "ks_core/baseline/2"}', "ks_core/baseline/2", "results.json of a run"),
        (b'{"format": ["ks_core/results/3"]}', "['ks_core/results/3']", "results.json of a run"),
        (b'{"format": null}', "None", "results.json of a run"),
        (b'{"format": "ks_core/results/1"}', ("'ks_core/results/1'", "an older version"), "measure again"),
        (b'{"format": "ks_core/results/5"}', ("'ks_core/results/5'", "a newer version"), "install that version"),
        (b'{"format": "ks_core/results/99999999999999"}', "a newer version", "install that version"),
        (b'{"format": "ks_core/results/two"}', "'ks_core/results/two'", "results.json of a run"),
    ],
)
def test_a_file_that_is_no_results_is_refused(tmp_path, raw, got, remedy):
    path = tmp_path / "wrong.json"
    path.write_bytes(raw)
    with refused(InputError, what="wrong.json", got=got, expected="", remedy=remedy):
        ks.load_results(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.999])
def test_a_file_that_was_cut_short_is_refused(stored, tmp_path, part):
    raw = stored.read_bytes()
    (tmp_path / "cut.json").write_bytes(raw[: int(part * len(raw))])
    with refused(InputError, what="cut.json", got="cut short", expected="", remedy="restore the file"):
        ks.load_results(tmp_path / "cut.json")


def huge(path):
    with path.open("wb") as file:
        file.truncate(results_file.LARGEST + 1)  # a hole, which takes no room on the disk


@pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda _: None, "cannot be read"),
        (lambda path: path.mkdir(), "a folder"),
        (lambda path: os.mkfifo(path), "no regular file"),  # Windows has none
        (lambda path: path.symlink_to(path), "cannot be read"),
        (huge, "268,435,457 bytes"),
    ],
    ids=["nothing", "folder", "pipe", "loop", "huge"],
)
def test_what_is_no_file_to_read_is_refused_and_not_waited_for(tmp_path, make, got):
    make(tmp_path / "wrong.json")
    with refused(InputError, what="wrong.json", got=got, expected="a results.json"):
        ks.load_results(tmp_path / "wrong.json")


@pytest.mark.parametrize("given", [None, 3, "", "a\0b"])
def test_what_is_no_path_is_refused(given):
    with refused(InputError, expected=""):
        ks.load_results(given)


@pytest.mark.parametrize("asked", [("R", "std", 0), ("P", "width", 0), ("P", "std", 9), ("", "", None)])
def test_a_number_that_is_not_there_is_refused(stored, asked):
    with refused(InputError, got="there is no", expected="a matrix of P, Q"):
        ks.load_results(stored).statistic(*asked)
