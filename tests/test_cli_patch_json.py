"""What `ks edit`, `ks verify` and `ks undo` write with --json, as processes on a tiny real model, and with --quiet."""

import json
import os

import pytest
from measured import write_everything
from warm import run_module

import ks_core as ks


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("json")
    paths = write_everything(folder, "llama", layers=2)
    records = json.loads((folder / "facts.json").read_text())
    for name, part in {"edits": records["facts"][24:26], "keep": records["facts"][30:36]}.items():
        (folder / f"{name}.json").write_text(json.dumps(part))
    return folder, paths


def run(prepared, *words):
    environment = {**os.environ, "KS_CORE_CACHE": str(prepared[0] / "cache"), "HF_HUB_OFFLINE": "1"}
    return run_module("ks_core.cli", *words, cwd=prepared[0], env=environment)


def made(prepared, *options):
    _, paths = prepared
    given = ["--model", paths["model"], "--corpus", paths["corpus"], "--tokens", 1600, "--keep", "keep.json"]
    return run(prepared, "edit", "edits.json", *given, "--layer", 1, "--allow-unreached", *options)


@pytest.fixture(scope="module")
def patch(prepared):
    found = made(prepared, "--out", "patch", "--json", "edited.json", "--quiet")
    assert (found.returncode, found.stderr) == (0, "")
    return prepared[0] / "patch"


def test_an_edit_is_recorded_with_what_was_measured(prepared, patch):
    record = json.loads((prepared[0] / "edited.json").read_text())
    assert (record["format"], record["written"], record["folder"]) == ("ks_core/edited/1", True, "patch")
    edits = ks.load_edits(patch)[0]
    assert [(of["case_id"], of["layer"]) for of in record["edits"]] == [(of.case_id, 1) for of in edits.facts]
    certified = json.loads((patch / "certificate.json").read_text())
    assert record["measured"]["kept_loss"]["value"] == certified["measured"]["means"]["kept_loss"]["value"]


def test_edits_that_contradict_each_other_are_recorded_as_not_written(prepared):
    first = json.loads((prepared[0] / "edits.json").read_text())[0]
    second = json.loads(json.dumps(first)) | {"case_id": 999}
    rewrite = second["requested_rewrite"]
    rewrite["target_new"], rewrite["target_true"] = rewrite["target_true"], rewrite["target_new"]
    (prepared[0] / "twice.json").write_text(json.dumps([first, second]))
    found = run(prepared, "edit", "twice.json", "--out", "broken", "--json", "broken.json", "--quiet")
    assert found.returncode == 1
    assert all(line.startswith("ks edit: FAILED: ") for line in found.stderr.splitlines())
    record = json.loads((prepared[0] / "broken.json").read_text())
    assert (record["format"], record["written"]) == ("ks_core/edited/1", False)
    assert record["failed"]
    assert not (prepared[0] / "broken").exists()


def test_a_verification_is_recorded_check_by_check(prepared, patch):
    found = run(prepared, "verify", "patch", "--json", "verified.json", "--quiet")
    assert (found.returncode, found.stderr) == (0, "")
    record = json.loads((prepared[0] / "verified.json").read_text())
    assert (record["format"], record["holds"], record["measured"]) == ("ks_core/verification/1", True, True)
    of_python = ks.verify(patch)
    assert [check["name"] for check in record["checks"]] == [check.name for check in of_python.checks]
    assert all(check["holds"] for check in record["checks"])


def test_an_undo_is_recorded_with_what_is_left(prepared, patch):
    first, second = ks.load_edits(patch)[0].facts
    found = run(prepared, "undo", "patch", "--case", first.case_id, "--json", "undone.json", "--quiet")
    assert (found.returncode, found.stderr) == (0, "")
    record = json.loads((prepared[0] / "undone.json").read_text())
    assert (record["format"], record["taken_out"]) == ("ks_core/undone/1", [first.case_id])
    assert [of["case_id"] for of in record["edits"]] == [second.case_id]
