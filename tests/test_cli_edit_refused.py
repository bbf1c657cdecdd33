"""What `ks edit` and `ks undo` refuse, in one line."""

from __future__ import annotations

import shutil

import pytest
from edits_on_disk import more, options, write_files
from errors import says
from patched import snapshot

from ks_core.cli import main

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = write_files(tmp_path_factory.mktemp("edit"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        yield folder


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ([], {"what": "--out is missing", "expected": "a folder to write"}),
        (["--out", "there"], {"what": "there exists", "expected": "still to be made", "remedy": "--onto"}),
        (["--out", "new", "--layer", "7"], {"what": "layer 7 does not exist", "expected": "0 to 2"}),
        (["--out", "new", "--layer", "1", "--method", "protected"], {"what": "no facts to protect were given"}),
        (["--out", "new", "--layer", "1", "--ridge", "-1"], {"what": "ridge is -1", "expected": ""}),
        (["--out", "new", "--tokens", "10"], {"what": "10 tokens of text were asked for"}),
        (["--out", "new", "--fail-over", "-1"], {"what": "fail_over is -1", "expected": "nats, 0 or more"}),
        (["--onto", "there"], {"what": "has no edits.json", "expected": "a folder that ks edit wrote"}),
        (["--onto", "nowhere"], {"what": "nowhere is no folder", "expected": "one that ks edit wrote"}),
    ],
)
def test_what_cannot_be_used_is_one_line(prepared, tmp_path, monkeypatch, capsys, given, parts):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    assert main(options(prepared, *given)) == 2
    says(capsys.readouterr().err, **parts)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (["--method", "sequential"], "--method is 'sequential', and 'joint'"),
        (["--tokens", "1700"], "--tokens is 1700, and 1600"),
        (["--ridge", "0.5"], "--ridge is 0.5, and 0.0"),
        (["--as", "model"], "--as is 'model', and 'adapter'"),
        (["--layer", "7"], "layer 7 does not exist; expected 0 to 2"),
        (["--protect", "EDITS"], "--protect names other facts than the 0"),
        (["--dtype", "float64"], "the weights and dtype of"),
    ],
)
def test_what_is_not_as_in_the_folder_is_one_line(prepared, folder, tmp_path, capsys, given, what):
    (tmp_path / "other.txt").write_text((prepared / "text.txt").read_text() + "\n\nOne more.")
    places = {"EDITS": str(prepared / "keep.json"), "OTHER": str(tmp_path / "other.txt")}
    before = snapshot(folder)
    capsys.readouterr()
    assert main(more(prepared, "--onto", folder, *(places.get(word, word) for word in given))) == 2
    says(capsys.readouterr().err, what=what)
    assert snapshot(folder) == before


@pytest.mark.parametrize("given", [["--corpus", "other.txt"], ["--corpus", "text.txt"]])
def test_another_text_than_the_folders_is_refused_before_a_model_is_loaded(
    prepared, folder, tmp_path, monkeypatch, capsys, given
):
    """One of another name, and one of the same name in which a paragraph is new; a copy by another name will do."""
    for name in ("other.txt", "text.txt"):
        (tmp_path / name).write_text((prepared / "text.txt").read_text() + "\n\nOne more.")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ks_core.models.loading.load_model", None)
    capsys.readouterr()
    words = ["edit", str(prepared / "more.json"), "--keep", str(prepared / "keep.json"), "--onto", str(folder)]
    assert main([*words, *given]) == 2
    parts = {"what": f"the corpus is '{given[1]}' (sha256 ", "got": "with 'text.txt' (sha256", "remedy": "--corpus"}
    says(capsys.readouterr().err, **parts, expected="that very text")


def test_the_folders_text_may_have_another_name_now(prepared, folder, tmp_path):
    shutil.copy(prepared / "text.txt", tmp_path / "copy.txt")
    words = [
        "edit",
        prepared / "more.json",
        "--keep",
        prepared / "keep.json",
        "--onto",
        folder,
        "--no-certificate",
        "--allow-unreached",
    ]
    assert main([str(word) for word in [*words, "--corpus", tmp_path / "copy.txt", "--out", tmp_path / "edits"]]) == 0


@pytest.fixture(scope="module")
def folder(prepared, tmp_path_factory):
    place = tmp_path_factory.mktemp("there") / "edits"
    assert main(options(prepared, "--layer", 1, "--out", place, "--no-certificate")) == 0
    return place
