"""Baselines: what a measurement gave before, stored per model, and the check that it still gives the same.

A baseline belongs to a request (model, text, facts, their numbers). When the same request is made again, its inputs
must have the same hashes, its verdicts must be the same and its values must stay inside their bands. Another request on
the same model has no baseline; its claims are judged alone.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ks_core.checked_files import sealed_json
from ks_core.claims.finding import Finding
from ks_core.errors import InputError
from ks_core.experiments.pairs.measure import Measurement
from ks_core.experiments.request.settings import Settings
from ks_core.files import is_stored
from ks_core.outputs import write_text
from ks_core.reporting import words
from ks_core.reporting.baseline_file import FORMAT, Baseline, load_baseline
from ks_core.statistics.estimate import Replicates
from ks_core.statistics.tails import GAUSSIAN_TAIL

BAND = 0.1
"""Half-width of a value's band, in errors of the value. All inputs are pinned by hash, so sampling cannot move a value,
only rounding can (another processor, thread count or library). Changing threads and batch size for SmolLM2-135M moved
no smooth statistic by more than 1e-5 errors; a tenth leaves room for other machines and changes no conclusion."""

CROSSING = 2
"""Entries that rounding may carry across a threshold, on top: shares are counts, and a cosine's pair counts twice."""

GRAIN = {"share_above": 1.0, "near_right_angle": 1.0, "tail_ratio": 1.0 / GAUSSIAN_TAIL}
"""What one entry adds to a statistic that counts entries, times the number of entries."""

LONGEST_STEM = 200
"""Bytes of a baseline's name: a file's may have 255, those beside it while it is written included."""

REQUEST = (
    "model", "revision", "corpus", "facts", "families", "num_facts", "num_edits", "insertions", "tokens", "layers",
    "dtype", "ridge", "longest_text", "resamples", "seed",
)  # fmt: skip
"""Settings that make a request. Device and batch size are not among them: they must not move a value."""

INPUTS = ("weights_sha256", "tokenizer_sha256", "corpus_sha256", "facts_sha256", "pool_sha256", "longest_text")
"""What the same request must find again. The facts' hashes are of the selected facts: they gate the selection too. The
model's config is left to the values it moves: each release of transformers may add a setting to it that moves none."""


def baseline_path(folder: Path, model: str) -> Path:
    """Where a folder of baselines keeps that of a model, by the last part of its name: letters, digits and points.

    Example:
        >>> baseline_path(Path("baselines"), "HuggingFaceTB/SmolLM2 135M").as_posix()
        'baselines/smollm2-135m.json'
    """
    stem = re.sub(r"[^\w.]+|_+", "-", Path(model).name.lower()).strip("-.") or "model"
    return folder / (stem.encode()[:LONGEST_STEM].decode(errors="ignore") + ".json")


def find_baseline(folder: Path, request: Mapping[str, Any]) -> tuple[Baseline | None, str]:
    """The baseline for a request, or None with the reason in words."""
    path = baseline_path(folder, str(request["model"]))
    if not is_stored(path):
        return None, f"none for this model ({path} does not exist)"
    baseline = load_baseline(path)
    differing = [name for name in REQUEST if baseline.request.get(name) != request.get(name)]
    if differing:
        name = differing[0]
        return None, f"{path} is for another request ({name} = {baseline.request.get(name)!r}, not {request[name]!r})"
    return baseline, str(path)


def request_of(settings: Settings) -> dict[str, Any]:
    """The part of the settings that a baseline is for, as plain JSON values; of local paths only the last part."""
    values = json.loads(json.dumps(asdict(settings)))
    local = {"model", "corpus", "facts", "families"}
    return {name: _portable(values[name]) if name in local else values[name] for name in REQUEST}


def _portable(name: Any) -> Any:
    if isinstance(name, list):
        return [_portable(each) for each in name]
    return Path(name).resolve().name if name and Path(name).exists() else name


def save_baseline(
    folder: Path,
    measurement: Measurement,
    findings: Sequence[Finding],
    tests: Mapping[str, Sequence[str]],
    collected: Collection[str],
) -> Path:
    """Write the baseline of a measurement, whole or not at all; returns its path.

    Args:
        folder: of baselines.
        measurement: what was measured.
        findings: what was found.
        tests: test → the claims among them that it recorded.
        collected: all tests of the run.

    Raises:
        InputError: the file there is for another request or another model, or has findings of tests that are not in
            this run; nothing is written.
    """
    request = request_of(measurement.settings)
    path = baseline_path(folder, request["model"])
    if is_stored(path):
        _check_replaced(*find_baseline(folder, request), measurement.provenance, collected)
    content = {
        "request": request,
        "provenance": dict(measurement.provenance),
        "findings": {
            finding.id: {
                "value": _plain(finding.value),
                "error": _plain(finding.error),
                "verdict": finding.verdict.value,
                "quantity": words.quantity(finding),
                "layers": words.place(finding),
                "threshold": words.required(finding.judged.bound),
                "reference": words.references(finding),
            }
            for finding in findings
        },
        "statistics": {
            name: {"value": _rounded(estimates.value), "error": _rounded(estimates.error)}
            for name, estimates in _named(measurement).items()
        },
        "tests": {test: list(claims) for test, claims in tests.items()},
    }
    write_text(path, sealed_json(FORMAT, content))
    return path


