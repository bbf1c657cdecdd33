"""Two runs of what was measured: every finding and statistic within the band that a baseline gives it, or outside."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ks_core.claims.finding import Verdict
from ks_core.errors import InputError
from ks_core.formatting import shown, shown_path
from ks_core.reporting.baseline import GRAIN, INPUTS, REQUEST, differences
from ks_core.reporting.baseline_file import load_baseline
from ks_core.reporting.runs.numbers import Mark, Number, Row
from ks_core.reporting.runs.reading import number, part

SETS = {"all facts": "statistics", "one fact per subject": "one_fact_per_subject"}
"""What a baseline calls the sets of facts, and results their fields."""


HASHED = ("model", "corpus", "facts")
"""Settings that name a place: what lies there has its hash among the inputs, wherever it lies."""


@dataclass(frozen=True)
class Judged:
    """A finding as it was stored.

    Attributes:
        grain: what one entry adds to the value, where it counts entries
        is_rounding: whether it is nothing but rounding, so that only the verdict is compared
    """

    number: Number
    verdict: str
    grain: float = 0.0
    is_rounding: bool = False


@dataclass(frozen=True)
class Science:
    """What was measured in a run.

    Attributes:
        inputs: what it was made of: settings that make a request, and hashes
        findings: by id
        statistics: name with matrix and facts, and layer → number
        grains: statistic → what one entry adds to it
    """

    inputs: Mapping[str, Any]
    findings: Mapping[str, Judged]
    statistics: Mapping[str, Number]
    grains: Mapping[str, float]


def science_of_results(path: Path, content: dict[str, Any]) -> Science:
    """Check and take apart a results.json.

    Raises:
        InputError: a field that is missing or of another type; a finding that comes twice.
    """
    place = shown_path(path)
    findings: dict[str, Judged] = {}
    for index, each in enumerate(part(place, content, "findings", list)):
        where = f"{place}: finding {index}"
        if not isinstance(each, dict):
            raise InputError(f"{where} is {shown(each)}; expected an object")
        name = part(where, each, "id", str)
        if name in findings:
            raise InputError(f"{where}: {shown(name)} comes twice; expected each finding once")
        findings[name] = _judged(f"{place}: finding {shown(name)}", each)
    statistics: dict[str, Number] = {}
    layers = part(place, content, "layers", list)
    for facts, field in SETS.items():
        for matrix, by_name in part(place, content, field, dict).items():
            for name in part(f"{place}: {field}", {matrix: by_name}, matrix, dict):
                where = f"{place}: {shown(name)} of {shown(matrix)}"
                estimates = part(where, by_name, name, dict)
                statistics |= _by_layer(where, f"{name} of {matrix}, {facts}", estimates, layers)
    pairs = part(place, content, "pairs", int)
    inputs = _inputs(part(place, content, "settings", dict), part(place, content, "provenance", dict))
    return Science(inputs, findings, statistics, _grains(statistics, pairs))


def science_of_baseline(path: Path) -> Science:
    """A baseline's numbers; it says neither grains nor what is rounding, so that every value keeps the plain band.

    Raises:
        InputError: not a baseline file, or one that is damaged.
    """
    stored = load_baseline(path)
    findings = {
        name: Judged(Number(each["value"], each["error"]), each["verdict"]) for name, each in stored.findings.items()
    }
    statistics: dict[str, Number] = {}
    for name, each in stored.statistics.items():
        statistics |= _by_layer(shown_path(path), name, dict(each), list(range(len(each["value"]))))
    return Science(_inputs(stored.request, stored.provenance), findings, statistics, {})


def _judged(where: str, content: dict[str, Any]) -> Judged:
    verdict = part(where, content, "verdict", str)
    known = [each.value for each in Verdict]
    if verdict not in known:
        raise InputError(f"{where}: verdict is {shown(verdict)}; expected one of {', '.join(known)}")
    value, error = number(where, content, "value"), number(where, content, "error", least=0.0)
    count, grain = part(where, content, "count", int), number(where, content, "grain", least=0.0)
    return Judged(Number(value, error, count), verdict, grain or 0.0, part(where, content, "is_rounding", int) is True)


def _by_layer(where: str, name: str, estimates: dict[str, Any], layers: list[Any]) -> dict[str, Number]:
    values, errors = (part(where, estimates, field, list) for field in ("value", "error"))
    if not len(values) == len(errors) == len(layers):
        raise InputError(
            f"{where}: {len(values)} values and {len(errors)} errors; expected one of both for each of "
            f"{len(layers)} layers"
        )
    return {
        f"{name}, layer {layer}": Number(
            number(where, {"value": value}, "value"), number(where, {"error": error}, "error", least=0.0)
        )
        for layer, value, error in zip(layers, values, errors, strict=True)
    }


def _inputs(request: Mapping[str, Any], provenance: Mapping[str, Any]) -> dict[str, Any]:
    settings = {name: request.get(name) for name in REQUEST if name not in HASHED}
    return {**settings, **{name: provenance.get(name) for name in INPUTS}}


def _grains(names: Mapping[str, Number], pairs: int) -> dict[str, float]:
    return {name: GRAIN.get(name.split(" ")[0], 0.0) / max(pairs, 1) for name in names}


def other_inputs(before: Science, now: Science) -> list[str]:
    """Which inputs differ, a line each: numbers of other inputs need not agree."""
    return [
        f"input {name} was {shown(before.inputs[name])}, now {shown(now.inputs[name])}"
        for name in before.inputs
        if before.inputs[name] != now.inputs[name]
    ]


def science_rows(before: Science, now: Science) -> Iterator[Row]:
    """A row for each finding and each statistic of a layer that both have."""
    for name, first in before.findings.items():
        if name in now.findings:
            yield _finding_row(name, first, now.findings[name])
    for name, was in before.statistics.items():
        if name in now.statistics:
            grain = max(of.grains.get(name, 0.0) for of in (before, now))
            problems = _problems(name, was, now.statistics[name], grain)
            yield _row(name, "statistic", was, now.statistics[name], problems)


def _finding_row(name: str, before: Judged, now: Judged) -> Row:
    problems, note = [], ""
    if before.verdict != now.verdict:
        note = f"{before.verdict} -> {now.verdict}"
        problems.append(f"{name}: verdict was {before.verdict!r}, now {now.verdict!r}")
    if before.number.count != now.number.count:
        problems.append(f"{name}: n was {before.number.count}, now {now.number.count}")
    if not (before.is_rounding or now.is_rounding):
        problems += _problems(name, before.number, now.number, max(before.grain, now.grain))
    return _row(name, "finding", before.number, now.number, problems, note)


def _problems(name: str, before: Number, now: Number, grain: float) -> list[str]:
    """By the rule of the baselines, which knows undefined numbers as NaN now and None before."""
    found = tuple(math.nan if of is None else of for of in (now.value, now.error))
    return differences(name, (found[0], found[1]), (before.value, before.error), grain)


def _row(name: str, quantity: str, before: Number, now: Number, problems: list[str], note: str = "") -> Row:
    mark = Mark.MOVED if problems else Mark.SAME
    return Row(name, quantity, before, now, mark, _in_errors(before, now), note=note, problems=tuple(problems))


def _in_errors(before: Number, now: Number) -> float | None:
    """The difference over both errors in quadrature."""
    if before.value is None or now.value is None:
        return None
    combined = math.hypot(before.error or 0.0, now.error or 0.0)
    return (now.value - before.value) / combined if combined else None
