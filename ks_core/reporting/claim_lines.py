"""The claims of a run for the terminal: one line each, what decides the undecided, and a short legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ks_core.claims.deciding import needed
from ks_core.claims.finding import Finding, Verdict
from ks_core.claims.published import NOT_COMPARED
from ks_core.claims.summing import Sum, count_of, distance
from ks_core.formatting import plus_minus
from ks_core.reporting import words
from ks_core.reporting.screen import Line, Screen, columns, padded

NOT_JUDGED = "not judged"

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
"""Columns of what is required, how far off it is and what decides, at least: `± 0.25, 9.9 errors outside`."""

FAR = 100.0
"""Errors from which on they are not counted."""

ALL_PARTS = "each part with its layers, interval, n and references"


@dataclass(frozen=True)
class Row:
    """What stands in the columns of a line, each said in one or more ways, the longest first.

    Attributes:
        indent: 0 for a claim, 2 for a part of it
        said: what is claimed
        number: with its error; empty for what was not judged
        told: what is required of it and how far off it is, and what would decide, if anything; or why it was not judged
    """

    verdict: Verdict | None
    said: tuple[str, ...]
    number: str
    told: tuple[tuple[str, str], ...]
    indent: int = 0

    @property
    def label(self) -> str:
        """The verdict in words."""
        return NOT_JUDGED if self.verdict is None else self.verdict.value


def claim_lines(sums: Sequence[Sum], screen: Screen, *, parts: bool = False) -> list[Line]:
    """One line a claim, in the order given; in few columns a second one, with the number.

    Args:
        sums: of the claims.
        screen: no line is longer than it is wide.
        parts: whether the parts of each claim follow it, with everything that is known of them.
    """
    blocks = [(_row(of, screen), _below(of, screen) if parts else []) for of in sums]
    rows = [row for row, below in blocks for row in (row, *(part for part, _ in below if part is not None))]
    layout = _Wide(rows, screen) if screen.width >= LEAST_WIDE else _Narrow(screen)
    lines = layout.heading()
    for row, below in blocks:
        lines += layout.lines(row)
        for part, details in below:
            lines += [] if part is None else layout.lines(part)
            indent = " " * (layout.details + (0 if part is None else part.indent))
            lines += [Line(line) for line in screen.wrapped(details, indent)] if details else []
    return lines


def legend(sums: Sequence[Sum], screen: Screen, *, more: str = "") -> list[Line]:
    """What the words and numbers of the lines mean, and where there is more: `-v`."""
    weakest = [of.weakest for of in sums if of.weakest is not None]
    told = [
        "± is one standard error, over facts and text together, and how far off is counted in it. A verdict rests on "
        "the interval: 95 % over facts, widened by twice the error over text."
    ]
    if any(len(of.findings) > 1 for of in sums):
        told.append("(2 of 4): so many of a claim's parts hold; the number is that of the weakest.")
    if any(of.verdict is Verdict.UNDECIDED for of in weakest):
        told.append("× the text, × the facts: so much, at least, would decide, if the number stays.")
    if any(not math.isfinite(of.error) for of in weakest):
        told.append("?: some sample leaves the number undefined.")
    told += [f"{more} shows {ALL_PARTS}."] if more else []
    return [Line(line) for line in screen.wrapped(screen.text(" ".join(told)))]


def last_line(sums: Sequence[Sum], model: str, screen: Screen) -> list[Line]:
    """How many claims hold on the model."""
    first, comma, rest = count_of(sums).partition(",")
    counted = f"{first} on {model}{comma}{rest}" if model else first + comma + rest
    return [Line(line) for line in screen.wrapped(screen.text(counted))]


def claims_text(sums: Sequence[Sum], model: str, screen: Screen, *, parts: bool = False, more: str = "") -> str:
    """All of it: lines, legend, and the count at the end."""
    lines = [*claim_lines(sums, screen, parts=parts), Line(""), *legend(sums, screen, more=more), Line("")]
    return screen.written([*lines, *last_line(sums, model, screen)])


def _row(of: Sum, screen: Screen) -> Row:
    weakest = of.weakest
    if weakest is None:
        reason = of.reason.removeprefix(f"{NOT_COMPARED}: ")
        return Row(None, _said(of, of.name, screen), "", ((screen.text(reason), ""),))
    known_as = of.name if of.name == weakest.quantity else f"{of.name}: {weakest.quantity}"
    return replace(_part(weakest, screen), said=_said(of, known_as, screen), indent=0)


def _said(of: Sum, otherwise: str, screen: Screen) -> tuple[str, ...]:
    held = f" ({of.holding} of {len(of.findings)})" if len(of.findings) > 1 else ""
    ways = filter(None, (of.sentence, of.short)) if of.sentence else (otherwise,)
    return tuple(f"{screen.text(way)}{held}" for way in ways)


def _below(of: Sum, screen: Screen) -> list[tuple[Row | None, str]]:
    """Parts of a claim, each with what is known of it; a claim of one part is its own line."""
    if not of.findings:
        return [(None, screen.text(of.reason))]
    found = [
        (_part(finding, screen) if len(of.findings) > 1 else None, screen.text(_details(finding)))
        for finding in of.findings
    ]
    return [*found, *([(None, screen.text(f"not tested: {of.untested}"))] if of.untested else [])]


def _part(finding: Finding, screen: Screen) -> Row:
    name = finding.id.removeprefix(f"{finding.claim}:")
    told = tuple((screen.text(held), screen.text(decides)) for held, decides in _told(finding))
    return Row(finding.verdict, (screen.text(name),), screen.text(_number(finding)), told, indent=2)


def _number(finding: Finding) -> str:
    return plus_minus(finding.value, finding.error).removesuffix(" ± 0")


def _told(finding: Finding) -> tuple[tuple[str, str], ...]:
    required, off = words.required(finding.judged.bound), how_far(finding)
    few = off.replace(" errors", "")
    needs = needed(finding)
    if needs is None:
        return (f"{required}, {off}", ""), (f"{required}, {few}", ""), (few, "")
    return (
        (f"{required}, {off}", needs.sentence),
        (f"{required}, {off}", needs.short),
        (f"{required}, {few}", needs.short),
        (few, needs.short),
        ("", needs.short),
    )


def how_far(finding: Finding) -> str:
    """How far a number is from its threshold, in words.

    Example:
        >>> from ks_core.claims.finding import Bound, Judged
        >>> judged = Judged(4.0, 0.3, 0.4, (3.2, 4.8), Bound("above", 3.0), Verdict.HOLDS)
        >>> how_far(Finding("mine", "a number", judged, count=8))
        '2.0 errors inside'
    """
    off = distance(finding)
    if math.isnan(off):
        bound, value = finding.judged.bound, finding.value
        off = bound.margin(value, value)  # -inf for a value that is not known
        return "not known" if off == -math.inf else f"? errors {_side(off)}"
    if off == 0:
        return "at it"
    if math.isinf(off):
        return _side(off)
    size = abs(off)
    if size >= FAR:
        return f"over {FAR:.0f} errors {_side(off)}"
    return f"{size:.1f} errors {_side(off)}" if size < 9.95 else f"{size:.0f} errors {_side(off)}"


def _side(off: float) -> str:
    return "inside" if off > 0 else "outside"


def _details(finding: Finding) -> str:
    """Everything else that is known of a number."""
    place = words.place(finding)
    layers = f"layer{'s' * (len(finding.layers) > 1)} {place}" if finding.layers else place
    told = [
        words.quantity(finding),
        layers,
        f"interval {words.interval(finding)}",
        f"{finding.count:,} {finding.counted}",
        words.references(finding),
        finding.tolerance and f"tolerance: {finding.tolerance}",
    ]
    return "; ".join(filter(None, told))


class _Wide:
    """Verdict, claim, number and the rest in columns."""

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
        return [self._line(self._headings(), 0)]

    def lines(self, row: Row) -> list[Line]:
        said = self.screen.cut(_first_that_fits(row.said, self.said - row.indent), self.said - row.indent)
        if not row.number:
            rest = self.number + len(GAP) + self.told
            line = self._line([row.label, said, self.screen.cut(row.told[0][0], rest)], row.indent)
            return [Line(line.text)]
        room = self.number + len(GAP) + self.told
        beside = room - columns(row.number) - len(GAP)
        ways = list(map(_joined, row.told))
        told = next((way for way in ways[:3] if columns(way) <= self.told), _first_that_fits(ways[2:], beside))
        told = self.screen.cut(told, beside)
        start = min(self.number + len(GAP), room - columns(told))  # where it is long, nearer to the number
        line = self._line([row.label, said, padded(row.number, start - len(GAP)) + GAP + told], row.indent)
        return [Line(line.text, row.verdict, row.indent, row.indent + len(row.label))]

    def _line(self, cells: Sequence[str], indent: int) -> Line:
        widths = (VERDICT, self.said - indent, self.number, self.told)
        padding = [padded(cell, width) for cell, width in zip(cells, widths, strict=False)]
        return Line(" " * indent + GAP.join(padding).rstrip())


class _Narrow:
    """Verdict and claim, and the number in the next line."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.details = VERDICT + len(GAP) if screen.width >= LEAST_INDENTED else 4

    def heading(self) -> list[Line]:
        return []

    def lines(self, row: Row) -> list[Line]:
        screen, margin = self.screen, " " * row.indent
        label = padded(row.label, VERDICT) if screen.width >= LEAST_INDENTED else row.label
        start = f"{margin}{label}{GAP}"
        said = _first_that_fits(row.said, screen.width - len(start))
        indent = " " * (row.indent + self.details)
        lines = screen.wrapped(said, indent, start)
        if row.number:
            ways = [_joined((f"{row.number} ({held})", decides)) for held, decides in row.told[:3] if held]
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
