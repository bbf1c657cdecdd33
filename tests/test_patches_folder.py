"""Folders of edits: whole or not there, through interrupts and kills, and refused where they are not as written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from errors import refused
from patched import snapshot, some_edits, tiny
from safetensors.torch import load_file, save_file

import ks_core as ks
from ks_core import files
from ks_core.errors import InputError, KsError, NotStoredError, ProvenanceError
from ks_core.patches import folder as folders
from ks_core.patches.folder import changed_folder, read_patch

FACTS = ks.load_facts()
CASES = [fact.case_id for fact in FACTS[:3]]


@pytest.fixture(scope="module")
def edits(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield some_edits(tiny(), FACTS[:3])


@pytest.fixture
def folder(tmp_path, edits):
    ks.save_edits(edits, tmp_path / "edits")
    return tmp_path / "edits"


def test_a_folder_that_is_there_is_refused(tmp_path, edits, folder):
    before = snapshot(tmp_path)
    with refused(InputError, what="edits exists", expected="still to be made", remedy="--onto"):
        ks.save_edits(edits, folder)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with refused(InputError, what="link exists"):
        ks.save_edits(edits, tmp_path / "link")
    with refused(InputError, what="edits.json is no folder", expected="can be written"):
        ks.save_edits(edits, folder / "edits.json" / "below")
    (tmp_path / "link").unlink()
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", "edits.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    for use in (lambda: ks.load_edits(folder), lambda: ks.undo_edits(folder, CASES[:1])):
        with refused(NotStoredError, what=f"lacks {name}", expected="the whole folder", remedy="undamaged copy"):
            use()


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", "edits.safetensors"])
def test_a_file_that_another_tool_changed_is_named(folder, name):
    if name.endswith(".json"):
        (folder / name).write_text((folder / name).read_text().replace('"lora_dropout": 0.0', '"lora_dropout": 0.1'))
    else:
        save_file({key: of.double() * 2 for key, of in load_file(folder / name).items()}, folder / name)
    with refused(ProvenanceError, what=f"{name} of", got="sha256", expected="no other tool", remedy="make the edits"):
        ks.load_edits(folder)


def forged(content):
    """A record whose checksum is right, as who wants to be read writes it."""
    from ks_core.checked_files import sealed_json

    return sealed_json(content.pop("format"), {key: of for key, of in content.items() if key != "sha256"})


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda record: record["files"].update({"../outside": "0"}), "names the file '../outside'"),
        (lambda record: record["files"].update({"/etc/passwd": "0"}), "names the file '/etc/passwd'"),
        (lambda record: record.pop("base"), "'base'"),
        (lambda record: record["base"].update(extra=1), "unexpected keyword"),
        (lambda record: record.update(layers=5), "not iterable"),
        (lambda record: record.update(kind="onnx"), "kind is 'onnx'"),
        (lambda record: record["layers"][0]["edits"][0].update(prompt="no place"), "prompt is 'no place'"),
        (lambda record: record["layers"][0]["edits"].pop(), "not torch.float64 of (2, any)"),
    ],
)
def test_a_forged_record_is_refused(folder, change, what):
    record = json.loads((folder / "edits.json").read_text())
    change(record)
    (folder / "edits.json").write_text(forged(record))
    with pytest.raises(ProvenanceError) as caught:
        ks.load_edits(folder)
    assert what in str(caught.value)


def test_a_damaged_record_and_other_folders_are_refused(tmp_path, folder):
    text = (folder / "edits.json").read_text()
    for damaged in (text[: len(text) // 2], text.replace('"ridge": 0.1', '"ridge": 0.2'), "[]", ""):
        (folder / "edits.json").write_text(damaged)
        with pytest.raises(ProvenanceError, match=r"edits\.json is (truncated or damaged|marked).*make the edits anew"):
            ks.load_edits(folder)
    (folder / "edits.json").write_text(text.replace("ks_core/patch/1", "ks_core/patch/2"))
    with refused(ProvenanceError, what="is marked ['ks_core/patch/2']", expected="'ks_core/patch/1'"):
        ks.load_edits(folder)
    (folder / "edits.json").unlink()
    with refused(NotStoredError, what="has no edits.json", expected="a folder that ks edit wrote"):
        ks.load_edits(folder)
    with refused(InputError, what="nowhere is no folder"):
        ks.undo_edits(tmp_path / "nowhere", CASES[:1])


def test_what_else_lies_in_the_folder_goes_along_but_for_the_certificate(folder):
    (folder / "notes").mkdir()
    (folder / "notes" / "why.txt").write_text("asked for by the editors")
    for name in folders.CERTIFICATES:
        (folder / name).write_text("{}")
    ks.undo_edits(folder, CASES[:1])
    names = snapshot(folder).keys()
    assert "notes/why.txt" in names
    assert not names & set(folders.CERTIFICATES)


def test_two_changes_at_once_lose_neither_without_a_word(folder):
    stored = read_patch(folder)

    def change():
        with changed_folder(stored, stored.patch.without(CASES[:1])):
            ks.undo_edits(folder, CASES[1:2])  # someone else, meanwhile

    with refused(ProvenanceError, what="changed by someone else meanwhile", remedy="run again"):
        change()
    assert [fact.case_id for fact in read_patch(folder).patch.facts] == [CASES[0], CASES[2]]


STEPS = ("write_adapter", "write_numbers", "write_record", "_take_along", "sha256_of")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
def test_a_change_that_is_interrupted_at_any_step_leaves_the_old_folder(folder, monkeypatch, step, stop):
    stored, before = read_patch(folder), snapshot(folder.parent)

    def interrupted(*_):
        raise stop("now")

    monkeypatch.setattr(folders, step, interrupted)
    with pytest.raises((KsError, stop)), changed_folder(stored, stored.patch.without(CASES[:1])):
        pass
    assert snapshot(folder.parent) == before


@pytest.mark.parametrize("swap", [True, False])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_interrupt_while_the_folders_change_places_leaves_one_of_them_whole(folder, monkeypatch, swap, at):
    """At each rename, with the system's exchange and without it."""
    old, stored = snapshot(folder), read_patch(folder)
    calls = []

    def interrupting(real):
        def call(*args):
            calls.append(1)
            if len(calls) == at:
                raise KeyboardInterrupt
            return real(*args)

        return call

    if not swap:
        monkeypatch.setattr(files, "_exchanged", lambda *_: False)
    else:
        monkeypatch.setattr(files, "_exchanged", interrupting(files._exchanged))
    monkeypatch.setattr("pathlib.Path.replace", interrupting(os.replace))
    try:
        with changed_folder(stored, stored.patch.without(CASES[:1])):
            calls.clear()  # from here on: the change of places
    except KeyboardInterrupt:
        assert snapshot(folder) == old
    monkeypatch.undo()
    assert [fact.case_id for fact in read_patch(folder).patch.facts] in (CASES, CASES[1:])
    assert [path.name for path in folder.parent.iterdir()] == ["edits"]


