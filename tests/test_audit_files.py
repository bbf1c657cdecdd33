"""What an audit writes: JSON that a person can read, and its matrices beside it, of any size."""

import csv
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from errors import refused
from jsonschema import Draft202012Validator, ValidationError
from safetensors.numpy import load_file, save_file

from ks_core.auditing.files import COLUMNS, MATRICES, SCHEMA, as_json, check_audit_files, write_audit, write_csv
from ks_core.auditing.layers import LayerCost
from ks_core.auditing.plan import Plan
from ks_core.auditing.prediction import Audit
from ks_core.auditing.table import table
from ks_core.auditing.together import Together
from ks_core.data.facts import Fact
from ks_core.errors import InputError
from ks_core.files import sha256_of


def planted(edits=2, kept=3, subject="Paris", model="model", **changed):
    """An audit with different numbers everywhere; the first pair was only screened, the last fact is overtaken."""
    facts = [Fact(i, f"{subject} {i}", "P1", "{} is in", "France", f"{subject} Spain") for i in range(edits + kept)]
    numbers = np.arange(5 * edits * kept, dtype=float).reshape(5, edits, kept) + 1 / 3
    losses = numbers[4] / numbers[4].max()
    losses[0, 0] = np.nan
    overtaken = np.zeros((edits, kept), dtype=bool)
    overtaken[:, -1] = True
    keep, held = tuple(facts[edits:]), np.linspace(-1, 0, edits)
    gentler, jointly = np.linspace(0.28, 0.32, edits), np.linspace(0.65, 0.75, edits)
    given = {
        "model": model,
        "tokens": 7,
        "ridge": 0.0,
        "edits": tuple(facts[:edits]),
        "keep": keep,
        "layers": (LayerCost(0, 0.1, 0.01, (0.9,) * edits, kept),),
        "layer": 0,
        "silent_neurons": 0,
        "target": 0.95,
        "reached": (0.1,) * edits,
        "before": np.linspace(-2, -1, kept),
        "shares": numbers[0],
        "share_errors": numbers[1],
        "largest_shares": numbers[2],
        "first_order": numbers[3],
        "losses": losses,
        "overtaken": overtaken,
        "rival": np.where(np.isnan(losses), -1, 0),
        "rival_names": (("Spain",),) * kept,
        "together": Together(keep, held, held + 2, np.linspace(0.5, 0.1, kept), (None,) * (kept - 1) + ("Spain",)),
        "method": "joint",
        "plan": Plan(held, held + gentler, held + jointly, tuple(range(edits))[::-1], (tuple(range(edits)),)),
    }
    return Audit(**given | changed)


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


def test_signs_move_no_column_of_the_table():
    shares = np.array([[0.3149, -0.1697, 0.0891], [-0.0116, 0.5, -0.25]])
    lines = table(planted(shares=shares, share_errors=np.full((2, 3), 0.0012)), 3).splitlines()
    rows = [line for line in lines if " ± 0.0012  " in line]
    assert len(rows) == shares.size
    assert {line.index(" ± 0.0012") - len("-0.3149") for line in rows} == {
        lines[lines.index("each edit alone") + 1].index(" P ± text")
    }


def test_very_long_names_are_cut_in_the_table():
    assert max(map(len, table(planted(subject="x" * 25_000)).splitlines())) < 1000


@pytest.mark.parametrize(("top", "shown"), [(0, 0), (2, 2), (10**30, 3)])
def test_the_table_shows_as_many_facts_as_asked_for_or_all(top, shown):
    found = planted()
    once_overtaken = 1 if 0 < top < 3 else 0  # of all together, whoever is overtaken is named too
    assert table(found, top).count(": France") == shown * (1 + len(found.edits)) + once_overtaken


def test_a_negative_number_of_facts_is_refused():
    with pytest.raises(InputError, match="top is -1; expected how many facts"):
        table(planted(), -1)


def test_the_json_is_what_its_schema_says(tmp_path):
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    known = Draft202012Validator(schema)
    write_audit(planted(), tmp_path / "out.json")
    known.validate(json.loads((tmp_path / "out.json").read_text()))
    single = LayerCost(0, 0.1, float("nan"), (0.9,), 3)
    write_audit(planted(edits=1, plan=None, layers=(single,)), tmp_path / "out.json")
    known.validate(json.loads((tmp_path / "out.json").read_text()))
    for broken in ({"layer": -1}, {"more": 1}, {"edits": []}, {"matrices": {"file": "x"}}):
        with pytest.raises(ValidationError):
            known.validate(json.loads(json.dumps(as_json(planted()))) | broken)


def test_the_csv_has_all_edits_together_and_every_simulated_pair(tmp_path):
    found = planted()
    with write_csv(found, tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    together, pairs = rows[:3], rows[3:]
    assert [row["edit_case_id"] for row in together] == [""] * 3
    assert [float(row["loss_nats"]) for row in together] == sorted(found.together.losses, reverse=True)
    assert len(pairs) == found.simulated == 5
    assert [float(row["loss_nats"]) for row in pairs] == sorted(found.losses[np.isfinite(found.losses)], reverse=True)
    assert {row["overtaken_by"] for row in rows} == {"", "Spain"}


def test_a_pair_that_was_only_screened_says_so():
    lines = [line for line in table(planted(), 3).splitlines() if "only screened" in line]
    assert len(lines) == 1
    assert lines[0].split()[0] == "~+18.33"


def test_order_and_groups_are_told_with_what_they_save_and_not_where_that_is_nothing():
    said = table(planted())
    assert "in this order, an edit keeps 0.300 ± 0.020 (mean of 2) nats a token more than in the given" in said
    assert "each of these keeps 0.700 ± 0.050 (mean of 2) nats a token more: Paris 0, Paris 1" in said
    held = np.zeros(2)
    silent = Plan(held, held + 0.05, held + 0.05, (1, 0), ((0, 1),))
    assert "keeps" not in table(planted(plan=silent))
    assert "keeps" not in table(planted(plan=Plan(held, held, None, (1, 0), ((0, 1),))))
    assert "keeps" not in table(planted(plan=Plan(held, held, held + 1, (1, 0), ((0,), (1,))))), "no group of one"


def test_of_many_edits_those_that_cost_most_are_shown():
    found = planted(edits=1000, kept=2)
    said = table(found)
    assert said.count("->") == 20
    assert "each edit alone: 1000 of 1000 let another object overtake a fact; the 20 that cost one fact most" in said
    assert "Paris 999" in said
    assert len(said) < 12_000


def test_an_output_path_is_relative_to_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_audit(planted(), Path("new/out.json"))
    assert (tmp_path / "new" / "out.safetensors").is_file()
