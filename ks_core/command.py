"""What commands and plugins share: arguments as types, errors in one line, and the exit status."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ks_core.errors import InputError, KsError
from ks_core.formatting import one_line, shown

_LONGEST_NUMBER = 15
"""digits that a float holds"""


class Parser(argparse.ArgumentParser):
    """argparse's parser, whose errors are one line however long and odd the argument is.

    It takes options by their whole names only: `--jso` would be `--json`, until another option begins alike.
    """

    def __init__(self, *, allow_abbrev: bool = False, **settings: Any) -> None:
        super().__init__(allow_abbrev=allow_abbrev, **settings)

    def error(self, message: str) -> NoReturn:
        """Print the error; exit with status 2."""
        self.exit(2, f"{self.prog}: error: {one_line(message)}; see {self.prog} --help\n")


def integer(least: int | None = None, most: int | None = None) -> Callable[[str], int]:
    """A type of argument: an integer within limits.

    Example:
        >>> integer(least=0)("-1")
        Traceback (most recent call last):
        ...
        argparse.ArgumentTypeError: '-1'; expected an integer of at least 0
    """
    limits = {"of at least": least, "and at most" if least is not None else "of at most": most}
    words = " ".join(f"{words} {limit}" for words, limit in limits.items() if limit is not None)

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:  # also more digits than Python reads
            value = None
        if value is None or (least is not None and value < least) or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"{shown(text)}; expected an integer {words}".rstrip())
        return value

    return read


def number(text: str) -> float:
    """A type of argument: a number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{shown(text)}; expected a number") from None


UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 1 << 10, "MIB": 1 << 20} | {
    "GIB": 1 << 30,
    "TIB": 1 << 40,
}
"""of amounts of memory, in bytes"""


def size(text: str) -> int:
    """A type of argument: an amount of memory, in bytes.

    Example:
        >>> size("40GB"), size("1.5 GiB")
        (40000000000, 1610612736)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].upper() not in UNITS or len(match[1]) > _LONGEST_NUMBER or float(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{shown(text)}; expected an amount of memory, such as 40GB or 512MiB")
    return int(float(match[1]) * UNITS[match[2].upper()])


def integers(text: str) -> tuple[int, ...]:
    """A type of argument: different integers with commas between them, sorted."""
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{shown(text)}; expected layer numbers, such as 0,8,16") from None


def given(text: str) -> str:
    """A type of argument: a text that is not blank, such as a name or a path."""
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError(f"{shown(text)}; expected a name or a path")
    return text


def path(text: str) -> Path:
    """A type of argument: a path; an empty one would be the current folder."""
    return Path(given(text))


def imported(option: str, spec: str) -> Any:
    """Import what `their_package.module:function` names; attributes of attributes (`module:Class.method`) too.

    Raises:
        InputError: another form, a module that cannot be imported, or no such attribute in it.

    Example:
        >>> imported("--ks-editor", "json:dumps").__name__
        'dumps'
    """
    module_name, colon, attribute = spec.partition(":")
    if not (module_name and colon and attribute):
        raise InputError(f"{option} is {spec!r}; expected an import path of the form their_package.module:function")
    try:
        found: Any = importlib.import_module(module_name)
    except KsError as error:  # what is wrong, and what was expected, it says itself: a claim of `traits`, for one
        raise InputError(f"{option}: module {module_name!r}: {error}") from error
    except Exception as error:
        found_at_all = "expected one that this Python finds: install its package, or add its folder to PYTHONPATH"
        expected = found_at_all if isinstance(error, ImportError) else "expected one that is imported without an error"
        raise InputError(
            f"{option}: module {module_name!r} cannot be imported: {type(error).__name__}: {error}; {expected}"
        ) from error
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise InputError(f"{option}: {module_name!r} has no {attribute!r}; expected the name of a function in it")
        found = getattr(found, name)
    return found


def run(name: str, command: Callable[[], int], *, interrupted: str) -> int:
    """Run a command, and say in one line what ended it.

    Args:
        name: of the command, before its errors.
        command: does the work, prints, and returns the exit status.
        interrupted: what to say after an interrupt.

    Returns:
        The exit status: the command's own, 2 for input that cannot be used and output that cannot be written (a reader
        that went away too) and too little memory, 130 for an interrupt.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal's encoding may have neither ± nor a subject
    try:
        status = command()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        _complain(f"{name}: error: the reader of the output closed it before the end")
        return 2
    except (KsError, OSError) as error:
        _complain(f"{name}: error: {one_line(error)}")
        _drop_output_if_broken()
        return 2
    except MemoryError as error:
        _complain(f"{name}: error: not enough memory: {one_line(error)}; ask for less")
        return 2
    except KeyboardInterrupt:
        _complain(interrupted)
        return 130
    return status


def _complain(line: str) -> None:
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:  # nobody listens: the exit status has to do
        return


def _drop_output() -> None:
    """Let what is still to be printed go nowhere: Python flushes it at its end, and would fail once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _drop_output_if_broken() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _drop_output()
