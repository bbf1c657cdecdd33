"""Results of older formats read back: every number as it was, and what they leave to be known said not to be known."""

import json
from dataclasses import asdict, replace

import pytest
from errors import refused
from jsonschema import Draft202012Validator
from older_results import as_format_3, as_older
from test_load_results import alone, same, store, thawed

import ks_core as ks
from ks_core.errors import InputError
from ks_core.experiments.measured import Measured
from ks_core.reporting.results import FORMAT, OLDER, SCHEMA, write_results


@pytest.fixture(scope="module")
def stored(measurement, findings, tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "results.json"
    write_results(path, Measured(measurement), findings, {"layers": ks.NotApplicable("few")}, "none")
    return path


@pytest.fixture(scope="module")
def content(stored):
    return json.loads(stored.read_text(encoding="utf-8"))


def test_format_3_is_read_but_for_texts_of_facts_and_matrices(stored, content, tmp_path):
    newer, older = ks.load_results(stored), ks.load_results(store(tmp_path / "3.json", as_format_3(content)))
    assert same([asdict(row) for row in older.rows], [asdict(row) for row in newer.rows])
    assert same([asdict(of) for of in older.findings], [asdict(of) for of in alone(newer.findings)])
    assert (older.format, older.content["format"]) == (OLDER[0], FORMAT)
    assert (older.content["facts"]["measured"], older.content["d_key"], older.content["matrices"]) == ((), (), None)
    with refused(InputError, what="3.json", got="no file of matrices", expected="one", remedy="measure again"):
        older.matrix("P")
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(thawed(older.content))


def test_the_older_format_is_read_with_what_it_leaves_to_be_known(stored, content, tmp_path):
    newer, older = ks.load_results(stored), ks.load_results(store(tmp_path / "a.json", as_older(content)))
    of_statistics = [row for row in newer.rows if row.matrix]
    assert same([asdict(row) for row in older.rows if row.matrix], [asdict(row) for row in of_statistics])
    assert (older.format, older.content["format"]) == (OLDER[-1], FORMAT)
    assert {of.unit for of in older.findings} == {""}, "which the file does not say"
    assert same([asdict(replace(of, unit="1")) for of in older.findings], [asdict(of) for of in alone(newer.findings)])
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(thawed(older.content))
