"""Files where a user says: replaced whole, written to where they are pipes or devices, and never what was read.

What is wrong with a place is said before the work (`check_output`, `check_folder`), which may take an hour.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ks_core.errors import InputError
from ks_core.files import atomic_path

STANDARD_STREAMS = (1, 2)
"""Descriptors of output and errors."""


def check_output(option: str, path: Path, inputs: Mapping[str, str | Path | None]) -> None:
    """Refuse a path that cannot be written, or that is one of the files that are read; writes nothing.

    Args:
        option: by which the path was given, for the message.
        path: of the file to be.
        inputs: what is read, by its name in the message: files, folders with all files in them, or names of anything
            else, which are passed over. Links and other spellings of a file are that file.

    Raises:
        InputError: a folder, a read-only file, an input, a path without a folder that can be written.
    """
    with _refusing(option, path):
        there = _status(path)
        if there is not None:
            _check_existing(option, path, there, inputs)
        if is_regular(path):
            check_folder(option, path.resolve().parent)


def _check_existing(option: str, path: Path, there: os.stat_result, inputs: Mapping[str, str | Path | None]) -> None:
    if stat.S_ISDIR(there.st_mode):
        raise InputError(f"{option}: {path} is a folder; expected a file")
    for name, given in inputs.items():
        if any(os.path.samestat(there, file) for file in _files(given)):
            raise InputError(f"{option}: {path} is read as {name}; expected another file to write to")
    if not os.access(path, os.W_OK):
        raise InputError(f"{option}: {path} is read-only; expected a file that can be written")


def check_folder(option: str, path: Path) -> None:
    """Refuse a folder that is not there and cannot be made, or cannot be written; makes nothing.

    Raises:
        InputError: the same.
    """
    with _refusing(option, path):
        place = path.resolve()
        while _status(place) is None:
            place = place.parent
        if not place.is_dir():
            raise InputError(f"{option}: {place} is no folder; expected one that can be written")
        if not os.access(place, os.W_OK | os.X_OK):
            raise InputError(f"{option}: the folder {place} cannot be written; expected one that can be")


def is_regular(path: Path) -> bool:
    """Whether a write makes or replaces a file: not where a pipe, a device, a socket or the terminal's file is."""
    there = _status(path)
    return there is None or (stat.S_ISREG(there.st_mode) and _standard_stream(there) is None)


def is_standard_output(path: Path) -> bool:
    """Whether a path is where the standard output goes to, however it is spelt; not so where that is nowhere.

    Nor is a path that leads nowhere, such as a loop of links: what is wrong with it `check_output` says.
    """
    try:
        there = _status(path)
    except (OSError, RuntimeError, ValueError):
        return False
    return there is not None and not os.path.samestat(there, Path(os.devnull).stat()) and _goes_to(1, there)


def standard_streams_are_one() -> bool:
    """Whether output and errors go to one place: a terminal, or one file."""
    try:
        return _goes_to(1, os.fstat(2))
    except OSError:  # closed
        return False


@contextmanager
def output_path(target: Path) -> Iterator[Path]:
    """Yield a fresh path; what is written there stands at `target` when the block ends, or nothing of it does.

    A regular file is replaced whole and keeps its mode, at the end of links where `target` is one. Into anything else
    (a pipe, a device, a socket, the file that the standard output goes to) the content is written.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        if is_regular(target):
            real = target.resolve()
            with atomic_path(real) as made:
                made.touch()
                mode = (real if real.exists() else made).stat().st_mode
                yield made
                made.chmod(stat.S_IMODE(mode))  # whatever mode the writer has given it
            return
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "content"
            yield made
            _write_into(target, made)
    except OSError as error:
        raise _cannot("output", target, error) from error


def write_text(target: Path, text: str) -> None:
    """Write a text as UTF-8, by `output_path`; halves of surrogate pairs, which UTF-8 has not, as JSON spells them.

    Raises:
        InputError: the file cannot be written.
    """
    with output_path(target) as made:
        made.write_text(text, encoding="utf-8", errors="backslashreplace")


def _write_into(target: Path, content: Path) -> None:
    if sys.stdout is not None:
        sys.stdout.flush()  # what was printed before comes first, also where the target is the standard output
    with content.open("rb") as source:
        if target.is_socket():
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(target))
                connection.sendfile(source)
            return
        stream = _standard_stream(target.stat())
        # A file that a standard stream goes to is written by that stream, whose place in it then moves on.
        with target.open("ab") if stream is None else os.fdopen(os.dup(stream), "wb") as sink:
            shutil.copyfileobj(source, sink)


def _standard_stream(there: os.stat_result) -> int | None:
    """The descriptor of the standard stream that goes to this file, if one does."""
    return next((descriptor for descriptor in STANDARD_STREAMS if _goes_to(descriptor, there)), None)


def _goes_to(descriptor: int, there: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), there)
    except OSError:  # closed
        return False


def _files(given: str | Path | None) -> Iterator[os.stat_result]:
    """The files of an input: its own, or all in its folder; none for the name of something else."""
    try:
        there = None if given is None else _status(Path(given))
    except (OSError, ValueError):  # longer than a path can be, or with a NUL in it: another kind of name
        there = None
    if there is None:
        return
    if not stat.S_ISDIR(there.st_mode):
        yield there
        return
    for path in Path(str(given)).rglob("*"):
        if found := _status(path):
            yield found


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


@contextmanager
def _refusing(option: str, path: Path) -> Iterator[None]:
    """Turn what the system says about a path into one clear error: loops of links, a NUL, names that are too long."""
    try:
        yield
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        raise _cannot(option, path, error) from error


def _cannot(option: str, path: Path, error: Exception) -> InputError:
    return InputError(f"{option}: {path} cannot be written: {error}; expected a path that can be")
