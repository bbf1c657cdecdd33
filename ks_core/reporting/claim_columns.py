"""Lines of claims in columns, or one below the other where there is no room beside; whatever fits is said in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ks_core.claims.finding import Verdict
from ks_core.claims.summing import NOT_JUDGED
from ks_core.reporting.screen import Line, Screen, columns, padded

HEADINGS = ("verdict", "claim", "value ± error", "required, how far; what decides")

LEAST_WIDE = 92
"""Columns from which on a claim has one line; below it has its number in a second."""

LEAST_INDENTED = 60
"""Columns from which on verdicts stand in a column of their own."""

GAP = "  "
VERDICT = max(len(of.value) for of in Verdict)
NUMBER = 15
"""Columns of a number, at most: `0.9792 ± 0.0059`; a longer one takes of the column beside it."""

ROOM = 31
"""Columns of what is required, how far off it is and what decides, at least: `within 0.25, 9.9 errors outside`."""


@dataclass(frozen=True)
class Row:
    """What stands in the columns of a line, each said in one or more ways, the longest first.

    Attributes:
        indent: 0 for a claim, 2 for a part of it
        said: what is claimed
        number: with its error; empty for what was not judged
        told: what is required of it and how far off it is, and what would decide, if anything; or why it was not judged
        named: how many of the ways of saying, from the first on, name the part that the number is of
        parts: names of that part, the longest first, where it must be named
    """

    verdict: Verdict | None
    said: tuple[str, ...]
    number: str
    told: tuple[tuple[str, str], ...]
    indent: int = 0
    named: int = 0
    parts: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The verdict in words."""
        return NOT_JUDGED if self.verdict is None else self.verdict.value


class Wide:
    """Verdict, claim, number and the rest in columns.

    Args:
        rows: all that will be shown, as the columns go by them.
        screen: no line is wider.
    """

    details = VERDICT + len(GAP)

    def __init__(self, rows: Sequence[Row], screen: Screen) -> None:
        self.screen = screen
        judged = [row for row in rows if row.number]
        self.number = min(NUMBER, max([columns(row.number) for row in judged] + [columns(self._headings()[2])]))
        room = screen.width - VERDICT - self.number - 3 * len(GAP)
        shortest = max([columns(row.said[-1]) + row.indent for row in rows], default=0)
        longest = max([columns(_joined(row.told[0])) for row in judged], default=0)
        told = max(ROOM, min(longest, room - shortest))
        fitting = [columns(_first_that_fits(row.said, room - told - row.indent)) + row.indent for row in rows]
        self.said = min(room - told, max([*fitting, len(HEADINGS[1])]))
        self.told = room - self.said

    def _headings(self) -> list[str]:
        return [self.screen.text(of) for of in HEADINGS]

    def heading(self) -> list[Line]:
        """Names of the columns."""
        return [self._line(self._headings(), 0)]

    def lines(self, row: Row) -> list[Line]:
        """One."""
        said = self.screen.cut(_first_that_fits(row.said, self.said - row.indent), self.said - row.indent)
        if not row.number:
            rest = self.number + len(GAP) + self.told
            line = self._line([row.label, said, self.screen.cut(row.told[0][0], rest)], row.indent)
            return [Line(line.text)]
        room = self.number + len(GAP) + self.told
        beside = room - columns(row.number) - len(GAP)
        told = self.screen.cut(self._told(row, said, beside), beside)
        start = min(self.number + len(GAP), room - columns(told))  # where it is long, nearer to the number
        line = self._line([row.label, said, padded(row.number, start - len(GAP)) + GAP + told], row.indent)
        return [Line(line.text, row.verdict, row.indent, row.indent + len(row.label))]

    def _told(self, row: Row, said: str, beside: int) -> str:
        """What is required and decides, with the name of the part before it where it is not named already."""
        ways = list(map(_joined, row.told))
        if said not in row.said[: row.named]:
            named = (f"{part}: {way}" for way in ways for part in row.parts)
            found = next((way for way in named if columns(way) <= beside), None)
            if found is not None:
                return found
        aligned = min(self.told, beside)
        return next((way for way in ways[:3] if columns(way) <= aligned), _first_that_fits(ways[2:], beside))

    def _line(self, cells: Sequence[str], indent: int) -> Line:
        widths = (VERDICT, self.said - indent, self.number, self.told)
        padding = [padded(cell, width) for cell, width in zip(cells, widths, strict=False)]
        return Line(" " * indent + GAP.join(padding).rstrip())


class Narrow:
    """Verdict and claim, and the number in the next line.

    Args:
        screen: no line is wider.
    """

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.details = VERDICT + len(GAP) if screen.width >= LEAST_INDENTED else 4

    def heading(self) -> list[Line]:
        """None."""
        return []

    def lines(self, row: Row) -> list[Line]:
        """Two, or as many as the words need."""
        screen, margin = self.screen, " " * row.indent
        label = padded(row.label, VERDICT) if screen.width >= LEAST_INDENTED else row.label
        start = f"{margin}{label}{GAP}"
        said = _first_that_fits(row.said, screen.width - len(start))
        indent = " " * (row.indent + self.details)
        lines = screen.wrapped(said, indent, start)
        if row.number:
            part = f"{row.parts[-1]}: " if row.parts and said not in row.said[: row.named] else ""
            ways = [_joined((f"{part}{row.number} ({held})", decides)) for held, decides in row.told[:3] if held]
            below = screen.wrapped(_first_that_fits(ways, screen.width - len(indent)), indent)
        else:
            below = [indent + screen.cut(row.told[0][0], screen.width - len(indent))]
        return [Line(lines[0], row.verdict, row.indent, row.indent + len(row.label)), *map(Line, lines[1:] + below)]


def _joined(told: tuple[str, str]) -> str:
    """What is required and how far off it is; what would decide."""
    return "; ".join(filter(None, told))


def _first_that_fits(ways: Sequence[Any], width: int) -> Any:
    """The longest way of saying something that has room, the shortest where none has."""
    return next((way for way in ways if columns(way) <= width), ways[-1])
