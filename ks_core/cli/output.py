"""What a command writes besides its page: a JSON file, and on standard error only errors where it is to be quiet."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from ks_core.cli.arguments import Add
from ks_core.command import path

COMPLAINT = "ks "
"""How a line on standard error begins that is an error or a broken limit: `ks audit: FAILED: ...`."""


def declare_output(add: Add, json: str = "write everything to FILE") -> None:
    """--json, --quiet: of every command.

    Args:
        add: of the command's parser.
        json: what the file gets, in the words of --help.
    """
    add("--json", type=path, metavar="FILE", help=json)
    add(
        "--quiet",
        action="store_true",
        help="nothing but errors on standard error: no progress, no notices, no warnings",
    )


def check_json(target: Path | None, read: Mapping[str, str | Path | None]) -> None:
    """Refuse before the work a --json FILE that could not be written after it, or that is read.

    Raises:
        InputError: the same.
    """
    from ks_core.outputs import check_output

    if target is not None:
        check_output("--json", target, read)


def write_json(target: Path | None, form: str, content: Mapping[str, Any]) -> None:
    """Write what a command found as JSON, its format first; NaN becomes null. Without a file nothing is done.

    Raises:
        InputError: the file cannot be written.
    """
    if target is None:
        return
    from ks_core.outputs import write_text
    from ks_core.reporting.results import plain

    write_text(target, json.dumps(plain({"format": form, **content}), indent=1, allow_nan=False) + "\n")


class _Complaints(io.TextIOBase):
    """A standard error that lets complaints through, a line each, and is no terminal, so that nothing draws bars."""

    def __init__(self, behind: TextIO) -> None:
        super().__init__()
        self._behind, self._line = behind, ""

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Keep a line until its end, and pass it on where it is a complaint."""
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            if line.startswith(COMPLAINT):
                self._behind.write(line + "\n")
        return len(text)

    def flush(self) -> None:
        """Flush what is behind."""
        self._behind.flush()


@contextmanager
def quietly(quiet: bool) -> Iterator[None]:
    """Inside the block nothing but complaints is seen on standard error, where that is asked for."""
    if not quiet or sys.stderr is None:
        yield
        return
    before = sys.stderr
    sys.stderr = _Complaints(before)
    try:
        yield
    finally:
        sys.stderr = before


@contextmanager
def unmixed(*targets: Path | None, quiet: bool) -> Iterator[None]:
    """Inside the block the page is printed on standard error, where a file that is asked for is the standard output.

    So what reads that gets JSON and nothing else. Where both streams go to one place the page is not printed at all.

    Args:
        targets: files that are asked for.
        quiet: whether standard error is for errors only, so that the page is not printed there either.
    """
    from ks_core.outputs import is_standard_output, standard_streams_are_one

    if not any(is_standard_output(target) for target in targets if target is not None):
        yield
        return
    with redirect_stdout(io.StringIO() if quiet or standard_streams_are_one() else sys.stderr):
        yield
