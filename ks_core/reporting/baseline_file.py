"""A baseline as it is read from its file: every part of it is checked, as people and merges edit such files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ks_core.checked_files import read_json
from ks_core.claims.finding import Verdict
from ks_core.errors import InputError, ProvenanceError
from ks_core.formatting import shown

FORMAT = "ks_core/baseline/2"

MISSING = "missing"
RESTORE = "restore the baseline, or write it anew with --ks-update-baseline"

PARTS = ("request", "provenance", "findings", "statistics", "tests")


@dataclass(frozen=True)
class Baseline:
    """A stored result of one request.

    Attributes:
        findings: claim → value, error, verdict
        statistics: statistic, matrix and fact set in words → `value` and `error` by layer
        tests: test, as pytest names it → the claims that it recorded: a run of some tests can then tell which are
            missing
    """

    path: Path
    request: Mapping[str, Any]
    provenance: Mapping[str, Any]
    findings: Mapping[str, Mapping[str, Any]]
    statistics: Mapping[str, Mapping[str, Sequence[float | None]]]
    tests: Mapping[str, Sequence[str]]


def load_baseline(path: Path) -> Baseline:
    """Read a baseline.

    Raises:
        InputError: not a baseline file.
    """
    try:
        content = read_json(path, FORMAT, remedy=RESTORE)
    except ProvenanceError as error:
        raise InputError(str(error)) from error
    parts: dict[str, Any] = {name: content.get(name) for name in PARTS}
    for name, part in parts.items():
        if not isinstance(part, dict):
            raise InputError(f"{path}: {name} is {shown(part)}; expected a JSON object: {RESTORE}")
    baseline = Baseline(path, **parts)
    for claim, finding in baseline.findings.items():
        _check_finding(f"{path}: finding {shown(claim)}", finding)
    for name, estimates in baseline.statistics.items():
        _check_statistic(f"{path}: statistic {shown(name)}", estimates)
    for test, claims in baseline.tests.items():
        if not isinstance(claims, list) or not all(isinstance(claim, str) for claim in claims):
            raise InputError(f"{path}: test {shown(test)} has {shown(claims)}; expected a list of claims: {RESTORE}")
    return baseline


def _check_finding(place: str, finding: Any) -> None:
    if not isinstance(finding, dict):
        raise InputError(f"{place} is {shown(finding)}; expected a JSON object: {RESTORE}")
    _check_number(f"{place}: value", finding.get("value", MISSING))
    _check_number(f"{place}: error", finding.get("error", MISSING), least=0.0)
    verdicts = [verdict.value for verdict in Verdict]
    if finding.get("verdict") not in verdicts:
        raise InputError(
            f"{place}: verdict is {shown(finding.get('verdict'))}; expected one of {', '.join(verdicts)}: {RESTORE}"
        )


def _check_statistic(place: str, estimates: Any) -> None:
    values, errors = (estimates.get(name) if isinstance(estimates, dict) else None for name in ("value", "error"))
    if not isinstance(values, list) or not isinstance(errors, list) or len(values) != len(errors):
        raise InputError(f"{place} is {shown(estimates)}; expected lists of values and errors by layer: {RESTORE}")
    for value, error in zip(values, errors, strict=True):
        _check_number(f"{place}: a value", value)
        _check_number(f"{place}: an error", error, least=0.0)


def _check_number(what: str, number: Any, least: float = -math.inf) -> None:
    """A number, or None for one that is undefined."""
    if number is None:
        return
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not least <= number < math.inf:
        expected = "a finite number" if least < 0 else "a finite number that is not negative"
        raise InputError(f"{what} is {shown(number)}; expected {expected}, or null: {RESTORE}")
