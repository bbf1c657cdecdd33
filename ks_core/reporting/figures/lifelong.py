"""The figures of long streams: what is kept against what is broken, along the way, and foretold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ks_core.experiments.lifelong.look import Curve
from ks_core.experiments.lifelong.measurement import Forecast, Lifelong
from ks_core.reporting.figures import streams
from ks_core.reporting.figures.drawing import Drawings, as_label
from ks_core.statistics.means import Mean

STYLES = streams.STYLES | {
    "MEMIT": ("tab:orange", "v"),
    "EMMET": ("tab:brown", "P"),
    "AlphaEdit": ("tab:purple", "^"),
    "spread": ("goldenrod", "X"),
    "PRUNE": ("tab:gray", "<"),
    "own part": ("teal", ">"),
    "mixed C": ("tab:pink", "h"),
    "search, sequential": ("lightcoral", "d"),
    "search, joint": ("cornflowerblue", "p"),
}
"""Colour and marker by method; searches are paler than the method that writes what they found."""

OTHERS = [("black", "*"), ("limegreen", "*"), ("magenta", "*"), ("darkcyan", "*")]
"""Those of anyone's editors, in their order; they come round again."""

WIDTH = 9.4
"""Inches: at the width of a page, text is then as large as that around it."""

PANELS = {
    "retention": "retention: p(new) of the first quarter",
    "watched halved": "watched facts: share halved",
    "watched tail": "watched facts: worst tenth, nats",
    "log-perplexity rise": "log-perplexity, rise in nats",
    "growth": "‖ΔW‖ / ‖W‖",
}
"""Scores that are drawn along a stream, and their titles."""


def lifelong_figures(measured: Lifelong, model: str) -> Drawings:
    """What long streams did; no forecast is drawn where there is none."""
    drawings: dict[str, Callable[[Lifelong, str], Figure]] = {"frontier.png": frontier, "lifelong.png": along}
    if measured.forecasts:
        drawings["forecast.png"] = foretold
    return {name: partial(draw, measured, model) for name, draw in drawings.items()}