KILLED = """
import os, signal, sys
from pathlib import Path
from ks_core import files
from ks_core.patches.folder import changed_folder, read_patch
def dying(real, when):
    def call(made, target, aside):
        if target.name == "edits" and when == "before": os.kill(os.getpid(), signal.SIGKILL)
        real(made, target, aside)
        if target.name == "edits": os.kill(os.getpid(), signal.SIGKILL)
    return call
files._replace = dying(files._replace, sys.argv[2])
stored = read_patch(Path(sys.argv[1]))
with changed_folder(stored, stored.patch.without([int(sys.argv[3])])):
    pass
"""


def test_a_kill_leaves_one_of_the_folders_whole(tmp_path, edits):
    """Two processes, killed just before the folders change places and just after, side by side to save time."""
    expected, killed = {"before": CASES, "after": CASES[1:]}, {}
    for when in expected:
        folder = tmp_path / when / "edits"
        ks.save_edits(edits, folder)
        command = [sys.executable, "-W", "ignore", "-c", KILLED, str(folder), when, str(CASES[0])]
        killed[when] = subprocess.Popen(command, stderr=subprocess.PIPE)
    for when, cases in expected.items():
        _, said = killed[when].communicate()
        assert killed[when].returncode == -signal.SIGKILL, said
        folder = tmp_path / when / "edits"
        assert [fact.case_id for fact in read_patch(folder).patch.facts] == cases
        ks.undo_edits(folder, [CASES[1]])  # and takes away what the killed process left
        assert [path.name for path in folder.parent.iterdir()] == ["edits"]


@pytest.mark.skipif(sys.platform != "linux", reason="another system has no exchange in one step")
def test_folders_change_places_in_one_step(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not files._exchanged(tmp_path / "one", tmp_path / "other"):
        pytest.skip("this file system has no exchange in one step")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["other"]


def test_a_read_only_place_is_refused_before_anything_is_made(folder, edits, monkeypatch):
    def read_only(_path, mode, **_):
        return not mode & os.W_OK

    monkeypatch.setattr(os, "access", read_only)  # the superuser may write anywhere
    with refused(InputError, what="cannot be written", expected="one that can be"):
        ks.save_edits(edits, folder.parent / "other")
    with refused(InputError, what="cannot be written", expected="one that can be"):
        ks.undo_edits(folder, CASES[:1])
    assert torch.is_tensor(ks.load_edits(folder)[0].edit.left)
