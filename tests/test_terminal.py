"""What people see at the end of `pytest -m paper` and of `print(ks.judge(…))`: in a terminal, a pipe, a CI service."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from foreign import write_project

PLANTED = """
import pytest
from planted_findings import many
from ks_core.pytest_session import SESSION
from ks_core.reporting.claim_lines import claim_lines, last_line, legend
from ks_core.reporting.screen import Line

class Planted:
    def finish(self, *of, **more):
        return True

    def summary(self, screen, *, verbose):
        sums = many()
        return [*claim_lines(sums, screen, parts=verbose), Line(""), *legend(sums, screen),
                *last_line(sums, "a-model", screen)]

def pytest_configure(config):
    config.stash[SESSION] = Planted()
"""
"""A run of pytest as if the planted claims had been measured in it."""

PRINTED = """
from planted_findings import many
from ks_core.claims.registry import CLAIMS
from ks_core.claims.finding import NotApplicable
from ks_core.front.judgement import Judgement

outcomes = {of.name: of.findings or NotApplicable(of.reason) for of in many()}
print(Judgement("a-model", CLAIMS, outcomes))
"""

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("project"), conftest=PLANTED, one="def test_one():\n    pass\n")


def environment(**more):
    """That of a user: nothing of the tests' own terminal; the planted claims can be imported."""
    ours = ("NO_COLOR", "FORCE_COLOR", "PY_COLORS", "COLUMNS", "CI", "BUILD_NUMBER", "PYTHONIOENCODING", "PYTHONUTF8")
    kept = {name: value for name, value in os.environ.items() if name not in ours and not name.startswith("LC_")}
    planted = str(Path(__file__).parent)
    return {**kept, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONPATH": planted, **more}


def on_terminal(command, folder, columns, **more):
    """What a command writes on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        command, cwd=folder, env=environment(**more), stdout=theirs, stderr=theirs, stdin=theirs
    ) as run:
        os.close(theirs)
        said = b""
        while True:
            try:
                piece = os.read(ours, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            said += piece
    os.close(ours)
    assert run.returncode == 0, said.decode()
    return said.decode(more.get("PYTHONIOENCODING", "utf-8")).replace("\r\n", "\n")


def in_pipe(command, folder, **more):
    done = subprocess.run(command, cwd=folder, env=environment(**more), capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return done.stdout.decode(more.get("PYTHONIOENCODING", "utf-8"))


def run_of_pytest(*options):
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "", "test_one.py", *options]


def printing():
    return [sys.executable, "-c", PRINTED]


def claims_of(said):
    """The lines of the claims, without the rules that pytest draws."""
    text = said.partition("claims of the paper")[2] or said
    return [line for line in text.split("\n")[1:] if not COLOUR.sub("", line).startswith("=")]


@pytest.mark.parametrize("columns", [60, 80])
def test_a_run_fits_its_terminal_and_colours_verdicts(project, columns):
    lines = claims_of(on_terminal(run_of_pytest(), project, columns))
    assert "interval 4.7" not in " ".join(lines), "which -v shows"
    plain = [COLOUR.sub("", line) for line in lines]
    assert max(map(len, plain)) <= columns
    assert sum(line.startswith(("holds", "does not hold", "undecided", "not judged")) for line in plain) == 14
    coloured = {COLOUR.sub("", text) for text in re.findall(r"\x1b\[3\dm.*?\x1b\[0m", "\n".join(lines))}
    assert coloured == {"holds", "does not hold", "undecided"}


def test_more_is_shown_of_each_claim_when_it_is_asked_for(project):
    more = claims_of(on_terminal(run_of_pytest("-v"), project, 80))
    assert "interval 4.7 to 5.5" in " ".join(" ".join(more).split()), "of the first claim"
    assert max(len(COLOUR.sub("", line)) for line in more) <= 80


@pytest.mark.parametrize("more", [{}, {"CI": "true"}], ids=str)
def test_what_is_piped_has_100_columns_and_no_colour(project, more):
    said = in_pipe(run_of_pytest(), project, **more)
    assert "\x1b" not in said
    lines = claims_of(said)
    assert 90 < max(map(len, lines)) <= 100
    assert sum(line.startswith(("holds", "does not hold", "undecided", "not judged")) for line in lines) == 14


@pytest.mark.parametrize("more", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_a_terminal_without_colour_gets_none(project, more):
    lines = claims_of(on_terminal(run_of_pytest(), project, 80, **more))
    assert not any(re.search(r"\x1b\[3\dm(holds|does|undecided)", line) for line in lines)


def test_columns_of_the_environment_are_respected(project):
    assert max(map(len, claims_of(in_pipe(run_of_pytest(), project, COLUMNS="70")))) <= 70


def test_a_terminal_of_ascii_gets_ascii(project):
    for said in (
        in_pipe(printing(), project, PYTHONIOENCODING="ascii"),
        on_terminal(run_of_pytest(), project, 80, PYTHONIOENCODING="ascii"),
    ):
        assert "5.10 +- 0.20" in said
        assert "17 x facts" in said or "17 x the facts" in said
        assert "\\x" not in said


def test_a_printed_judgement_fits_its_terminal(tmp_path):
    said = on_terminal(printing(), tmp_path, 60)
    assert max(map(len, said.split("\n"))) <= 60
    assert "\x1b" not in said, "a text may go into a file as well"
    assert "of 14 claims hold on a-model" in " ".join(said.split())


def test_a_printed_judgement_in_a_pipe_has_100_columns(tmp_path: Path):
    said = in_pipe(printing(), tmp_path)
    assert 90 < max(map(len, said.split("\n"))) <= 100
