"""Baselines: what a measurement gave before, kept per model, and the check that it still gives the same.

A baseline belongs to a request (model, text, facts, their numbers). When the same request is made again, its inputs
must have the same hashes, its verdicts must be the same and its values must stay inside their bands. Another request on
the same model has no baseline; its claims are judged alone.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ks_core.errors import InputError
from ks_core.files import atomic_path
from ks_core.reproduction.claims import Finding
from ks_core.reproduction.measure import Measurement
from ks_core.reproduction.settings import Settings
from ks_core.statistics.tails import GAUSSIAN_TAIL

FORMAT = "ks_core/baseline/1"

BAND = 0.1
"""Half-width of a value's band, in errors of the value. All inputs are pinned by hash, so sampling cannot move a value,
only rounding can (another processor, thread count or library). Changing threads and batch size for SmolLM2-135M moved
no smooth statistic by more than 1e-5 errors; a tenth leaves room for other machines and changes no conclusion."""

CROSSING = 2
"""Entries that rounding may carry across a threshold, on top: shares are counts, and a cosine's pair counts twice."""

GRAIN = {"share_above": 1.0, "near_right_angle": 1.0, "tail_ratio": 1.0 / GAUSSIAN_TAIL}
"""What one entry adds to a statistic that counts entries, times the number of entries."""

REQUEST = ("model", "revision", "corpus", "facts", "num_facts", "tokens", "layers", "dtype", "resamples", "seed")
"""Settings that make a request. Device and batch size are not among them: they must not move a value."""

INPUTS = ("weights_sha256", "tokenizer_sha256", "corpus_sha256", "facts_sha256", "pool_sha256", "longest_text")
"""What the same request must find again. The facts' hashes are of the selected facts: they gate the selection too."""


@dataclass(frozen=True)
class Baseline:
    """A stored result of one request."""

    path: Path
    request: Mapping[str, Any]
    provenance: Mapping[str, Any]
    findings: Mapping[str, Mapping[str, Any]]
    """claim → value, error, verdict"""
    statistics: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]
    """matrix → statistic → `value` and `error` by layer"""


def baseline_path(folder: Path, model: str) -> Path:
    """Where a folder of baselines keeps that of a model, by the last part of its name."""
    return folder / (re.sub(r"[^a-z0-9.]+", "-", Path(model).name.lower()).strip("-") + ".json")


def load_baseline(path: Path) -> Baseline:
    """Read a baseline.

    Raises:
        InputError: not a baseline file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise InputError(f"{path} has format {content['format']!r}; expected {FORMAT!r}: write it anew")
        parts = (content[name] for name in ("request", "provenance", "findings", "statistics"))
        return Baseline(path, *parts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path} cannot be read as a baseline ({type(error).__name__}: {error}); "
            "restore it, or write it anew with --ks-update-baseline"
        ) from error


def find_baseline(folder: Path, request: Mapping[str, Any]) -> tuple[Baseline | None, str]:
    """The baseline for a request, or None with the reason in words."""
    path = baseline_path(folder, str(request["model"]))
    if not path.is_file():
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
    local = {"model", "corpus", "facts"}
    return {name: _portable(values[name]) if name in local else values[name] for name in REQUEST}


def _portable(name: str | None) -> str | None:
    return Path(name).resolve().name if name and Path(name).exists() else name


def save_baseline(folder: Path, measurement: Measurement, findings: Sequence[Finding]) -> Path:
    """Write the baseline of a measurement, whole or not at all; returns its path."""
    request = request_of(measurement.settings)
    path = baseline_path(folder, request["model"])
    content = {
        "format": FORMAT,
        "request": request,
        "provenance": dict(measurement.provenance),
        "findings": {
            finding.claim: {
                "value": _plain(finding.value),
                "error": _plain(finding.error),
                "verdict": finding.verdict.value,
            }
            for finding in findings
        },
        "statistics": {
            matrix: {
                name: {"value": _rounded(estimates.value), "error": _rounded(estimates.error)}
                for name, estimates in statistics.items()
            }
            for matrix, statistics in measurement.statistics.items()
        },
    }
    with atomic_path(path) as made:
        made.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return path


def finding_problems(baseline: Baseline, finding: Finding) -> list[str]:
    """How a finding differs from the baseline's; empty when verdict and value are as they were."""
    before = baseline.findings.get(finding.claim)
    if before is None:
        return [f"{finding.claim} is not in {baseline.path}; write it anew with --ks-update-baseline"]
    problems = []
    if finding.verdict.value != before["verdict"]:
        problems.append(f"{finding.claim}: verdict was {before['verdict']!r}, now {finding.verdict.value!r}")
    if not in_band(finding.value, before["value"], before["error"]):
        problems.append(
            f"{finding.claim}: value was {_shown(before['value'], before['error'])}, now {finding.value:.6g}; "
            f"expected within {BAND} errors"
        )
    return problems


def measurement_problems(baseline: Baseline, measurement: Measurement) -> list[str]:
    """Inputs and per-layer statistics that are not what they were."""
    problems = [
        f"{name} was {baseline.provenance.get(name)!r}, now {measurement.provenance[name]!r}"
        for name in INPUTS
        if baseline.provenance.get(name) != measurement.provenance[name]
    ]
    for matrix, statistics in measurement.statistics.items():
        for name, estimates in statistics.items():
            before = baseline.statistics.get(matrix, {}).get(name)
            if before is None:
                problems.append(f"{name} of {matrix} is not in the baseline")
                continue
            step = GRAIN.get(name, 0.0) / measurement.num_pairs
            for layer, value, old, error in zip(
                measurement.layers, estimates.value, before["value"], before["error"], strict=True
            ):
                if not in_band(float(value), old, error, step):
                    problems.append(f"{name} of {matrix}, layer {layer}: was {_shown(old, error)}, now {value:.6g}")
    return problems


def in_band(value: float, before: float | None, error: float | None, step: float = 0.0) -> bool:
    """Whether a value is within `BAND` errors of what it was; undefined (NaN now, None then) matches undefined only.

    An error of zero still leaves eight digits of room for rounding, and `CROSSING` steps where the value is a count.
    """
    if before is None or math.isnan(value):
        return before is None and math.isnan(value)
    return abs(value - before) <= BAND * (error or 0.0) + CROSSING * step + 1e-8 * abs(before)


def _shown(value: float | None, error: float | None) -> str:
    return " ± ".join("undefined" if number is None else f"{number:.6g}" for number in (value, error))


def _rounded(values: Any) -> list[float | None]:
    """Ten significant digits: more than any band needs, and a file that a person can read."""
    return [_plain(float(f"{value:.10g}")) for value in np.asarray(values)]


def _plain(value: float) -> float | None:
    """JSON has no NaN: an undefined number is null."""
    return None if math.isnan(value) else value
