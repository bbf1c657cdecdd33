"""results.json: everything that was measured and judged in a run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ks_core.claims.finding import Finding, NotApplicable
from ks_core.claims.registry import CLAIMS
from ks_core.data.fact import Fact
from ks_core.errors import InputError
from ks_core.experiments.measured import Measured
from ks_core.experiments.pairs.measure import LENGTHS_DRAWS, NULL_DRAWS, Measurement
from ks_core.experiments.pairs.statistics import PAIR_MATRICES, Statistics
from ks_core.experiments.request.settings import Settings
from ks_core.outputs import is_regular, write_text
from ks_core.reporting.capacity import capacity_numbers
from ks_core.reporting.lifelong_numbers import lifelong_numbers
from ks_core.reporting.quantities import quantities_of, unit_of_statistic
from ks_core.reporting.sizes import sizes_numbers
from ks_core.reporting.streams import dose_numbers, stream_numbers
from ks_core.strict_json import parse_json

RESULTS = "results.json"
"""Name of the file in the folder of results."""

FORMAT = "ks_core/results/4"

OLDER = ("ks_core/results/3", "ks_core/results/2")
"""Still read: 3 has no texts of facts, no d_key and no file of matrices; 2 besides no units, no n beside the statistics
and no `quantities`."""

SCHEMA = Path(__file__).with_name("results.schema.json")
"""JSON Schema of what `write_results` writes; tools/results_schema.py makes it."""

PAIRS_COUNTED = "pairs of facts a layer"
"""What `count` of a statistic counts."""


def write_results(
    path: Path,
    measured: Measured,
    findings: Sequence[Finding],
    not_applicable: Mapping[str, NotApplicable],
    baseline: str,
    matrices: Mapping[str, Any] | None = None,
) -> None:
    """Write everything that was measured and judged as JSON; NaN becomes null.

    Args:
        path: the file.
        measured: what was measured.
        findings: what was judged.
        not_applicable: claims that were not judged, by name.
        baseline: the baseline held against, or why there was none.
        matrices: what `write_pairs` says of the file beside this one; None where there is none.
    """
    settings = measured.pairs.settings
    content = {
        "format": FORMAT,
        "model": settings.model_origin,
        "settings": asdict(settings),
        "provenance": dict(measured.pairs.provenance),
        "baseline": baseline,
        "findings": [finding_numbers(finding) for finding in findings],
        "claims": {claim.name: {"claims": claim.sentence, "untested": claim.untested} for claim in CLAIMS.values()},
        "not_judged": {name: of.reason for name, of in not_applicable.items()},
        "matrices": matrices,
        **pairs_numbers(measured.pairs),
        **part_numbers(measured),
    }
    content["facts"] |= {"others": [_told(fact) for fact in _others(measured)]}
    values = plain(content)
    values["quantities"] = quantities_of(values)
    write_text(path, json.dumps(values, indent=1, allow_nan=False) + "\n")


def finding_numbers(finding: Finding) -> dict[str, Any]:
    """A finding with its id, and its number beside what it is of."""
    fields = asdict(finding)
    judged = fields.pop("judged")
    return {"id": finding.id, **fields, **judged, "error": finding.error}


def pairs_numbers(measurement: Measurement) -> dict[str, Any]:
    """Everything of the pairs of facts."""
    selection = measurement.selection
    subjects = len({fact.subject for fact in selection.measured})
    return {
        "facts": {
            "rule": selection.rule,
            "in_file": selection.asked,
            "origin": selection.measured.origin,
            "separators": selection.separators,
            "left_out": [asdict(of) for of in selection.left_out],
            "usable_case_ids": list(selection.usable),
            "measured_case_ids": [fact.case_id for fact in selection.measured],
            "measured": [_told(fact) for fact in selection.measured],
            "distinct_subjects": subjects,
        },
        "layers": list(measurement.layers),
        "pairs": measurement.num_pairs,
        "d_key": [pairs.d_key for pairs in measurement.pairs],
        "condition_number": [pairs.condition_number for pairs in measurement.pairs],
        "rank": [pairs.rank for pairs in measurement.pairs],
        "silent_neurons": [pairs.silent_neurons for pairs in measurement.pairs],
        "extremes": {name: _extremes(measurement, name) for name in PAIR_MATRICES},
        "statistics": _numbers(measurement.statistics, measurement.num_pairs),
        "one_fact_per_subject": _numbers(measurement.distinct, pairs_between(subjects)),
        "null": {
            matrix: {name: asdict(of) | _drawn(matrix, name, NULL_DRAWS) for name, of in null.items()}
            for matrix, null in measurement.null.items()
        },
        "null_of_lengths": {
            name: asdict(of) | _drawn("P", name, LENGTHS_DRAWS) for name, of in measurement.lengths_alone.items()
        },
        "seconds": dict(measurement.seconds),
    }


def part_numbers(measured: Measured) -> dict[str, Any]:
    """Everything of edits and of other sizes of model."""
    editing: dict[str, Any] = {} if measured.stream is None else {"stream": stream_numbers(measured.stream)}
    doses = {"dose": measured.dose, "long_dose": measured.long_dose}
    editing |= {name: dose_numbers(of) or None for name, of in doses.items() if of is not None}
    if measured.lifelong is not None:
        editing["lifelong"] = lifelong_numbers(measured.lifelong)
    if measured.capacity is not None:
        editing["capacity"] = capacity_numbers(measured.capacity)
    sizes = {"scaling": [], "seeds": None} if measured.sizes is None else sizes_numbers(measured.sizes)
    return {"editing": editing, **sizes}


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


def _told(fact: Fact) -> dict[str, Any]:
    """A fact as a reader knows it."""
    names = ("case_id", "subject", "relation_id", "target_true", "target_new")
    return {name: getattr(fact, name) for name in names} | {"text": fact.text}


def _others(measured: Measured) -> list[Fact]:
    """The facts that parts of edits name by their ids and that are not among the measured ones."""
    doses = [part.response for part in (measured.dose, measured.long_dose) if part is not None]
    named = [fact for of in doses if of is not None for fact in (*of.edits, *of.neighbours)]
    if measured.stream is not None:
        streams = measured.stream.streams
        named += [*streams.edits, *streams.bystanders, *streams.protected]
    known = {fact.case_id for fact in measured.pairs.selection.measured}
    return list({fact.case_id: fact for fact in named if fact.case_id not in known}.values())


def pairs_between(facts: int) -> int:
    """Ordered pairs of two different facts.

    Example:
        >>> pairs_between(8)
        56
    """
    return facts * (facts - 1)


def _drawn(matrix: str, statistic: str, draws: int) -> dict[str, Any]:
    """What stands beside the mean of draws of random keys; `std` is the error of one draw."""
    return {"unit": unit_of_statistic(matrix, statistic), "count": draws, "counted": "random draws"}


def _numbers(statistics: Statistics, pairs: int) -> dict[str, dict[str, Any]]:
    return {
        matrix: {
            name: {
                "value": of.value,
                "facts_error": of.facts_error,
                "text_error": of.text_error,
                "error": of.error,
                "bootstrap_bias": of.bias,
                "unit": unit_of_statistic(matrix, name),
                "count": pairs,
                "counted": PAIRS_COUNTED,
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
