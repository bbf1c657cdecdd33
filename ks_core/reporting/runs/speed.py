"""Two runs of benchmarks: times where the machines agree, ratios always, and other numbers where they changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from ks_core.reporting.runs.benchmarks import UNKNOWN, Benchmark, BenchmarkRun
from ks_core.reporting.runs.numbers import Mark, Number, Row, change, differs

SECONDS = "seconds"

Better = Literal["less", "more"]

TO = {"ratio_to_limit": "limit", "ratio_to_replaced": "replaced"}
"""The words beside a ratio that say what it is to."""


def better(quantity: str) -> Better | None:
    """Which direction is better, where the name says so.

    Example:
        >>> better("seconds"), better("ratio_to_limit"), better("speedup"), better("ratio_of_lengths")
        ('less', 'less', 'more', None)
    """
    if quantity == SECONDS or quantity.startswith("ratio_to_"):
        return "less"
    return "more" if quantity.startswith("speedup") else None


def other_machine(before: BenchmarkRun, now: BenchmarkRun) -> str:
    """What differs between two machines, in words; empty where they agree. What is not known agrees with nothing."""
    told = [
        f"{name} {before.machine[name]}, now {now.machine[name]}"
        for name in before.machine
        if before.machine[name] != now.machine[name] or UNKNOWN in before.machine[name]
    ]
    return "; ".join(told)


def benchmark_rows(before: BenchmarkRun, now: BenchmarkRun) -> Iterator[Row]:
    """A row for each time and ratio of what both have, and for each other number that changed."""
    machine = other_machine(before, now)
    for name, first in before.benchmarks.items():
        if name in now.benchmarks:
            second = now.benchmarks[name]
            yield _time_row(name, first, second, machine)
            yield from _ratio_rows(name, first, second)
            yield from _other_rows(name, first, second)


def _time_row(name: str, before: Benchmark, now: Benchmark, machine: str) -> Row:
    if machine:
        return Row(name, SECONDS, before.seconds, now.seconds, Mark.APART, note="other machine")
    if before.threads != now.threads:
        told = ", now ".join("unknown" if of.threads is None else f"{of.threads:g}" for of in (before, now))
        return Row(name, SECONDS, before.seconds, now.seconds, Mark.APART, note=f"threads {told}")
    return compared(name, SECONDS, before.seconds, now.seconds)


def _ratio_rows(name: str, before: Benchmark, now: Benchmark) -> Iterator[Row]:
    for quantity in dict.fromkeys((*before.ratios, *now.ratios)):
        first, second = before.ratios.get(quantity), now.ratios.get(quantity)
        if first is None or second is None:
            side = "the second" if first is None else "the first"
            yield Row(name, quantity, first, second, Mark.APART, note=f"only in {side}")
        elif (word := TO.get(quantity)) and before.words.get(word) != now.words.get(word):
            yield Row(name, quantity, first, second, Mark.APART, note=f"to another {word}")
        else:
            yield compared(name, quantity, first, second)


def _other_rows(name: str, before: Benchmark, now: Benchmark) -> Iterator[Row]:
    for quantity in dict.fromkeys((*before.others, *now.others)):
        first, second = before.others.get(quantity), now.others.get(quantity)
        if first is None or second is None:
            yield Row(name, quantity, first, second, Mark.MOVED)
        elif first.value != second.value:
            mark = Mark.SAME if differs(first, second) is False else Mark.MOVED
            yield Row(name, quantity, first, second, mark, change(first, second))


def compared(name: str, quantity: str, before: Number, now: Number) -> Row:
    """The row of a number that can be compared: its mark says no more than the errors allow.

    Example:
        >>> compared("sort", "seconds", Number(1.0, 0.01, 9), Number(2.0, 0.01, 9)).mark.value
        'worse'
        >>> compared("sort", "seconds", Number(1.0, None, 1), Number(2.0, None, 1)).mark.value
        '?'
    """
    moved, by, direction = differs(before, now), change(before, now), better(quantity)
    worsened = None
    if direction is not None and by is not None:
        worsened = by if direction == "less" else change(now, before)
    if not moved:
        mark = Mark.UNKNOWN if moved is None else Mark.SAME
    elif worsened is None:
        mark = Mark.MOVED
    else:
        mark = Mark.WORSE if worsened > 0 else Mark.BETTER
    return Row(name, quantity, before, now, mark, by, worsened)
