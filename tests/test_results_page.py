"""docs/results.md: its example runs on a real results.json, and its table has the keys that the schema has."""

import json
import re

from checkout import ROOT

import ks_core as ks
from ks_core.experiments.measured import Measured
from ks_core.reporting.pairs_file import PAIRS, write_pairs
from ks_core.reporting.quantities import QUANTITIES
from ks_core.reporting.results import FORMAT, SCHEMA, write_results

PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


def test_the_example_runs(measurement, findings, tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL)
    folder = tmp_path / "ks-results" / "smollm2-135m-instruct"
    folder.mkdir(parents=True)
    matrices = write_pairs(folder / PAIRS, measurement)
    write_results(folder / "results.json", Measured(measurement), findings, {}, "none", matrices)
    monkeypatch.chdir(tmp_path)
    exec(code, made := {})  # noqa: S102
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == [of.id for of in findings]
    assert lines[-1].endswith(f" {measurement.num_pairs} pairs of facts a layer")
    assert list(made["spread"].index) == list(measurement.layers)
    assert isinstance(made["found"], ks.StoredResults)


def test_the_table_has_every_key_once():
    table = PAGE[PAGE.index("| key |") : PAGE.index("## Units")]
    cells = [line.split("|")[1] for line in table.splitlines()[2:] if line.startswith("|")]
    keys = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert sorted(keys) == sorted(schema["required"]) == sorted(schema["properties"])
    parts = schema["properties"]["editing"]["properties"]
    assert all(f"`{name}`" in table for name in parts)
    assert f"`{FORMAT}`" in PAGE


def test_every_unit_is_explained():
    units = PAGE[PAGE.index("## Units") :]
    for unit in {of.unit for of in QUANTITIES} - {"s", "directions", "neurons", "steps"}:  # words that say it
        assert f"`{unit}`" in units, unit


def test_the_page_is_short():
    assert len(PAGE.splitlines()) <= 60
