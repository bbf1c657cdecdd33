"""The table of claims on the terminal, and results.json."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ks_core.claims.finding import Finding
from ks_core.errors import InputError
from ks_core.experiments.pairs.measure import Measurement
from ks_core.experiments.pairs.statistics import MATRICES, Statistics
from ks_core.experiments.request.settings import Settings
from ks_core.formatting import plus_minus, printable, shortened
from ks_core.outputs import is_regular, write_text
from ks_core.strict_json import parse_json

COLUMNS = ("claim", "model", "layers", "measured ± error", "interval", "required", "reference", "verdict")

RESULTS = "results.json"
"""Name of the file in the folder of results."""

NAME = 48
"""Characters of a model's name that the table has room for."""


def table(findings: Sequence[Finding], model: str) -> str:
    """Findings as a table for the terminal, one row each, and below it what was measured.

    The error is that over facts and text together; results.json has them apart.
    """
    rows = [
        tuple(
            printable(cell)
            for cell in (
                f.claim,
                shortened(model, NAME),
                f.layers,
                plus_minus(f.value, f.error),
                _interval(f),
                f.threshold,
                f.reference,
                f.verdict.value,
            )
        )
        for f in findings
    ]
    widths = [max(len(row[column]) for row in (COLUMNS, *rows)) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (COLUMNS, *rows)]
    rule = "  ".join("-" * width for width in widths)
    legend = [
        f"{row[0].ljust(widths[0])}  {printable(f.quantity)}, {f.count:,} {printable(f.counted)}"
        for row, f in zip(rows, findings, strict=True)
    ]
    return "\n".join([lines[0].rstrip(), rule, *map(str.rstrip, lines[1:]), "", *legend])


def _interval(finding: Finding) -> str:
    return " to ".join(f"{end:.2g}" if math.isfinite(end) else "?" for end in finding.interval)


def write_results(
    path: Path,
    measurement: Measurement,
    findings: Sequence[Finding],
    baseline: str,
    parts: Mapping[str, Any] | None = None,
) -> None:
    """Write everything that was measured and judged as JSON; NaN becomes null.

    Args:
        path: the file.
        measurement: what was measured.
        findings: what was judged.
        baseline: the baseline held against, or why there was none.
        parts: what else was measured, edits and other sizes of model, by name.
    """
    selection = measurement.selection
    content = {
        "format": "ks_core/results/1",
        "model": measurement.settings.model_origin,
        "settings": asdict(measurement.settings),
        "provenance": dict(measurement.provenance),
        "baseline": baseline,
        "findings": [asdict(finding) | {"error": finding.error} for finding in findings],
        "facts": {
            "rule": selection.rule,
            "in_file": selection.asked,
            "origin": selection.measured.origin,
            "separators": selection.separators,
            "left_out": [asdict(of) for of in selection.left_out],
            "usable_case_ids": list(selection.usable),
            "measured_case_ids": [fact.case_id for fact in selection.measured],
            "distinct_subjects": len({fact.subject for fact in selection.measured}),
        },
        "layers": list(measurement.layers),
        "pairs": measurement.num_pairs,
        "condition_number": [pairs.condition_number for pairs in measurement.pairs],
        "rank": [pairs.rank for pairs in measurement.pairs],
        "silent_neurons": [pairs.silent_neurons for pairs in measurement.pairs],
        "extremes": {name: _extremes(measurement, name) for name in MATRICES},
        "statistics": _numbers(measurement.statistics),
        "one_fact_per_subject": _numbers(measurement.distinct),
        "null": {matrix: {name: asdict(of) for name, of in null.items()} for matrix, null in measurement.null.items()},
        "null_of_lengths": {name: asdict(of) for name, of in measurement.lengths_alone.items()},
        "seconds": dict(measurement.seconds),
        **(parts or {}),
    }
    write_text(path, json.dumps(plain(content), indent=1, allow_nan=False) + "\n")


def check_results(path: Path, settings: Settings, weights_sha256: str) -> None:
    """Refuse to write over the results of another model: folders of one last name share those of results.

    The model is another when both its weights and where they are from are: one that was trained further is the same.

    Raises:
        InputError: there are results of another model, or a file that is none of results.
    """
    if not path.exists():
        return
    if not is_regular(path):  # a pipe would wait for its writer
        raise InputError(
            f"{path} is no regular file; expected results or nothing there: remove it, or name another folder "
            "(--ks-results)"
        )
    try:
        before = parse_json(path.read_text(encoding="utf-8"))
        weights, origin = before["provenance"]["weights_sha256"], before.get("model")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is there and cannot be read as results ({type(error).__name__}); remove it, or name another "
            "folder (--ks-results)"
        ) from error
    if weights != weights_sha256 and origin != settings.model_origin:
        raise InputError(
            f"{path} holds the results of another model of this name ({origin}); expected {settings.model_origin}: "
            "name another folder (--ks-results), or remove the file"
        )


def _numbers(statistics: Statistics) -> dict[str, dict[str, Any]]:
    return {
        matrix: {
            name: {
                "value": of.value,
                "facts_error": of.facts_error,
                "text_error": of.text_error,
                "error": of.error,
                "bootstrap_bias": of.bias,
            }
            for name, of in by_name.items()
        }
        for matrix, by_name in statistics.items()
    }


def _extremes(measurement: Measurement, name: str) -> dict[str, list[float]]:
    """Smallest and largest off-diagonal entry by layer, without error: resampling says nothing about extremes."""
    inside = ~np.eye(measurement.num_facts, dtype=bool)
    entries = [pairs.matrices[name][inside] for pairs in measurement.pairs]
    return {"min": [float(of.min()) for of in entries], "max": [float(of.max()) for of in entries]}


def plain(value: Any) -> Any:
    """A value as JSON has it: mappings, lists, numbers; NaN and infinity become null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.value if hasattr(value, "value") else value
