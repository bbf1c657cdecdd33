"""How superposition changes with the size of a model, by family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ks_core.experiments.sizes.numbers import NUMBERS, PLACES, at_places, geometric_mean
from ks_core.reporting.page.figure import PageFigure
from ks_core.reporting.page.figures.chart import (
    OF_LINES,
    SHAPES,
    Row,
    axis,
    chart,
    colour_of,
    colours,
    error_bars,
    kept,
    label,
    listed,
    shapes,
    tooltip,
)
from ks_core.reporting.stored_results import StoredResults
from ks_core.statistics.pairs import Array

Rows = list[Row]

HERE, CHANCE, SEED = "measured", "chance", "another seed of training"

BELOW = {"kurtosis": "kurtosis of P", "spread": "std of P", "cosine_spread": "std of whitened cosines"}
"""Number of `NUMBERS` → its short name, where the choice is made."""


def scaling_figure(results: StoredResults) -> PageFigure | None:
    """A statistic against the size of the model, by family; None where no family was measured."""
    families = results.content["scaling"]
    rows = [row for family in families for row in rows_of(family)] + _of_seeds(results.content["seeds"])
    if not any(row["kind"] == HERE for row in rows):
        return None
    names = [label(family["family"]) for family in families]
    return PageFigure(
        name="scaling",
        title="Superposition against size",
        caption=_caption(families, rows),
        alternative=_alternative(families),
        spec=_spec(rows, names),
    )


def rows_of(family: Mapping[str, Any]) -> Rows:
    """One row for each member, number and depth, and for what chance gives there."""
    rows = []
    for member in family["members"]:
        about = {"series": label(family["family"]), "model": label(member["name"]),
                 "size": member["parameters_outside_embedding"]}  # fmt: skip
        for number in NUMBERS:
            found = member["by_layer"][number]
            values, errors = _finite(found["value"]), _total(found)
            if values is None:
                continue
            rows += _at_each_depth({**about, "number": number, "kind": HERE}, values, errors)
            chance = _finite(member["chance_by_layer"][number])
            if chance is not None:
                rows += _at_each_depth({**about, "number": number, "kind": CHANCE}, chance, None)
    return rows


def _at_each_depth(about: Row, by_layer: Array, errors: Array | None) -> Rows:
    values = at_places(by_layer)
    shares = None if errors is None else _relative_errors(errors / by_layer)
    rows = []
    for place, name in enumerate(PLACES):
        row = {**about, "depth": name, "value": kept(values[place])}
        if shares is not None and np.isfinite(shares[place]):
            half = values[place] * shares[place]
            low, high = kept(values[place] - half), kept(values[place] + half)
            row |= {"error": kept(half)} | ({"low": low, "high": high} if low is not None and low > 0 else {})
        rows.append(row)
    return rows


def _relative_errors(by_layer: Array) -> Array:
    """At the depths of `PLACES`; between two layers no more than that of both together, weighted as the value is."""
    depths = np.linspace(0, 1, len(by_layer)) if len(by_layer) > 1 else np.array([0.5])
    found: Array = np.interp(list(PLACES.values()), depths, by_layer)
    return found


def _of_seeds(seeds: Mapping[str, Any] | None) -> Rows:
    if seeds is None:
        return []
    return [
        row
        for seed, members in seeds["by_seed"].items()
        for size, member in zip(seeds["sizes"], members, strict=False)
        for number in NUMBERS
        for values in [_finite(member[number])]
        if values is not None
        for row in _at_each_depth(
            {"series": label(seeds["family"]), "model": f"seed {label(seed)}", "size": size, "number": number,
             "kind": SEED},
            values,
            None,
        )
    ]  # fmt: skip


def _finite(values: Sequence[float | None]) -> Array | None:
    """Numbers of all layers; None where one is missing or not positive, so that there is no logarithm of it."""
    if not values or any(value is None or value <= 0 for value in values):
        return None
    return np.array(values, dtype=np.float64)


def _total(found: Mapping[str, Any]) -> Array:
    """Errors over facts and over text in quadrature, by layer; NaN where one is not defined."""
    parts = [np.array([np.nan if of is None else of for of in found[name]]) for name in ("facts_error", "text_error")]
    total: Array = np.hypot(*parts)
    return total


def _spec(rows: Rows, families: list[str]) -> Row:
    colour = colours({name: colour_of(place) for place, name in enumerate(families)})
    shape = shapes({name: SHAPES[place % len(SHAPES)] for place, name in enumerate(families)})
    kinds = {"domain": [HERE, CHANCE], "range": [[1, 0], [2, 3]]}
    dash = {"field": "kind", "type": "nominal", "scale": kinds, "title": None, "legend": OF_LINES}
    x = axis("size", "parameters outside the embedding (log scale)", scale={"type": "log", "nice": False,
             "padding": 10}, format="~s", tickCount=5)  # fmt: skip
    y = axis("value", "statistic (log scale)", scale={"type": "log", "nice": False, "padding": 6}, format="~g",
             tickCount=5)  # fmt: skip
    bars = error_bars(x, y, colour, 0.7)
    lines = {
        "transform": [{"filter": {"not": {"field": "kind", "equal": SEED}}}],
        "mark": {"type": "line", "strokeWidth": 1.5},
        "encoding": {"x": x, "y": y, "color": colour, "strokeDash": dash},
    }
    told = tooltip(series="family", model="model", kind="what", size="parameters", value="value",
                   error="± one standard error")  # fmt: skip
    points = [
        {
            "transform": [{"filter": {"field": "kind", "equal": kind}}],
            "mark": {"type": "point", "filled": kind == HERE, "size": size, "opacity": 1},
            "encoding": {"x": x, "y": y, "color": colour, "shape": shape, "tooltip": told},
        }
        for kind, size in ((HERE, 50), (SEED, 130))
    ]
    choices = [
        {"name": "number", "value": next(iter(NUMBERS)),
         "bind": {"input": "select", "options": list(NUMBERS), "labels": [BELOW[of] for of in NUMBERS],
                  "name": "statistic "}},
        {"name": "depth", "value": next(iter(PLACES)),
         "bind": {"input": "select", "options": list(PLACES), "labels": [f"{of} layer" for of in PLACES],
                  "name": "depth "}},
    ]  # fmt: skip
    chosen = [{"filter": "datum.number === number && datum.depth === depth"}]
    return chart(
        [bars, lines, *points], labels=len(families) + 2, data={"values": rows}, params=choices, transform=chosen
    )


def _caption(families: Sequence[Mapping[str, Any]], rows: Rows) -> str:
    of_each = [
        f"{label(family['family'])} ({len(family['members'])} models, {len(family['case_ids'])} facts)"
        for family in families
    ]
    seeds = " Open marks: the same models trained from other seeds." if any(
        row["kind"] == SEED for row in rows) else ""  # fmt: skip
    return (
        f"Families {listed(of_each)}: choose a statistic and a depth below the chart. Dotted: what random directions "
        f"of the same lengths give. Bars are one standard error over facts and text (for the middle between two layers "
        f"at most so much).{seeds} The kurtosis is that with the 3 of a Gaussian in it."
    )


def _alternative(families: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for family in families:
        for number in NUMBERS:
            values = [_mean(member["by_layer"][number]["value"]) for member in family["members"]]
            exponents = family["exponents"][number]["at_places"]["value"]
            said = ", ".join("not defined" if value is None else f"{value:.3g}" for value in values)
            parts.append(f"{label(family['family'])}, {BELOW[number]}: {said}; {_exponents(exponents)}")
    return f"Means over depth from the smallest model to the largest. {'. '.join(parts)}."


def _mean(by_layer: Sequence[float | None]) -> float | None:
    values = _finite(by_layer)
    return None if values is None else float(geometric_mean(at_places(values)))


def _exponents(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "no exponents"
    return f"exponents in size {min(known):.2f} to {max(known):.2f}"
