"""What lines are written on: so many columns, in an encoding, with colour or without."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ks_core.claims.finding import Verdict
from ks_core.formatting import printable

WIDE = 100
"""Columns where there is no terminal: a pipe, a file, a CI service."""

NARROWEST = 20
"""Fewer columns are taken for so many: a number with its error needs them."""

ASCII = {"±": "+-", "×": "x", "→": "->", "…": "...", "°": " deg", "²": "^2", "·": "*", "‖": "||", "Δ": "d", "½": "1/2"}
"""What stands for characters of ours that an encoding has not; names of others are escaped."""

COLOURS = {Verdict.HOLDS: "green", Verdict.FAILS: "red", Verdict.UNDECIDED: "yellow"}
"""As pytest's terminal writer names them."""

_CODES = {"green": 32, "red": 31, "yellow": 33}


@dataclass(frozen=True)
class Line:
    """A line of text; where a verdict stands in it.

    Attributes:
        verdict: that is coloured, if any
        start, end: the columns that it takes up
    """

    text: str
    verdict: Verdict | None = None
    start: int = 0
    end: int = 0

    def parts(self) -> list[tuple[str, str]]:
        """Pieces of the text, each with its colour, or with none (empty)."""
        if self.verdict is None:
            return [(self.text, "")]
        colour = COLOURS[self.verdict]
        pieces = [
            (self.text[: self.start], ""), (self.text[self.start : self.end], colour), (self.text[self.end :], "")
        ]  # fmt: skip
        return [piece for piece in pieces if piece[0]]


@dataclass(frozen=True)
class Screen:
    """Columns and characters that lines have to do with.

    Attributes:
        width: columns of a line, at most
        encoding: of the stream; what it has not is written in ASCII
        colour: whether verdicts are coloured

    Example:
        >>> Screen(encoding="ascii").text("8.2 ± 6.1, Łódź"), Screen().cut("a long name", 8)
        ('8.2 +- 6.1, \\\\u0141\\\\xf3d\\\\u017a', 'a long …')
    """

    width: int = WIDE
    encoding: str = "utf-8"
    colour: bool = False

    def text(self, text: object) -> str:
        """Anyone's text on one line, in characters that the encoding has."""
        said = printable(text)
        if _has(self.encoding, said):
            return said
        return "".join(of if _has(self.encoding, of) else _in_ascii(of) for of in said)

    def cut(self, text: str, width: int) -> str:
        """A text of at most so many columns, its end left out where it is longer."""
        if columns(text) <= width:
            return text
        mark = self.text("…")
        kept = ""
        for character in text:
            if columns(kept + character + mark) > width:
                break
            kept += character
        return kept + mark

    def wrapped(self, text: str, indent: str = "", first: str | None = None, *, whole_words: bool = False) -> list[str]:
        """A text in lines of at most `width` columns.

        Args:
            text: already in the encoding.
            indent: before each line.
            first: before the first line instead.
            whole_words: leave a word whole that is longer than a line, such as a path that is to be copied.
        """
        lines, line, empty = [], indent if first is None else first, True
        for word in text.split(" "):
            rest = word
            while rest:
                joined = line + rest if empty else f"{line} {rest}"
                if columns(joined) <= self.width or (whole_words and empty):
                    line, empty, rest = joined, False, ""
                elif not empty:
                    lines.append(line)
                    line, empty = indent, True
                else:
                    piece = _longest(rest, max(1, self.width - columns(line)))
                    lines.append(line + piece)
                    line, rest = indent, rest[len(piece) :]
        return lines if empty and lines else [*lines, line.rstrip()]

    def written(self, lines: Iterable[Line]) -> str:
        """The lines as text, with ANSI's codes of colour where there is colour."""
        return "\n".join(map(self._coloured, lines))

    def _coloured(self, line: Line) -> str:
        if not self.colour:
            return line.text
        return "".join(f"\x1b[{_CODES[of]}m{text}\x1b[0m" if of else text for text, of in line.parts())


def screen_of(stream: Any = None) -> Screen:
    """The screen that a stream is written on, standard output by default.

    The width is $COLUMNS, or that of the terminal, or 100 where there is none. Colour is for terminals, and not where
    $NO_COLOR is set or $TERM is dumb; $FORCE_COLOR asks for it in any case.
    """
    stream = sys.stdout if stream is None else stream
    width = shutil.get_terminal_size((WIDE, 24)).columns
    is_terminal = bool(getattr(stream, "isatty", bool)()) and os.environ.get("TERM") != "dumb"
    colour = not os.environ.get("NO_COLOR") and (is_terminal or bool(os.environ.get("FORCE_COLOR")))
    return Screen(max(width, NARROWEST), getattr(stream, "encoding", None) or "utf-8", colour)


def columns(text: str) -> int:
    """Columns that a text takes up on a terminal: two for a wide character, none for one that joins the one before.

    Example:
        >>> columns("Łódź"), columns("東京"), columns("e\\u0301")
        (4, 4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def padded(text: str, width: int) -> str:
    """A text with spaces up to so many columns."""
    return text + " " * max(0, width - columns(text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _longest(text: str, width: int) -> str:
    """The longest beginning of at most so many columns, one character at least."""
    end = 1
    while end < len(text) and columns(text[: end + 1]) <= width:
        end += 1
    return text[:end]


def _has(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return text.isascii()
    return True


def _in_ascii(character: str) -> str:
    return ASCII.get(character) or character.encode("ascii", "backslashreplace").decode("ascii")
