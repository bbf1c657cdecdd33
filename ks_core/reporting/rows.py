"""The statistics of a measurement as rows of a table of data."""

from __future__ import annotations

from typing import Any

from ks_core.experiments.pairs.measure import Measurement


def statistics_rows(measurement: Measurement) -> list[dict[str, Any]]:
    """One row for each layer, matrix and statistic: its value, both standard errors, and the pairs that it is of."""
    return [
        {
            "layer": layer,
            "matrix": matrix,
            "statistic": statistic,
            "value": float(of.value[place]),
            "facts_error": float(of.facts_error[place]),
            "text_error": float(of.text_error[place]),
            "count": measurement.num_pairs,
        }
        for place, layer in enumerate(measurement.layers)
        for matrix, by_statistic in measurement.statistics.items()
        for statistic, of in by_statistic.items()
    ]
