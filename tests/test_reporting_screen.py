"""Columns, encodings and colours of what lines are written on."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks_core.claims.finding import Verdict
from ks_core.reporting.screen import ASCII, NARROWEST, WIDE, Line, Screen, columns, padded, screen_of

WORDS = st.lists(st.text(st.sampled_from("ab±東🙂"), min_size=1, max_size=30), max_size=12).map(" ".join)


@given(WORDS, st.integers(8, 60), st.integers(0, 5), st.integers(0, 6))
def test_wrapped_lines_fit_and_lose_nothing(text, width, indent, first):
    lines = Screen(width).wrapped(text, " " * indent, "x" * first)
    assert all(columns(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "x" * first + "".join(text.split())


def test_wrapped_lines_break_between_words_where_they_can():
    assert Screen(20).wrapped("one two three four five", "  ", "- ") == ["- one two three four", "  five"]
    assert Screen(20).wrapped("see /a/path/that/is/longer/than/it") == ["see", "/a/path/that/is/long", "er/than/it"]
    whole = Screen(20).wrapped("see /a/path/that/is/longer/than/it now", "  ", "", whole_words=True)
    assert whole == ["see", "  /a/path/that/is/longer/than/it", "  now"]
    assert Screen(20).wrapped("") == [""]


@given(WORDS, st.integers(4, 40), st.sampled_from(["utf-8", "ascii"]))
def test_a_text_is_cut_to_its_columns(text, width, encoding):
    screen = Screen(encoding=encoding)
    written = screen.text(text)
    cut = screen.cut(written, width)
    assert columns(cut) <= width
    assert cut == written or written.startswith(cut.removesuffix("…").removesuffix("..."))


def test_columns_are_those_of_a_terminal():
    assert [columns(text) for text in ("abc", "東京", "e\u0301", "🙂", "")] == [3, 4, 1, 2, 0]
    assert padded("東京", 6) == "東京  "


@pytest.mark.parametrize(
    ("text", "ascii_text"),
    [
        ("8.2 ± 6.1", "8.2 +- 6.1"),
        ("4 × the text", "4 x the text"),
        ("a → b…", "a -> b..."),
        ("Łódź", r"\u0141\xf3d\u017a"),
    ],
)
def test_characters_that_an_encoding_has_not_are_written_in_ascii(text, ascii_text):
    assert Screen(encoding="utf-8").text(text) == text
    assert Screen(encoding="ascii").text(text) == ascii_text
    assert Screen(encoding="no such encoding").text(text) == ascii_text


def test_what_stands_for_our_characters_is_ascii():
    assert all(of.isascii() for of in ASCII.values())


class Terminal(io.StringIO):
    encoding = "ascii"

    def isatty(self):
        return True


COLOURED = {
    "a terminal": (Terminal, {}, True),
    "a pipe": (io.StringIO, {}, False),
    "NO_COLOR": (Terminal, {"NO_COLOR": "1"}, False),
    "NO_COLOR that is empty": (Terminal, {"NO_COLOR": ""}, True),
    "a dumb terminal": (Terminal, {"TERM": "dumb"}, False),
    "a pipe and FORCE_COLOR": (io.StringIO, {"FORCE_COLOR": "1"}, True),
    "NO_COLOR and FORCE_COLOR": (Terminal, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.parametrize(("stream", "environment", "colour"), COLOURED.values(), ids=COLOURED)
def test_colour_is_for_terminals_that_want_it(monkeypatch, stream, environment, colour):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert screen_of(stream()).colour is colour


@pytest.mark.parametrize(("given", "width"), [("73", 73), ("3", NARROWEST), ("many", WIDE), ("-5", WIDE), ("0", WIDE)])
def test_the_width_is_that_of_the_environment(monkeypatch, given, width):
    monkeypatch.setenv("COLUMNS", given)
    monkeypatch.setattr("sys.__stdout__", None)
    assert screen_of(io.StringIO()).width == width


def test_the_encoding_is_that_of_the_stream():
    assert screen_of(Terminal()).encoding == "ascii"
    assert screen_of(io.StringIO()).encoding == "utf-8"


def test_a_line_knows_where_its_verdict_stands():
    line = Line("  holds  it", Verdict.HOLDS, 2, 7)
    assert line.parts() == [("  ", ""), ("holds", "green"), ("  it", "")]
    assert Line("no verdict").parts() == [("no verdict", "")]
    assert Screen(colour=True).written([line, Line("b")]) == "  \x1b[32mholds\x1b[0m  it\nb"
