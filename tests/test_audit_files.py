"""What an audit writes: JSON that a person can read, and its matrices beside it, of any size."""

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from errors import refused
from safetensors.numpy import load_file, save_file

from ks_core.auditing.files import MATRICES, check_audit_files, write_audit
from ks_core.auditing.prediction import Audit, LayerInterference
from ks_core.auditing.table import table
from ks_core.data.facts import Fact
from ks_core.errors import InputError
from ks_core.files import sha256_of


def planted(edits=2, kept=3, subject="Paris", model="model"):
    """An audit with different numbers everywhere."""
    facts = [Fact(i, f"{subject} {i}", "P1", "{} is in", "France", f"{subject} Spain") for i in range(edits + kept)]
    matrices = np.arange(4 * edits * kept, dtype=float).reshape(4, edits, kept) + 1 / 3
    return Audit(
        model=model,
        tokens=7,
        ridge=0.0,
        edits=tuple(facts[:edits]),
        keep=tuple(facts[edits:]),
        layers=(LayerInterference(0, 0.1, 0.01, 0.2, silent_neurons=0),),
        layer=0,
        reached=(0.1,) * edits,
        shares=matrices[0],
        share_errors=matrices[1],
        changes=matrices[2],
        log_probability_changes=matrices[3],
        order=tuple(facts[:edits]),
        groups=(tuple(facts[:edits]),),
    )


def test_matrices_stand_beside_the_json_that_names_them(tmp_path):
    found = planted()
    for _ in range(2):  # the second time over the first
        check_audit_files(tmp_path / "out.json", {})
        assert write_audit(found, tmp_path / "out.json") == [tmp_path / "out.json", tmp_path / "out.safetensors"]
    (tmp_path / "other").touch()
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1, "as any new file of this user"
    named = json.loads((tmp_path / "out.json").read_text())["matrices"]
    assert named["file"] == "out.safetensors"
    assert named["sha256"] == sha256_of(tmp_path / "out.safetensors")
    stored = load_file(tmp_path / "out.safetensors")
    assert {name: list(matrix.shape) for name, matrix in stored.items()} == named["shapes"]
    for name, field in MATRICES.items():
        np.testing.assert_array_equal(stored[name], getattr(found, field), strict=True)


def test_json_grows_with_edits_and_facts_and_not_with_their_product(tmp_path):
    sizes = {}
    for count in (100, 200):
        write_audit(planted(count, count), tmp_path / "out.json")
        sizes[count] = (tmp_path / "out.json").stat().st_size
    assert sizes[200] < 2.1 * sizes[100]


def test_into_a_pipe_goes_the_json_alone(tmp_path):
    pipe, heard = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: heard.append(json.loads(pipe.read_text())))
    reader.start()
    check_audit_files(pipe, {})
    assert write_audit(planted(), pipe) == [pipe]
    reader.join(30)
    assert heard[0]["matrices"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_file_that_is_no_audits_is_not_replaced_by_matrices(tmp_path):
    """Weights of a model may well have the name that the matrices would get."""
    weights = tmp_path / "model.safetensors"
    save_file({"weight": np.ones(3)}, weights)
    before = weights.read_bytes()
    with refused(InputError, what="model.safetensors", got="no matrices of an audit"):
        check_audit_files(tmp_path / "model.json", {})
    with pytest.raises(InputError, match=r"model\.safetensors is read as --model"):
        check_audit_files(tmp_path / "model.json", {"--model": str(tmp_path)})
    with pytest.raises(InputError, match="expected another ending"):
        check_audit_files(tmp_path / "new.safetensors", {})
    (tmp_path / "twin.safetensors").symlink_to("twin.json")
    (tmp_path / "twin.json").touch()
    with pytest.raises(InputError, match=r"twin\.safetensors is read as --json"):
        check_audit_files(tmp_path / "twin.json", {})
    assert weights.read_bytes() == before


@pytest.mark.parametrize("odd", ["\x1b[2J", "a\nforged row  0.99", "\u202ereversed", "\x9b31m", "\ud800"])
def test_names_of_others_forge_nothing_in_the_table(odd):
    refused_by_fact = "\n" in odd or odd == "\ud800"
    plain, forged = table(planted()), table(planted(model=odd, **({} if refused_by_fact else {"subject": odd})))
    assert len(forged.splitlines()) == len(plain.splitlines())
    assert all(line.isprintable() for line in forged.splitlines())


def test_very_long_names_are_cut_in_the_table():
    assert max(map(len, table(planted(subject="x" * 25_000)).splitlines())) < 1000


@pytest.mark.parametrize(("top", "shown"), [(0, 0), (2, 2), (10**30, 3)])
def test_the_table_shows_as_many_facts_as_asked_for_or_all(top, shown):
    found = planted()
    assert table(found, top).count(": France") == shown * len(found.edits)


def test_a_negative_number_of_facts_is_refused():
    with pytest.raises(InputError, match="top is -1; expected how many facts"):
        table(planted(), -1)


def test_an_output_path_is_relative_to_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_audit(planted(), Path("new/out.json"))
    assert (tmp_path / "new" / "out.safetensors").is_file()
