"""The editing half in numbers: for results.json, and the table of methods on the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ks_core.experiments.dose.measure import DoseMeasurement
from ks_core.experiments.streams.agreement import Agreement
from ks_core.experiments.streams.growth import Growth
from ks_core.experiments.streams.interference import Interference
from ks_core.experiments.streams.measure import StreamMeasurement
from ks_core.experiments.streams.scores import scores_of
from ks_core.experiments.streams.stream import Checkpoint, EditStreams
from ks_core.formatting import plus_minus, printable, shortened
from ks_core.reporting.lifelong import NAME, Row, table
from ks_core.statistics.estimate import Replicates
from ks_core.statistics.means import Mean


def methods_table(measured: StreamMeasurement, width: int | None = None) -> list[str]:
    """Lines of a table: what each method keeps and costs after all edits; ± one standard error over facts or texts."""
    streams = measured.streams
    columns = ("efficacy", "paraphrase", "neighbourhood", "retention", "log-perplexity rise")
    header = ["method", "edits", *columns, "‖ΔW C^½‖"]
    rows = [
        Row([shortened(printable(name), NAME), str(run[-1].edits),
             *(_shown(scores_of(streams, run[-1])[column]) for column in columns), f"{run[-1].length:.1f}"])
        for name, run in streams.runs.items()
    ]  # fmt: skip
    freedom = streams.freedom
    not_predicted = [name for name, run in streams.runs.items() if not run[-1].exact.bystanders.is_predicted]
    return [
        *table(header, rows, width),
        *(
            [f"interference not predicted (where they write is not known): {', '.join(not_predicted)}"]
            if not_predicted
            else []
        ),
        f"protection of {len(streams.protected)} facts leaves {freedom.mean():.2f} of the edited keys free (least "
        f"{freedom.min():.2f}), so edits are up to {1 / math.sqrt(freedom.min()):.1f} times as long; the null space "
        f"holds {streams.null_variance:.1%} of the text's variance",
    ]


def _shown(score: Mean) -> str:
    return plus_minus(score.value, score.error) if math.isfinite(score.value) else "none"


def stream_numbers(measured: StreamMeasurement) -> dict[str, Any]:
    """Everything of a stream as JSON values, NaN still inside."""
    streams = measured.streams
    return {
        "layer": streams.layer,
        "edited_case_ids": [fact.case_id for fact in streams.edits],
        "bystander_case_ids": [fact.case_id for fact in streams.bystanders],
        "protected_case_ids": [fact.case_id for fact in streams.protected],
        "target_probability_reached": streams.values.probabilities.tolist(),
        "target_value_steps": streams.values.steps.tolist(),
        "freedom_under_protection": streams.freedom.tolist(),
        "null_space_variance": streams.null_variance,
        "formula": "scores compare mean log-probabilities per token, as ROME's evaluation of CounterFact does",
        "methods": {name: [_checkpoint(streams, at) for at in run] for name, run in streams.runs.items()},
        "second_moment_of_first_half": {name: _checkpoint(streams, at) for name, at in streams.of_half.items()},
        "growth": growth_numbers(measured.growth),
        "seconds": dict(measured.seconds),
    }


def growth_numbers(growth: Growth) -> dict[str, Any]:
    """How interference grows with the number of edits, as JSON values, NaN still inside."""
    return {
        "edits": list(growth.counts),
        "rms_delta_o": growth.sizes.tolist(),
        "exponent": _number(growth.exponent),
        "rank_correlation_delta_e_later_edits": _number(growth.earlier),
    }


def dose_numbers(measured: DoseMeasurement) -> dict[str, Any]:
    """Every pair of dose and response as JSON values, NaN still inside."""
    found = measured.response
    if found is None:
        return {}
    arrays = {name: value.tolist() for name, value in vars(found).items() if isinstance(value, np.ndarray)}
    return {
        "relation": found.relation,
        "layers": list(found.layers),
        "edited_case_ids": [fact.case_id for fact in found.edits],
        "watched_case_ids": [fact.case_id for fact in found.neighbours],
        "by_layer_edit_and_fact": arrays,
        "seconds": dict(measured.seconds),
    }


def _checkpoint(streams: EditStreams, at: Checkpoint) -> dict[str, Any]:
    return {
        "edits": at.edits,
        "scores": {name: vars(score) for name, score in scores_of(streams, at).items()},
        "length": at.length,
        "float64": _interference(at.exact),
        "own_dtype": _interference(at.own_dtype),
    }


def _interference(of: Interference) -> dict[str, Mapping[str, float]]:
    return {name: _agreement(getattr(of, name)) for name in ("bystanders", "protected", "edits")}


def _agreement(of: Agreement) -> dict[str, float]:
    sizes = {name: float(np.sqrt((getattr(of, name) ** 2).mean())) for name in ("predicted", "measured", "difference")}
    return {**sizes, "relative": of.relative()}


def _number(replicates: Replicates) -> dict[str, float]:
    return {
        "value": float(replicates.value),
        "facts_error": float(replicates.facts_error),
        "text_error": float(replicates.text_error),
    }
