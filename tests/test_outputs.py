"""Files where a user says, on real pipes, devices, sockets and links."""

import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from errors import refused

from ks_core.errors import InputError
from ks_core.outputs import check_folder, check_output, is_regular, output_path, write_text


def test_a_regular_file_is_replaced_whole_and_keeps_its_mode(tmp_path):
    target = tmp_path / "out"
    target.write_text("something longer than what comes")
    target.chmod(0o640)
    write_text(target, "new")
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_write_that_is_broken_off_leaves_the_old_file(tmp_path):
    target = tmp_path / "out"
    target.write_text("new")

    def write_half():
        with output_path(target) as made:
            made.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert target.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_links_are_followed_and_stay(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to(tmp_path / "made")
    for name in ("link", "dangling"):
        check_output("--json", tmp_path / name, {})
        write_text(tmp_path / name, name)
        assert (tmp_path / name).is_symlink()
    assert (tmp_path / "real").read_text() == "link"
    assert (tmp_path / "made").read_text() == "dangling"


def test_a_pipe_is_written_to_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text()))
    reader.start()
    check_output("--json", pipe, {})
    write_text(pipe, "through the pipe")
    reader.join(30)
    assert heard == ["through the pipe"]
    assert pipe.is_fifo()
    assert not is_regular(pipe)


def test_a_socket_is_written_to_and_stays(tmp_path, monkeypatch):
    """In another process: this one connects to nothing."""
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    code = "from pathlib import Path; from ks_core.outputs import write_text; write_text(Path('here'), 'to the socket')"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("here")
        server.listen()
        subprocess.run([sys.executable, "-c", code], check=True)
        connection, _ = server.accept()
        with connection:
            assert connection.recv(100) == b"to the socket"
    assert Path("here").is_socket()


@pytest.mark.parametrize("name", ["/dev/null", "/dev/full"])
def test_a_device_is_written_to_and_stays(name):
    device = Path(name)
    before = device.stat()
    check_output("--json", device, {})
    if name == "/dev/full":
        with pytest.raises(InputError, match=r"/dev/full cannot be written: .*No space left"):
            write_text(device, "text")
    else:
        write_text(device, "text")
    assert device.is_char_device()
    assert (device.stat().st_ino, device.stat().st_rdev) == (before.st_ino, before.st_rdev)


@pytest.mark.parametrize("redirected", [True, False], ids=["file", "pipe"])
def test_the_standard_output_is_written_to_in_its_order(tmp_path, redirected):
    """Where it goes to a file too: a replaced file would lose what was printed to it."""
    code = (
        "from pathlib import Path; from ks_core.outputs import write_text; print('before');"
        "write_text(Path('/dev/stdout'), 'written\\n'); print('after')"
    )
    out = tmp_path / "out"
    with out.open("w") as sink:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=sink if redirected else subprocess.PIPE, text=True, check=True
        )
    said = out.read_text() if redirected else done.stdout
    assert said.splitlines() == ["before", "written", "after"]


def test_an_input_is_refused_under_every_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    edits, folder = tmp_path / "edits.json", tmp_path / "texts" / "deep"
    folder.mkdir(parents=True)
    edits.write_text("[]")
    (folder / "one.txt").write_text("text")
    (tmp_path / "symbolic").symlink_to(edits)
    (tmp_path / "twice").symlink_to("symbolic")
    (tmp_path / "hard").hardlink_to(edits)
    (tmp_path / "hard_text").hardlink_to(folder / "one.txt")
    inputs = {"EDITS": "edits.json", "--corpus": str(tmp_path / "texts"), "--model": "a/hub-id", "--keep": None}
    for name in ("edits.json", "./texts/../edits.json", "symbolic", "twice", "hard", str(edits)):
        with refused(InputError, what=f"--json: {Path(name)}", got="EDITS", expected="another file"):
            check_output("--json", Path(name), inputs)
    for name in ("texts/deep/one.txt", "hard_text"):
        with pytest.raises(InputError, match="is read as --corpus"):
            check_output("--json", Path(name), inputs)
    check_output("--json", Path("other.json"), inputs | {"--corpus": "hub:" + "x" * 5000, "--facts": "a\0b"})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "folder is a folder; expected a file"),
        ("to_folder", "to_folder is a folder"),
        ("file/out", "Not a directory"),
        ("loop", "symbolic link"),
        ("x" * 300, "File name too long"),
        ("nul\0", "null byte"),
        ("/proc/1/task", "is a folder"),
    ],
)
def test_what_cannot_be_written_is_refused_and_nothing_is_made(tmp_path, name, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "to_folder").symlink_to("folder")
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message):
        check_output("--json", tmp_path / name, {})
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_is_checked_without_being_made(tmp_path):
    check_folder("--ks-results", tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"--ks-results: .*file.* Not a directory|is no folder"):
        check_folder("--ks-results", tmp_path / "file" / "b")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_what_the_user_may_not_write_is_refused(tmp_path):
    locked, read_only = tmp_path / "locked", tmp_path / "read_only"
    locked.mkdir(0o555)
    read_only.touch(0o444)
    with pytest.raises(InputError, match="locked cannot be written"):
        check_output("--json", locked / "out", {})
    with pytest.raises(InputError, match="read_only is read-only"):
        check_output("--json", read_only, {})


def test_halves_of_surrogate_pairs_are_written_as_json_spells_them(tmp_path):
    write_text(tmp_path / "out", '"‖\ud800"')
    assert (tmp_path / "out").read_text(encoding="utf-8") == '"‖\\ud800"'
