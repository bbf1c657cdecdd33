"""The toy of the package: found by its name, checked by its hashes, and what its name may stand for."""

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from checkout import MODELS
from errors import refused

import ks_core as ks
from ks_core.errors import AssetError, InputError
from ks_core.measurement.known import known_facts
from ks_core.models import toys
from ks_core.models.packaged import is_packaged, packaged_folder
from ks_core.models.toys import TOYS, ensure_toy, toy_folder
from ks_core.patches import merging

(NAME,) = TOYS


def test_a_toy_is_the_trained_model_of_the_repository():
    folder = ensure_toy(NAME)  # among the installed files, which are the repository's own or copies of them
    assert folder == toy_folder(NAME) == packaged_folder(NAME)
    for file in TOYS[NAME].files:
        assert (folder / file).read_bytes() == (MODELS / TOYS[NAME].folder / file).read_bytes()
    assert is_packaged(NAME)
    assert not is_packaged(TOYS[NAME].folder), "which is a folder's name, wherever that lies"
    by_name, by_folder = ks.load_model(NAME), ks.load_model(MODELS / TOYS[NAME].folder)
    assert by_name.weights_sha256 == by_folder.weights_sha256
    assert (by_name.name, by_name.revision) == (NAME, TOYS[NAME].revision)


def test_a_toy_knows_twice_as_many_facts_as_are_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path))
    assert len(known_facts(NAME).facts) >= 2 * ks.Settings().num_facts


@pytest.mark.parametrize("file", sorted(TOYS[NAME].files))
@pytest.mark.parametrize("damage", ["altered", "gone"])
def test_a_file_of_a_toy_that_is_another_is_refused(file, damage, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(MODELS / TOYS[NAME].folder, tmp_path / "toy"))
    monkeypatch.setattr(toys, "toy_folder", lambda _: folder)
    assert ensure_toy(NAME) == folder
    if damage == "gone":
        (folder / file).unlink()
    else:
        content = bytearray((folder / file).read_bytes())
        content[-2] ^= 1
        (folder / file).write_bytes(bytes(content))
    with refused(AssetError, what=(file, NAME), expected=TOYS[NAME].files[file], remedy="install the package again"):
        ks.load_model(NAME)


def test_what_else_lies_beside_a_toy_is_not_looked_at(tmp_path, monkeypatch):
    folder = Path(shutil.copytree(MODELS / TOYS[NAME].folder, tmp_path / "toy"))
    (folder / "notes.txt").write_text("mine")
    monkeypatch.setattr(toys, "toy_folder", lambda _: folder)
    assert ensure_toy(NAME) == folder


def test_a_toy_has_no_revisions():
    with refused(InputError, what=NAME, got="main", remedy="leave it out"):
        ks.load_model(NAME, revision="main")


def test_a_toy_that_is_not_installed_is_said_to_be_missing(monkeypatch):
    monkeypatch.setitem(TOYS, NAME, dataclasses.replace(TOYS[NAME], folder="ks-none"))
    with refused(AssetError, what="models/ks-none", remedy="install the package again"):
        ks.load_model(NAME)


def test_edits_of_the_toy_name_it_and_are_verified_with_it(tmp_path, monkeypatch):
    from ks_core.patches.base import Base

    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path))
    base = Base.of(ks.load_model(NAME))
    assert (base.name, base.commit, base.location) == (NAME, None, str(toy_folder(NAME)))


def test_an_adapter_of_the_toy_is_not_said_to_be_of_another_model(recwarn):
    merging._warn_of_another_base(SimpleNamespace(base=str(toy_folder("toy")), folder="mine"), ks.load_model("toy"))
    assert not recwarn.list
    with pytest.warns(UserWarning, match="made for 'elsewhere/other'"):
        merging._warn_of_another_base(SimpleNamespace(base="elsewhere/other", folder="mine"), ks.load_model("toy"))
