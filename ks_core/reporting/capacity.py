"""Streams of insertions on models of many widths: as a table for the terminal, and as JSON values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ks_core.claims.capacity import places
from ks_core.experiments.capacity.measure import Capacity
from ks_core.experiments.capacity.stream import METHODS, Damage, ModelCapacity
from ks_core.formatting import plus_minus, printable, shortened
from ks_core.reporting.lifelong import NAME, Row, table
from ks_core.statistics.means import mean_of

HEADINGS = ["model", "d_key", "insertions", "watched", "p(new) reached %", "n · mean P²",
            *(f"n until a fifth is halved, {method}" for method in METHODS)]  # fmt: skip


def capacity_table(measured: Capacity, width: int | None = None) -> list[str]:
    """Lines of a table: how many edits each model takes; ± one standard error over its watched facts."""
    lost = [places(measured, method) for method in METHODS]
    rows = []
    for model in measured.models:
        found = [next((place for place in of if place.model is model), None) for of in lost]
        edits = ["-" if of is None else _edits(of.log_edits, of.error) for of in found]
        cells = [shortened(printable(model.name), NAME), str(model.d_key), str(model.edits), str(model.watched),
                 f"{100 * model.reached:.0f}", f"{model.edits * model.onto:.2g}", *edits]  # fmt: skip
        rows.append(Row(cells))
    return [
        *table(HEADINGS, rows, width),
        "n: edits after which a fifth of the watched facts have lost half of their probability, ± one standard error "
        "over these facts; -: with the first edit, or not within the stream, or not in every bootstrap sample.",
    ]


def _edits(log_edits: float, error: float) -> str:
    edits: float = 2.0**log_edits
    return plus_minus(edits, edits * math.log(2) * error)


def capacity_numbers(measured: Capacity) -> dict[str, Any]:
    """Everything of streams of insertions as JSON values, NaN still inside."""
    return {
        "models": [_model(model) for model in measured.models],
        "resamples": measured.resamples,
        "seed": measured.seed,
        "seconds": dict(measured.seconds),
    }


def _model(model: ModelCapacity) -> dict[str, Any]:
    return {
        "name": model.name,
        "family": model.family,
        "d_key": model.d_key,
        "layer": model.layer,
        "edits": model.edits,
        "watched": model.watched,
        "target_probability_reached": model.reached,
        "mean_square_of_p_among_edits": model.among,
        "mean_square_of_p_onto_watched": model.onto,
        "methods": {method: [_damage(damage) for damage in curve] for method, curve in model.curves.items()},
    }


def _damage(damage: Damage) -> dict[str, Any]:
    halved = mean_of(damage.halved.astype(np.float64))
    return {"edits": damage.edits, "halved": vars(halved), "growth": damage.growth, "failed": damage.failed or None}
