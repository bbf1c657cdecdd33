"""Long streams as JSON values, for results.json and the file of `ks stream`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ks_core.experiments.lifelong.look import Curve
from ks_core.experiments.lifelong.measurement import Forecast, Lifelong
from ks_core.experiments.lifelong.scores import scores_of
from ks_core.reporting.lifelong import acting_scores, apart_scores
from ks_core.reporting.streams import growth_numbers
from ks_core.statistics.means import Mean


def lifelong_numbers(measured: Lifelong) -> dict[str, Any]:
    """Everything of long streams, NaN still inside; every score has its error and count."""
    plan = measured.plan
    unedited = scores_of(measured.before, measured.before, measured.text_lengths, plan.early)
    return {
        "layer": plan.layer,
        "edited_case_ids": [fact.case_id for fact in plan.edits],
        "near_case_ids": [fact.case_id for fact in plan.near],
        "far_case_ids": [fact.case_id for fact in plan.far],
        "orders": [order.tolist() for order in plan.orders],
        "first_quarter": plan.early,
        "texts": len(measured.text_lengths),
        "search": asdict(measured.search),
        "target_probability_reached": measured.reached.tolist(),
        "unedited": _scores(unedited),
        "curves": [_curve(measured, curve) for curve in measured.curves],
        "forecasts": [_forecast(measured, forecast) for forecast in measured.forecasts],
        "acting": [
            {
                "method": acting.method,
                "edits": acting.edits,
                "scores": {place: _scores(scores) for place, scores in acting_scores(measured, acting).items()},
                "largest_share": acting.largest_share.tolist(),
            }
            for acting in measured.acting
        ],
        "growth": growth_numbers(measured.growth),
        "details": dict(measured.details),
        "simulated_less_measured_nats": dict(measured.simulated),
        "resamples": measured.resamples,
        "seed": measured.seed,
        "seconds": dict(measured.seconds),
    }


def _curve(measured: Lifelong, curve: Curve) -> dict[str, Any]:
    counts = sorted({look.edits for looks in curve.looks for look in looks})
    return {
        "method": curve.method,
        "setting": curve.setting,
        "default": curve.is_default,
        "failed": curve.failed or None,
        "looks": [
            {
                "edits": count,
                "orders": len(curve.at(count)),
                "scores": _scores(measured.scores(curve, count)),
                "watched": {part: _scores(of) for part, of in apart_scores(measured, curve, count).items()},
                "length": [look.length for look in curve.at(count)],
            }
            for count in counts
        ],
    }


def _forecast(measured: Lifelong, forecast: Forecast) -> dict[str, Any]:
    return {
        "method": forecast.method,
        "sample": forecast.sample,
        "failed": forecast.curve.failed or None,
        "looks": [
            {
                "edits": count,
                "samples": len(forecast.curve.at(count)),
                "scores": _scores(measured.foretold(forecast, count)),
            }
            for count in forecast.curve.counts
        ],
    }


def _scores(scores: Mapping[str, Mean]) -> dict[str, dict[str, float]]:
    return {name: asdict(score) for name, score in scores.items()}
