"""Writes are whole or not there, on exceptions and interrupts too."""

import pytest

from ks_core.files import atomic_path


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, stop):
    target = tmp_path / "kept.txt"
    target.write_text("old")

    def write_half():
        with atomic_path(target) as made:
            made.write_text("ne")
            raise stop

    with pytest.raises(stop):
        write_half()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_a_folder_replaces_a_folder_whole(tmp_path):
    target = tmp_path / "model"
    for name in ("old", "new"):
        with atomic_path(target) as made:
            made.mkdir()
            (made / name).write_text(name)
    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