def styles(methods: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each method."""
    others = [name for name in dict.fromkeys(methods) if name not in STYLES]
    return STYLES | {name: OTHERS[place % len(OTHERS)] for place, name in enumerate(others)}


def frontier(measured: Lifelong, model: str) -> Figure:
    """Retention against damage after 32, 128 and all edits: a colour a method, joined as its one knob turns."""
    counts = measured.plan.frontier
    figure = Figure(figsize=(WIDTH, 5.0), layout="constrained")
    panels = figure.subplots(1, len(counts), sharex=True, sharey=True, squeeze=False)[0]
    for axis, count in zip(panels, counts, strict=True):
        draw_frontier(axis, measured, count)
    panels[0].set_xlim(left=-0.02)  # when all is drawn: it ends where the worst method does
    panels[0].set_ylabel("retention: p(new) of the first quarter of the edits")
    _legend(figure, *_methods(measured))
    figure.suptitle(
        f"{_title(measured, model)}; filled: as published or recommended; open: other settings, first order only; "
        "up and left is better"
    )
    return figure


def draw_frontier(axis: Axes, measured: Lifelong, count: int) -> Axes:
    """One panel: all methods and settings that were looked at after so many edits."""
    by_method: dict[str, list[Curve]] = {}
    for curve in measured.curves:
        by_method.setdefault(curve.method, []).append(curve)
    chosen = styles(by_method)
    for method, curves in by_method.items():
        places = {curve.name: _place(measured, curve, count) for curve in curves if curve.at(count)}
        for knob in knobs(curves):
            line = [places[curve.name] for curve in knob if curve.name in places]
            axis.plot([x.value for x, _ in line], [y.value for _, y in line], "-", color=chosen[method][0], alpha=0.6,
                      linewidth=1)  # fmt: skip
        for curve in curves:
            if curve.name in places:
                _point(axis, places[curve.name], chosen[method], curve)
    axis.plot(0, 1, marker="*", color="gold", markeredgecolor="black", markersize=13, clip_on=False, zorder=5)
    axis.annotate("ideal", (0, 1), xytext=(9, -3), textcoords="offset points", fontsize=8)
    axis.set(xlabel="share of watched facts halved", title=f"after {count} edits", ylim=(0, 1.02))
    axis.grid(alpha=0.25, linewidth=0.5)
    return axis


def knobs(curves: Sequence[Curve]) -> list[list[Curve]]:
    """The settings of one method that a line joins: those that differ in a number alone, in their order.

    A default without a setting is where each of the lines begins: no ridge is the least of all ridges.
    """
    lines: dict[str, list[Curve]] = {}
    for curve in curves:
        if curve.setting:
            lines.setdefault(re.sub(r"[\d.]+", "", curve.setting), []).append(curve)
    begin = [curve for curve in curves if not curve.setting]
    return [begin + line for line in lines.values()]


def _place(measured: Lifelong, curve: Curve, count: int) -> tuple[Mean, Mean]:
    scores = measured.scores(curve, count)
    return scores["watched halved"], scores["retention"]


def _point(axis: Axes, place: tuple[Mean, Mean], style: tuple[str, str], curve: Curve) -> None:
    (x, y), (colour, marker) = place, style
    axis.errorbar(
        x.value,
        y.value,
        xerr=x.error,
        yerr=y.error,
        color=colour,
        marker=marker,
        markersize=8 if curve.is_default else 4.5,
        markerfacecolor=colour if curve.is_default else "white",
        linestyle="none",
        elinewidth=0.6,
        zorder=4 if curve.is_default else 3,
    )


def along(measured: Lifelong, model: str) -> Figure:
    """What the default of each method keeps and breaks after 1, 2, 4, … N edits."""
    figure = Figure(figsize=(WIDTH, 5.6), layout="constrained")
    panels = figure.subplots(2, 3).ravel()
    for axis, score in zip(panels, PANELS, strict=False):
        draw_along(axis, measured, score)
    for axis in panels[len(PANELS) :]:
        axis.axis("off")
    panels[-1].legend(*panels[0].get_legend_handles_labels(), frameon=False, loc="center")
    figure.suptitle(f"{_title(measured, model)}; bars are one standard error")
    return figure


def draw_along(axis: Axes, measured: Lifelong, score: str) -> Axes:
    """One of `PANELS` against the number of edits, by method."""
    defaults = [curve for curve in measured.curves if curve.is_default]
    chosen = styles(curve.method for curve in measured.curves)
    for curve in defaults:
        found = [measured.scores(curve, count)[score] for count in curve.counts]
        _errorbars(axis, curve.counts, found, chosen[curve.method], as_label(curve.method))
    axis.set_title(PANELS[score], fontsize=9)
    if score == "growth":  # methods differ by factors of hundreds
        axis.set_yscale("log")
    _edits_axis(axis, len(measured.plan.edits))
    return axis


def foretold(measured: Lifelong, model: str) -> Figure:
    """Curves foretold from samples of the edits beside those that were measured."""
    figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
    kept, broken = figure.subplots(1, 2)
    draw_foretold(kept, measured, "retention")
    draw_foretold(broken, measured, "watched halved")
    _legend(figure, *kept.get_legend_handles_labels())
    samples = {len(forecast.curve.looks) for forecast in measured.forecasts}
    figure.suptitle(
        f"{_title(measured, model)}; bands: lowest to highest of {'/'.join(map(str, sorted(samples)))} samples"
    )
    return figure


def draw_foretold(axis: Axes, measured: Lifelong, score: str) -> Axes:
    """Retention or the share of watched facts halved: foretold (dashed, a band over samples) and measured."""
    chosen = styles(curve.method for curve in measured.curves)
    for forecast in measured.forecasts:
        colour, _ = chosen.get(forecast.method, ("black", "o"))
        whole = _foretold(measured, forecast, score)
        counts = [count for count, value in whole.items() if np.isfinite(value)]
        label = f"{as_label(forecast.method)}, foretold from {forecast.sample} edits"
        axis.plot(counts, [whole[count] for count in counts], "--", color=colour, label=label)
        by_sample = [_foretold(measured, one, score) for one in _each(forecast)]
        samples = [[of[count] for count in counts] for of in by_sample]
        low, high = np.nanmin(samples, axis=0), np.nanmax(samples, axis=0)
        axis.fill_between(counts, low, high, color=colour, alpha=0.15, linewidth=0)
    for curve in measured.curves:
        if curve.is_default and curve.method in {forecast.method for forecast in measured.forecasts}:
            found = [measured.scores(curve, count)[score] for count in curve.counts]
            _errorbars(axis, curve.counts, found, chosen[curve.method], f"{as_label(curve.method)}, measured")
    axis.set_title(PANELS[score], fontsize=9)
    _edits_axis(axis, len(measured.plan.edits))
    return axis


def _foretold(measured: Lifelong, forecast: Forecast, score: str) -> dict[int, float]:
    return {count: measured.foretold(forecast, count)[score].value for count in forecast.curve.counts}


def _each(forecast: Forecast) -> list[Forecast]:
    """The forecast from each sample alone."""
    return [replace(forecast, curve=replace(forecast.curve, looks=(looks,))) for looks in forecast.curve.looks]


def _errorbars(axis: Axes, counts: Sequence[int], found: Sequence[Mean], style: tuple[str, str], name: str) -> None:
    values, errors = [score.value for score in found], [score.error for score in found]
    colour, marker = style
    axis.errorbar(counts, values, errors, color=colour, fmt=marker + "-", markersize=3.5, linewidth=1, label=name)


def _edits_axis(axis: Axes, most: int) -> None:
    """A logarithmic axis of numbers of edits, with ticks that do not touch each other."""
    ticks = [count for count in (4**power for power in range(10)) if count <= most / 2] + [most]
    axis.set(xscale="log", xlabel="edits n")
    axis.set_xticks(ticks, [str(count) for count in ticks])
    axis.minorticks_off()


def _title(measured: Lifelong, model: str) -> str:
    return f"{as_label(model)}, layer {measured.plan.layer}, {len(measured.plan.orders)} orders"


def _methods(measured: Lifelong) -> tuple[list[Any], list[str]]:
    """What a legend shows of each method that was looked at: a filled marker where one of its settings is."""
    looked_at = [curve for curve in measured.curves if curve.counts]
    chosen = styles(curve.method for curve in looked_at)
    filled = {method: any(of.is_default for of in looked_at if of.method == method) for method in
              dict.fromkeys(curve.method for curve in looked_at)}  # fmt: skip
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=7, markerfacecolor=colour if filled[method] else "white")
        for method, (colour, marker) in ((method, chosen[method]) for method in filled)
    ]
    return handles, [as_label(method) for method in filled]


def _legend(figure: Figure, handles: Sequence[Any], names: Sequence[str]) -> None:
    figure.legend(handles, names, loc="outside lower center", ncols=min(6, max(1, len(names))), frameon=False)
