"""Writes are whole or not there, on exceptions, interrupts, kills and full disks too."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from errors import refused
from safetensors.torch import save_file

from ks_core.checked_files import write_json, write_tensors
from ks_core.errors import ProvenanceError, StorageError
from ks_core.files import atomic_path, is_stored


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


WRITE = """
import sys, time
from pathlib import Path
from ks_core.files import atomic_path
with atomic_path(Path(sys.argv[1])) as made:
    made.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


@contextmanager
def writing(target):
    """Another process in the middle of a write."""
    process = subprocess.Popen([sys.executable, "-c", WRITE, str(target)], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"writing\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def write(target, text="new"):
    with atomic_path(target) as made:
        made.write_text(text)


def hidden(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


@pytest.mark.parametrize("then", ["kept.txt", "another.txt"])
def test_what_a_killed_write_left_is_removed_by_the_next_write_into_the_folder(tmp_path, then):
    with writing(tmp_path / "kept.txt") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(hidden(tmp_path)) == 1
    write(tmp_path / then)
    assert hidden(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == [then]


def test_a_write_that_is_under_way_elsewhere_is_left_alone(tmp_path):
    with writing(tmp_path / "kept.txt") as process:
        before = hidden(tmp_path)
        for name in ("kept.txt", "another.txt"):
            write(tmp_path / name)
        assert hidden(tmp_path) == before
        assert process.poll() is None
    assert (tmp_path / "kept.txt").read_text() == "new"


def test_hidden_things_that_no_write_left_stay(tmp_path):
    (tmp_path / ".kept.txt.abcdefgh").mkdir()
    (tmp_path / ".kept.txt.abcdefgh" / "mine").write_text("mine")
    (tmp_path / ".kept.txt.file_1_2").write_text("mine")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".venv.311").mkdir()
    before = hidden(tmp_path)
    write(tmp_path / "kept.txt")
    assert hidden(tmp_path) == before


def test_a_holder_that_vanishes_while_it_is_looked_at_stays_locked_by_nobody(tmp_path, monkeypatch):
    """Its maker waits for the lock, and would wait for ever for one that is never closed."""
    looked_at = []

    def vanished(folder):
        looked_at.append(folder)
        raise FileNotFoundError(folder)

    as_ever = Path.iterdir
    (tmp_path / ".cached.txt.abcdefgh").mkdir()
    before = len(list(Path("/dev/fd").iterdir()))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", lambda of: vanished(of) if of.name[0] == "." else as_ever(of))
        write(tmp_path / "cached.txt")
    assert looked_at, "a stale holder was found"
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_many_writers_of_one_file_do_not_take_one_anothers_work(tmp_path):
    target = tmp_path / "kept.txt"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: write(target, str(number) * 1000), range(200)))
    assert len(set(target.read_text())) <= 3
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


@contextmanager
def file_size_limit(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def plain_file(target):
    with atomic_path(target) as made:
        made.write_bytes(b"0" * 100_000)


def whole_folder(target):
    with atomic_path(target) as made:
        made.mkdir()
        save_file({"a": torch.zeros(100_000)}, made / "model.safetensors")


WRITERS = {
    "file": plain_file,
    "folder": whole_folder,
    "JSON": lambda target: write_json(target, "x", {"text": "0" * 100_000}),
    "tensors": lambda target: write_tensors(target, "x", {}, {"a": torch.zeros(100_000)}),
}


@pytest.mark.parametrize("name", WRITERS)
def test_no_room_is_one_line_with_path_and_remedy_and_leaves_what_was(tmp_path, name):
    target = tmp_path / "kept"
    target.mkdir() if name == "folder" else target.write_text("old")
    with (
        file_size_limit(10_000),
        refused(StorageError, what=str(target), got="File too large", remedy=("ulimit -f", "KS_CORE_CACHE")),
    ):
        WRITERS[name](target)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert target.is_dir() or target.read_text() == "old"


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_line_with_path_and_remedy(tmp_path, name):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]).returncode:
        pytest.skip("no file system can be mounted here: a full disk was not tried, a file size limit was")
    try:
        with refused(StorageError, what="kept", got="No space left on device", remedy="make room"):
            WRITERS[name](disk / "kept")
        assert not list(disk.iterdir())
        (disk / "filler").write_bytes(b"0" * 30_000)
        write(disk / "small")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_what_is_in_the_way_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "content").write_text("")
    for target in (tmp_path / "file" / "below", tmp_path / "folder", tmp_path / ("x" * 300), Path("/proc/kept")):
        with refused(StorageError, what="cannot be written", expected="a place that you may write to"):
            write(target)
    assert (tmp_path / "folder" / "content").exists()
    assert hidden(tmp_path) == []


def test_errors_of_the_block_that_are_not_about_room_come_out_as_they_are(tmp_path):
    def read_something_missing():
        with atomic_path(tmp_path / "kept"):
            (tmp_path / "none").read_text()

    with pytest.raises(FileNotFoundError) as info:
        read_something_missing()
    assert info.value.errno == errno.ENOENT


def test_is_stored_tells_what_is_missing_from_what_cannot_be_read(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("none")
    assert [is_stored(tmp_path / name) for name in ("file", "link", "none", "dangling")] == [True, True, False, False]
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "file" / "below", Path("/dev/null")):
        began = time.monotonic()
        with pytest.raises(ProvenanceError, match="cannot be read"):
            is_stored(path)
        assert time.monotonic() - began < 10, "it waited for a writer"
