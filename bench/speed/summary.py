"""The table of ratios that stands at the end of a run of benchmarks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

HEADER = ("benchmark", "measured", "to limit", "to replaced", "n", "limit; replaced")


def table(benchmarks: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """The lines of the table: a benchmark each, by its name and `extra_info` as `limits.note` leaves it.

    Ratios are below 1 where the benchmark is the faster. `n` is of the rounds; with one there is no error, and `?`
    stands for it.
    """
    rows = [HEADER, *(_row(name, info) for name, info in benchmarks if "ratio_to_limit" in info)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADER))]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _row(name: str, info: Mapping[str, Any]) -> Sequence[str]:
    unit = "gib" if "gib" in info else "seconds"
    words = "; ".join(str(info[key]) for key in ("limit", "replaced") if key in info)
    return (
        name,
        _shown(info, unit) + {"gib": " GiB", "seconds": " s"}[unit],
        _shown(info, "ratio_to_limit"),
        _shown(info, "ratio_to_replaced") if "ratio_to_replaced" in info else "-",
        str(info[f"{unit}_rounds"]),
        words,
    )


def _shown(info: Mapping[str, Any], key: str) -> str:
    """Three digits with the error as two: these are not all of one size, and are read beside each other."""
    value, error = info[key], info.get(f"{key}_error")
    told = "?" if error is None or not math.isfinite(error) else f"{error:.2g}"
    return f"{value:.3g} ± {told}"
