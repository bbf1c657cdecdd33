"""Two stored runs compared: `compare`, and what it finds."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ks_core import arguments
from ks_core.errors import InputError
from ks_core.formatting import shown_path
from ks_core.reporting.results import RESULTS
from ks_core.reporting.runs.benchmarks import benchmark_run
from ks_core.reporting.runs.numbers import Mark, Row
from ks_core.reporting.runs.reading import Kind, read
from ks_core.reporting.runs.science import (
    other_inputs,
    science_of_baseline,
    science_of_results,
    science_rows,
)
from ks_core.reporting.runs.speed import benchmark_rows, other_machine


@dataclass(frozen=True)
class Comparison:
    """What became of the numbers of one run in another; prints as a table.

    Attributes:
        before, now: names of the files
        kind: `benchmarks`, `results` or `baselines`
        rows: a number of both each
        notes: what differs between the runs as a whole: machine, inputs
        only_before, only_now: names of what only one of them has
    """

    before: str
    now: str
    kind: Kind
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    only_before: tuple[str, ...] = ()
    only_now: tuple[str, ...] = ()

    @property
    def marks(self) -> Mapping[str, int]:
        """How many numbers were found better, worse, moved and so on."""
        return Counter(row.mark.value for row in self.rows)

    def complaints(self, fail: float, *, strict: bool = False) -> list[str]:
        """What a gate does not let pass, a sentence each.

        Args:
            fail: by which part a time or a ratio may be worse, 0.1 for a tenth. Numbers of science have their bands,
                whatever this is.
            strict: whether what could not be told does not pass either: what is worse by more but has no error, what is
                not compared, and what is in the first run only.
        """
        limit = arguments.real_number("fail", fail)
        if limit < 0:
            raise InputError(f"fail is {limit:g}; expected the part by which a number may be worse, 0 or more")
        found = [problem for row in self.rows for problem in row.problems]
        worse = [row for row in self.rows if row.worsened is not None and row.worsened > limit]
        found += [_told(row, limit) for row in worse if row.mark is Mark.WORSE]
        if strict:
            found += [f"{_told(row, limit)}, by no known error" for row in worse if row.mark is Mark.UNKNOWN]
            apart = [row for row in self.rows if row.mark is Mark.APART]
            found += [f"{row.name}: {row.quantity} was not compared: {row.note}" for row in apart]
            found += [f"{name} is not in {self.now}" for name in self.only_before]
        return found

    def __str__(self) -> str:
        from ks_core.reporting.runs.table import table

        return table(self)


def _told(row: Row, limit: float) -> str:
    return f"{row.name}: {row.quantity} is worse by {row.worsened:.1%}; at most {limit:.1%} is allowed"


def compare(before: str | os.PathLike[str], now: str | os.PathLike[str]) -> Comparison:
    """Compare two stored runs: benchmarks that pytest-benchmark saved, two results.json, or two baselines.

    Times are compared where the machines agree; ratios always, unless the limit or the procedure they are to is
    another. A difference counts where it leaves Welch's 99 % interval of both errors. Numbers of science are held
    against the band that a baseline gives them.

    Args:
        before: the file of the first run; of results their folder will do.
        now: that of the second.

    Raises:
        InputError: a file that cannot be used, two of different kinds, one file twice, or nothing that both have.

    Example:
        >>> import json, tempfile
        >>> from pathlib import Path
        >>> folder, info = Path(tempfile.mkdtemp()), {"cpu": {"brand_raw": "X", "count": 2, "arch": "Y"}, "system": "L"}
        >>> def run(name, mean):
        ...     stats = {"mean": mean, "stddev": 0.01, "rounds": 5}
        ...     benchmark = {"fullname": "test_sort", "stats": stats, "extra_info": {"threads": 1}}
        ...     machine = {**info, "python_implementation": "CPython", "python_version": "3.11.7"}
        ...     path = folder / name
        ...     _ = path.write_text(json.dumps({"machine_info": machine, "benchmarks": [benchmark]}))
        ...     return path
        >>> found = compare(run("a.json", 1.0), run("b.json", 1.5))
        >>> [(row.quantity, row.mark.value, row.change) for row in found.rows]
        [('seconds', 'worse', 0.5)]
        >>> found.complaints(fail=0.1)
        ['test_sort: seconds is worse by 50.0%; at most 10.0% is allowed']
    """
    first, second = (_file(Path(arguments.word(name, path))) for name, path in (("before", before), ("now", now)))
    (kind, content), (other, other_content) = read(first), read(second)
    if first.resolve() == second.resolve() or first.samefile(second):
        raise InputError(f"{shown_path(first)} and {shown_path(second)} are one file; expected two runs")
    if kind != other:
        raise InputError(
            f"{shown_path(first)} holds {kind}, {shown_path(second)} {other}; expected two files of one kind"
        )
    names = shown_path(first), shown_path(second)
    if kind == "benchmarks":
        runs = benchmark_run(first, content), benchmark_run(second, other_content)
        machine = other_machine(*runs)
        told = [f"times are not compared: other machine ({machine})"] if machine else []
        return _comparison(names, kind, benchmark_rows(*runs), told, [list(of.benchmarks) for of in runs])
    if kind == "results":
        sciences = science_of_results(first, content), science_of_results(second, other_content)
    else:
        sciences = science_of_baseline(first), science_of_baseline(second)
    held = [[*of.findings, *of.statistics] for of in sciences]
    return _comparison(names, kind, science_rows(*sciences), other_inputs(*sciences), held)


def _file(path: Path) -> Path:
    """The results.json in a folder of results; any other path is that of a file."""
    inside = path / RESULTS
    try:
        return inside if inside.is_file() else path
    except (OSError, ValueError):  # no path at all: what reads it says so
        return path


def _comparison(
    names: tuple[str, str], kind: Kind, made: Iterable[Row], notes: Sequence[str], held: Sequence[Sequence[str]]
) -> Comparison:
    rows = tuple(made)
    if not rows:
        counts = " and ".join(str(len(each)) for each in held)
        raise InputError(
            f"{names[0]} and {names[1]} hold {counts} {'benchmarks' if kind == 'benchmarks' else 'numbers'}, none in "
            "common; expected two runs of the same: compare those"
        )
    before, now = (dict.fromkeys(each) for each in held)
    only_before = tuple(name for name in before if name not in now)
    only_now = tuple(name for name in now if name not in before)
    return Comparison(*names, kind, rows, tuple(notes), only_before, only_now)
