"""What a run says: a header of what was tried where, a table of laws and outcomes, and both as JSON."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import torch

import ks_core
from ks_core.conformance.causes import cause_of, first_broken
from ks_core.conformance.checking import Subject
from ks_core.conformance.importing import version_of
from ks_core.conformance.registry import LAWS
from ks_core.conformance.results import OUTCOMES
from ks_core.formatting import printable
from ks_core.outputs import write_text

Row = Mapping[str, Any]
"""A `LawResult` as a dictionary, with the `subject` and the `implementation` it is about."""


def environment() -> dict[str, str]:
    """Versions of everything that numbers may depend on."""
    return {
        "ks_core": ks_core.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "hypothesis": hypothesis.__version__,
        "platform": platform.platform(),
    }


def described(subject: Subject) -> dict[str, Any]:
    """What was tried, as JSON takes it."""
    known = ":" in subject.name
    return {
        "subject": subject.subject,
        "implementation": subject.name,
        "version": version_of(subject.name) if known else "",
        "traits": list(subject.words),
    }


def header(subjects: Sequence[Subject]) -> list[str]:
    """Lines for the top of a run."""
    lines = []
    for subject in subjects:
        known = described(subject)
        words = f"{known['implementation']} ({known['version']}), {', '.join(known['traits'])}"
        lines.append(printable(f"{subject.subject}: {words}"))
    return [*lines, "laws: " + ", ".join(f"{name} {version}" for name, version in environment().items())]


def sorted_rows(rows: Sequence[Row]) -> list[Row]:
    """In the order of the laws, one implementation after another."""
    order = {name: i for i, name in enumerate(LAWS)}
    return sorted(rows, key=lambda row: (row["subject"], row["implementation"], order[row["law"]]))


def with_causes(rows: Sequence[Row]) -> list[Row]:
    """Sorted, each failure with the law from which it may follow, whichever process found them."""
    ordered = sorted_rows(rows)
    found: list[Row] = []
    for row in ordered:
        same = [other for other in ordered if _whose(other) == _whose(row)]
        causes = first_broken((other["law"], other["outcome"]) for other in same)
        cause = cause_of(row["law"], causes) if row["outcome"] == "failed" else ""
        found.append({**row, "may_follow_from": cause})
    return found


def _whose(row: Row) -> tuple[str, str]:
    return row["subject"], row["implementation"]


def table(rows: Sequence[Row]) -> list[str]:
    """Laws × outcome, one block for each implementation, with the counts at its end.

    Examples are those that a law was judged on.

    Of a law that was tried, the violation of its worst example stands beside what rounding was allowed there; of one
    that was not, or was expected to fail, the reason.
    """
    lines: list[str] = []
    ordered = with_causes(rows)
    for whose in dict.fromkeys(map(_whose, ordered)):
        block = [row for row in ordered if _whose(row) == whose]
        width = max(len(row["law"]) for row in block)
        lines += [
            printable(" ".join(whose)),
            f"  {'law':{width}}  outcome    examples  violation  tolerance  note",
        ]
        lines += [_line(row, width) for row in block]
        counts = Counter(row["outcome"] for row in block)
        lines.append("  " + ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome]))
    return lines


def _line(row: Row, width: int) -> str:
    tried = row["examples"] > 0 or row["outcome"] == "failed"
    numbers = (
        f"{row['examples']:8}  {float(row['violation']):9.2g}  {float(row['tolerance']):9.2g}"
        if tried
        else f"{'-':>8}  {'-':>9}  {'-':>9}"
    )
    note = row["reason"]
    if row["outcome"] == "failed":
        cause = row["may_follow_from"]
        note = f"may follow from {cause}" if cause else row["usual_cause"]
    return f"  {row['law']:{width}}  {row['outcome']:9}  {numbers}  {printable(note)}".rstrip()


def write_json(path: Path, subjects: Sequence[Subject], rows: Sequence[Row]) -> None:
    """Write everything as JSON: environment, what was tried, and one entry for each law.

    Raises:
        InputError: the file cannot be written.
    """
    content = {
        "environment": environment(),
        "tried": [described(subject) for subject in subjects],
        "results": [dict(row) for row in with_causes(rows)],
    }
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