def _check_replaced(
    before: Baseline | None, note: str, provenance: Mapping[str, Any], collected: Collection[str]
) -> None:
    """Refuse to replace a baseline that says more than how this request is now."""
    remedy = "remove the file first, or keep this one in another folder (--ks-baselines)"
    if before is None:
        raise InputError(f"{note}; not overwritten: {remedy}")
    if before.provenance.get("weights_sha256") != provenance["weights_sha256"]:
        raise InputError(f"{before.path} is for a model of this name with other weights; not overwritten: {remedy}")
    gone = sorted(before.tests.keys() - set(collected))
    if gone:
        raise InputError(
            f"{before.path} holds findings of tests that are not in this run ({', '.join(gone)}); not overwritten: run "
            f"them too, or {remedy}"
        )


def finding_problems(baseline: Baseline, finding: Finding) -> list[str]:
    """How a finding differs from the baseline's; empty when verdict, value and error are as they were.

    Of a value that is nothing but rounding only the verdict is compared.
    """
    before = baseline.findings.get(finding.id)
    if before is None:
        return [f"{finding.id} is not in {baseline.path}; write it anew with --ks-update-baseline"]
    problems = []
    if finding.verdict.value != before["verdict"]:
        problems.append(f"{finding.id}: verdict was {before['verdict']!r}, now {finding.verdict.value!r}")
    if finding.is_rounding:
        return problems
    found, stored = (finding.value, finding.error), (before["value"], before["error"])
    return problems + differences(finding.id, found, stored, finding.grain)


def missing_findings(baseline: Baseline, recorded: Collection[str], collected: Collection[str]) -> list[str]:
    """Claims of the baseline that their tests, which were collected, did not record."""
    return [
        f"{claim} is in the baseline but was not found by {test} in this run"
        for test, claims in sorted(baseline.tests.items())
        if test in collected
        for claim in sorted(claims)
        if claim not in recorded
    ]


def measurement_problems(baseline: Baseline, measurement: Measurement) -> list[str]:
    """Inputs and per-layer statistics that are not what they were, appeared or are gone."""
    inputs = [
        f"input {name} was {baseline.provenance.get(name)!r}, now {measurement.provenance.get(name)!r}"
        for name in INPUTS
        if baseline.provenance.get(name) != measurement.provenance.get(name)
    ]
    named = _named(measurement)
    problems = [f"{name} is in only one of baseline and measurement" for name in baseline.statistics.keys() ^ named]
    for name in named.keys() & baseline.statistics.keys():
        grain = GRAIN.get(name.split(" ")[0], 0.0) / measurement.num_pairs
        estimates, before = named[name], baseline.statistics[name]
        for place, stored in enumerate(zip(before["value"], before["error"], strict=True)):
            found = float(estimates.value[place]), float(estimates.error[place])
            problems += differences(f"{name}, layer {measurement.layers[place]}", found, stored, grain)
    return inputs + sorted(problems)


def _named(measurement: Measurement) -> dict[str, Replicates]:
    """All statistics with a name each, of all facts and of one fact per subject."""
    sets = {"all facts": measurement.statistics, "one fact per subject": measurement.distinct}
    return {
        f"{name} of {matrix}, {of_facts}": estimates
        for of_facts, statistics in sets.items()
        for matrix, by_name in statistics.items()
        for name, estimates in by_name.items()
    }


def differences(
    name: str, found: tuple[float, float], stored: tuple[float | None, float | None], grain: float
) -> list[str]:
    """How a value and its error differ from what they were, in sentences; the error too, as it decides what they mean.

    Args:
        name: of the number, for the sentences.
        found: value and error now; NaN where they are undefined.
        stored: value and error before; None where they are undefined.
        grain: what one entry adds to the value, where it counts entries.
    """
    problems = []
    if not in_band(found[0], stored[0], stored[1], grain):
        problems.append(f"{name}: value was {_shown(*stored)}, now {found[0]:.6g}; expected within {BAND} errors")
    if not in_band(found[1], stored[1], stored[1], grain):
        problems.append(
            f"{name}: error was {_shown(stored[1])}, now {found[1]:.6g}; the same draws should give the same"
        )
    return problems


def in_band(value: float, before: float | None, error: float | None, grain: float = 0.0) -> bool:
    """Whether a value is within `BAND` errors of what it was; undefined (NaN now, None then) matches undefined only.

    Four digits are left to rounding where the error is zero or undefined (the keys are float32), and `CROSSING` grains
    where the value is a count.
    """
    if before is None or math.isnan(value):
        return before is None and math.isnan(value)
    return abs(value - before) <= BAND * (error or 0.0) + CROSSING * grain + 1e-4 * abs(before)


def _shown(*numbers: float | None) -> str:
    return " ± ".join("undefined" if number is None else f"{number:.6g}" for number in numbers)


def _rounded(values: Any) -> list[float | None]:
    """Ten significant digits: more than any band needs, and a file that a person can read."""
    return [_plain(float(f"{value:.10g}")) for value in np.asarray(values)]


def _plain(value: float) -> float | None:
    """JSON has no NaN: an undefined number is null."""
    return None if math.isnan(value) else value
