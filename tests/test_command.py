"""What commands share: arguments of the right kind, and one line for whatever ends a command."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ks_core.command import Parser, given, integer, integers, number, path, run
from ks_core.errors import InputError

LONG = "9" * 25_000


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (integer(), "-3", -3),
        (integer(0), "0", 0),
        (integer(0, 9), "9", 9),
        (number, "1e-3", 1e-3),
        (integers, "8,0,8", (0, 8)),
        (given, "a b", "a b"),
        (path, "a/b", Path("a/b")),
    ],
)
def test_arguments_are_read(kind, text, value):
    assert kind(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (integer(), "1.5", "'1.5'; expected an integer"),
        (integer(), LONG, "...; expected an integer"),
        (integer(), "\x1b[2J\n", r"'\x1b[2J\n'; expected an integer"),
        (integer(0), "-1", "'-1'; expected an integer of at least 0"),
        (integer(0, 9), "10", "'10'; expected an integer of at least 0 and at most 9"),
        (number, "x" * 25_000, "...; expected a number"),
        (integers, f"1,,{LONG}", "...; expected layer numbers, such as 0,8,16"),
        (given, "", "''; expected a name or a path"),
        (given, " \t", "expected a name or a path"),
        (path, "a\0", "expected a name or a path"),
    ],
)
def test_arguments_of_another_kind_are_refused_and_echoed_in_short(kind, text, message):
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        kind(text)
    assert message in str(refused.value)
    assert len(str(refused.value)) < 150


@pytest.mark.parametrize("argument", ["--colour=" + "x" * 25_000, "--number=" + LONG, "y" * 25_000, "--\x1b[2J\n"])
def test_errors_of_the_parser_are_one_short_line(argument, capsys):
    parser = Parser(prog="it")
    parser.add_argument("--colour", choices=["red", "green"])
    parser.add_argument("--number", type=int)
    with pytest.raises(SystemExit) as ended:
        parser.parse_args([argument])
    last = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 2
    assert last.startswith("it: error: ")
    assert last.isprintable()
    assert len(last) < 700


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (InputError("layer is 9;\n expected 0"), 2, "it: error: layer is 9;\\n expected 0"),
        (PermissionError(13, "Permission denied", "/a\x1b[2J"), 2, "Permission denied: '/a\\x1b[2J'"),
        (MemoryError("9 TB"), 2, "it: error: not enough memory: 9 TB; ask for less"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_what_ends_a_command_is_said_in_one_line(error, status, said, capsys):
    def command():
        raise error

    assert run("it", command, interrupted="stopped") == status
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.parametrize(
    ("redirection", "said"),
    [
        ("| head -1", "it: error: the reader of the output closed it before the end"),
        ("> /dev/full", "it: error: [Errno 28] No space left on device"),
        (">&-", ""),
    ],
)
def test_an_output_that_breaks_is_one_line_and_no_traceback(redirection, said):
    code = (
        "from ks_core.command import run\n"
        "def command():\n    print('line ± of many\\n' * 100_000)\n    return 0\n"
        "raise SystemExit(run('it', command, interrupted=''))"
    )
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$0" -c "$1" {redirection}', sys.executable, code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert done.stderr.splitlines() == ([said] if said else [])
    assert done.returncode == (2 if said else 0)
