"""A comparison of two runs as a page of text for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from ks_core.formatting import plus_minus, printable, shortened
from ks_core.reporting.runs.compare import Comparison
from ks_core.reporting.runs.numbers import Mark, Number, Row

NAME, NUMBER, LINE = 26, 24, 110
"""Characters of a quantity, of a number with its error, of a name on a line of its own."""

BEYOND = 10.0
"""Times that a number grew, from which on it is said as a factor."""


def table(found: Comparison, top: int = 10) -> str:
    """The comparison in lines: what differs between the runs, each number, what only one has, and the count.

    Args:
        found: the comparison.
        top: findings and statistics that are listed where they moved, and names where only one has them; every
            benchmark is.
    """
    lines = [f"{printable(found.before)} -> {printable(found.now)}: {found.kind}"]
    lines += [f"  {printable(note)}" for note in found.notes]
    lines += ["", *(_speed(found.rows) if found.kind == "benchmarks" else _science(found.rows, top))]
    for name, only in ((found.before, found.only_before), (found.now, found.only_now)):
        if only:
            more = f" and {len(only) - top} more" if len(only) > top else ""
            listed = ", ".join(shortened(printable(each), LINE) for each in only[:top])
            lines.append(f"only in {printable(name)}: {listed}{more}")
    return "\n".join([*lines, "", ", ".join(f"{count} {mark}" for mark, count in _counts(found))])


def _counts(found: Comparison) -> list[tuple[str, int]]:
    marks = found.marks
    words = {Mark.SAME: "~ (no difference)", Mark.UNKNOWN: "? (no error is known)"}
    return [(words.get(mark, mark.value), marks[mark.value]) for mark in Mark if marks.get(mark.value)]


def _speed(rows: Sequence[Row]) -> Iterator[str]:
    yield _line("", "before", "now", "change", "")
    for name, of_one in groupby(rows, key=lambda row: row.name):
        yield shortened(printable(name), LINE)
        for row in of_one:
            mark = f"{row.mark.value}: {row.note}" if row.note else row.mark.value
            yield _line(f"  {row.quantity}", _number(row.before), _number(row.now), _percent(row.change), mark)


def _science(rows: Sequence[Row], top: int) -> Iterator[str]:
    """Of what is within its band only the count."""
    moved = [row for row in rows if row.mark is not Mark.SAME]
    for quantity in ("finding", "statistic"):
        those = [row for row in moved if row.quantity == quantity]
        yield f"{quantity}s: {len(those)} of {sum(row.quantity == quantity for row in rows)} moved"
        if those:
            yield _line("", "before", "now", "in errors", "")
        for row in those[:top]:
            yield f"  {shortened(printable(row.name), LINE)}"
            change = "-" if row.change is None else f"{row.change:+.2f}"
            yield _line("", _number(row.before), _number(row.now), change, row.note)
        if len(those) > top:
            yield f"  and {len(those) - top} more (--top, --json)"


def _line(name: str, before: str, now: str, change: str, mark: str) -> str:
    first = f"{shortened(printable(name), NAME):<{NAME}}"
    return f"{first}{before:<{NUMBER}}{now:<{NUMBER}}{change:>9}  {printable(mark)}".rstrip()


def _number(of: Number | None) -> str:
    """A number with its error, and how many it is made of.

    Example:
        >>> _number(Number(0.0123, 0.0004, 9)), _number(Number(3.0, None, 1)), _number(None)
        ('0.01230 ± 0.00040 (9)', '3 ± ? (1)', '-')
    """
    if of is None:
        return "-"
    value, error = (math.nan if each is None else each for each in (of.value, of.error))
    bare = of.error is None and of.count is None and of.value is not None
    told = f"{value:.6g}" if bare else plus_minus(value, error)
    return told if of.count is None else f"{told} ({of.count})"


def _percent(change: float | None) -> str:
    """A relative change in short.

    Example:
        >>> _percent(0.123), _percent(25.0), _percent(None)
        ('+12.3%', 'x26', '-')
    """
    if change is None:
        return "-"
    return f"x{1 + change:.3g}" if change >= BEYOND else f"{change:+.1%}"
