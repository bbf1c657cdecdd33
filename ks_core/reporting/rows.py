"""The statistics of a measurement as rows, and rows as a data frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ks_core.errors import MissingExtraError
from ks_core.experiments.pairs.measure import Measurement

if TYPE_CHECKING:
    import pandas


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


def data_frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> pandas.DataFrame:
    """Rows as a pandas DataFrame, for the `to_frame` of what has them.

    Args:
        rows: a mapping each.
        columns: their names, for where there are no rows.

    Raises:
        MissingExtraError: pandas is not installed; no extra installs it.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError(
            "to_frame needs pandas, which is not installed; install it: pip install pandas"
        ) from error
    return pandas.DataFrame(list(rows), columns=None if columns is None else list(columns))
