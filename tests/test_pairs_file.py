"""pairs.safetensors: what was measured is what is read; a file that is not that of the results is one clear error."""

import json
import shutil

import numpy as np
import pytest
from errors import refused
from safetensors.numpy import load_file

import ks_core as ks
from ks_core.errors import InputError
from ks_core.experiments.measured import Measured
from ks_core.reporting.pairs_file import MATRICES, PAIRS, write_pairs
from ks_core.reporting.results import write_results


@pytest.fixture
def stored(measurement, tmp_path):
    matrices = write_pairs(tmp_path / PAIRS, measurement)
    write_results(tmp_path / "results.json", Measured(measurement), [], {}, "none", matrices)
    return tmp_path


@pytest.mark.parametrize("name", MATRICES)
def test_every_entry_is_read_in_its_place(stored, measurement, name):
    found = ks.load_results(stored / "results.json").matrix(name)
    assert (found.dtype, found.shape) == (np.float32, (len(measurement.layers), 8, 8))
    for place, of_layer in enumerate(measurement.pairs):
        np.testing.assert_array_equal(found[place], of_layer.matrices[name].astype(np.float32))
    if name == "P":
        assert not np.array_equal(found, found.transpose(0, 2, 1)), "or rows and columns could be exchanged"


def test_facts_stand_beside_in_the_order_of_rows(stored, measurement):
    told = ks.load_results(stored / "results.json").content["facts"]["measured"]
    for one, fact in zip(told, measurement.selection.measured, strict=True):
        assert (one["case_id"], one["text"], one["target_true"]) == (fact.case_id, fact.text, fact.target_true)
    assert [of.d_key for of in measurement.pairs] == list(ks.load_results(stored / "results.json").content["d_key"])


def test_whoever_may_read_the_results_may_read_it(stored):
    assert (stored / PAIRS).stat().st_mode == (stored / "results.json").stat().st_mode


def test_any_reader_of_safetensors_reads_it(stored):
    assert set(load_file(stored / PAIRS)) == set(MATRICES)


def test_the_same_measurement_is_the_same_file(stored, measurement, tmp_path):
    again = write_pairs(tmp_path / "again.safetensors", measurement)
    assert again["sha256"] == json.loads((stored / "results.json").read_text())["matrices"]["sha256"]


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def another(path):
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 1
    path.write_bytes(raw)


def folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("fault", [cut, another, folder, lambda path: path.unlink()])
def test_a_file_that_is_not_that_of_the_results_is_refused(stored, fault):
    fault(stored / PAIRS)
    with refused(InputError, what=PAIRS, expected="the matrices that", remedy="measure again"):
        ks.load_results(stored / "results.json").matrix("P")


def test_results_that_were_moved_away_from_it_say_so(stored, tmp_path_factory):
    moved = shutil.copy(stored / "results.json", tmp_path_factory.mktemp("moved"))
    with refused(
        InputError, what=PAIRS, got="No such file", expected="the matrices that", remedy="keep both files in one folder"
    ):
        ks.load_results(moved).matrix("P")


def test_a_name_that_leads_elsewhere_is_no_matrix_file(stored):
    content = json.loads((stored / "results.json").read_text())
    content["matrices"]["file"] = "../other.safetensors"
    (stored / "results.json").write_text(json.dumps(content))
    with refused(InputError, what="results.json", got="../other.safetensors", expected=PAIRS):
        ks.load_results(stored / "results.json")


def test_there_is_no_other_matrix(stored):
    with refused(InputError, what="no matrix 'Q'", expected="P, whitened_cosine"):
        ks.load_results(stored / "results.json").matrix("Q")
