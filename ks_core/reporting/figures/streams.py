"""The figures of the editing half."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ks_core.experiments.dose.measure import DoseMeasurement
from ks_core.experiments.dose.response import DoseResponse
from ks_core.experiments.streams.measure import StreamMeasurement
from ks_core.experiments.streams.scores import scores_of
from ks_core.experiments.streams.stream import EditStreams
from ks_core.reporting.figures.drawing import Drawings, as_label, colours
from ks_core.statistics.means import Mean
from ks_core.statistics.pairs import Array

STYLES = {"sequential": ("tab:red", "o"), "joint": ("tab:blue", "s"), "null-space": ("tab:purple", "^"),
          "protected": ("tab:green", "D")}  # fmt: skip

PANELS = ("paraphrase", "retention", "neighbourhood", "log-perplexity rise")
"""Scores of a stream that are drawn, by their names in `scores_of`."""

OTHERS = [("tab:orange", "v"), ("tab:brown", "P"), ("tab:pink", "X"), ("tab:olive", "<"), ("tab:cyan", ">")]
"""Styles of methods that are not ours, in the order of their names; they come round again."""


def styles(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each method."""
    others = sorted(set(names) - set(STYLES))
    return STYLES | {name: OTHERS[place % len(OTHERS)] for place, name in enumerate(others)}


DOSE_EDGES = np.array([-0.2, -0.05, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.2])
"""Bins of dose for the line of means."""


def stream_figures(measured: StreamMeasurement, model: str) -> Drawings:
    """What a stream of edits did."""
    drawings: dict[str, Callable[[StreamMeasurement, str], Figure]] = {
        "interference.png": predicted_against_measured,
        "growth.png": growth_with_edits,
        "methods.png": behaviour_of_methods,
    }
    return {name: partial(draw, measured, model) for name, draw in drawings.items()}


def dose_figures(measured: DoseMeasurement, model: str) -> Drawings:
    """Dose against response; nothing where nothing was measured."""
    return {} if measured.response is None else {"dose.png": partial(dose_and_response, measured.response, model)}


def predicted_against_measured(measured: StreamMeasurement, model: str) -> Figure:
    """Every Δ after all edits, predicted from P and residuals, against the real module in float64."""
    streams = measured.streams
    figure = Figure(figsize=(8.2, 4.0), layout="constrained")
    bystanders, edits = figure.subplots(1, 2)
    draw_interference(bystanders, measured, "bystanders")
    draw_interference(edits, measured, "edits", legend=False)
    figure.suptitle(f"{as_label(model)}, layer {streams.layer}, {len(streams.edits)} edits; the module in float64")
    return figure


def draw_interference(
    axis: Axes, measured: StreamMeasurement, at: Literal["bystanders", "edits"], *, legend: bool = True
) -> Axes:
    """Every Δ after all edits at facts not edited, or at the edits: predicted against measured, by method."""
    for name, run in measured.streams.runs.items():
        colour, marker = styles(measured.streams.runs)[name]
        of = getattr(run[-1].exact, at)
        axis.plot(of.predicted, of.measured, marker, color=colour, markersize=4, alpha=0.6, label=name)
    low, high = axis.get_xlim()
    axis.plot([max(low, 1e-16), high], [max(low, 1e-16), high], color="black", linewidth=0.8, zorder=0)
    what = "Δ_o at facts not edited" if at == "bystanders" else "Δ_e at the edits"
    axis.set(xscale="log", yscale="log", xlabel="predicted length", ylabel="measured length", title=what)
    if legend:
        axis.legend(frameon=False)
    if at == "edits":
        axis.annotate("joint, protected:\nzero but for rounding", (0.03, 0.8), xycoords="axes fraction", fontsize=8)
    return axis


def growth_with_edits(measured: StreamMeasurement, model: str) -> Figure:
    """Δ_o against the number of edits: over many orders, and of each method in the stream's own order."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    draw_growth(figure.subplots(), measured, model)
    return figure


def draw_growth(axis: Axes, measured: StreamMeasurement, model: str) -> Axes:
    """The same into an axis."""
    grown, streams = measured.growth, measured.streams
    counts = np.array(grown.counts, dtype=float)
    exponent, error = float(grown.exponent.value), float(grown.exponent.error)
    label = f"sequential, mean of orders: n^({exponent:.2f} ± {error:.2f})"
    axis.plot(counts, grown.sizes, "o-", color="black", markersize=4, label=label)
    for power, style, name in ((1.0, ":", "linear"), (0.5, "--", "random walk")):
        axis.plot(counts, grown.sizes[0] * counts**power, style, color="grey", label=name)
    for name, run in streams.runs.items():
        sizes = [float(np.sqrt((of.exact.bystanders.measured**2).mean())) for of in run]
        colour, marker = styles(streams.runs)[name]
        axis.plot([of.edits for of in run], sizes, marker + "-", color=colour, markersize=3, linewidth=0.8, label=name)
    axis.set(xscale="log", yscale="log", xlabel="edits n", ylabel="root mean square of ‖Δ_o‖")
    _edit_ticks(axis, streams)
    axis.minorticks_off()
    axis.set_title(f"{as_label(model)}, layer {streams.layer}; {len(streams.bystanders)} bystanders")
    axis.legend(frameon=False)
    return axis


def behaviour_of_methods(measured: StreamMeasurement, model: str) -> Figure:
    """Efficacy, retention, neighbourhood and perplexity of each method after 1, 2, 4, … N edits."""
    streams = measured.streams
    figure = Figure(figsize=(11.0, 3.4), layout="constrained")
    for axis, panel in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        draw_score(axis, measured, panel, legend=panel in ("neighbourhood", PANELS[-1]))
    figure.suptitle(f"{as_label(model)}, layer {streams.layer}; bars are one standard error over facts (or texts)")
    return figure


def draw_score(axis: Axes, measured: StreamMeasurement, score: str, *, legend: bool = True) -> Axes:
    """One of `PANELS` against the number of edits, by method."""
    streams = measured.streams
    for name, run in streams.runs.items():
        scores = [scores_of(streams, of)[score] for of in run]
        _score_curve(axis, name, styles(streams.runs)[name], [of.edits for of in run], scores)
    axis.set(xscale="log", xlabel="edits n", title=score)
    _edit_ticks(axis, streams)
    axis.minorticks_off()
    if score == "neighbourhood":
        unedited = 1 - streams.before.neighbourhood.success()
        if not np.isnan(unedited).all():
            axis.axhline(float(np.nanmean(unedited)), color="black", linewidth=0.8, linestyle=":", label="unedited")
    if legend:
        axis.legend(frameon=False)
    return axis


def dose_and_response(found: DoseResponse, model: str) -> Figure:
    """Change of the new object's log-probability at neighbours against P, and against the first-order prediction."""
    figure = Figure(figsize=(9.0, 4.0), layout="constrained")
    by_dose, by_prediction = figure.subplots(1, 2, sharey=True)
    draw_dose(by_dose, found)
    for colour, predicted, response in zip(colours(len(found.layers)), found.predicted, found.response, strict=True):
        by_prediction.plot(predicted, response, ".", color=colour, markersize=3)
    by_prediction.set(xlabel="predicted to first order, P g · δ (nats)", xscale="symlog")
    top = np.linspace(0, float(np.nanmax(found.response)), 50)
    by_prediction.plot(top, top, color="black", linewidth=0.8, label="as predicted")
    by_prediction.legend(frameon=False)
    figure.suptitle(
        f"{as_label(model)}, {as_label(found.relation)}: {len(found.edits)} single edits, "
        f"{len(found.neighbours)} facts, {found.pairs:,} pairs"
    )
    return figure


def draw_dose(axis: Axes, found: DoseResponse) -> Axes:
    """Change of the new object's log-probability at neighbours against P, by layer, and its mean."""
    for colour, layer, dose, response in zip(
        colours(len(found.layers)), found.layers, found.dose, found.response, strict=True
    ):
        axis.plot(dose, response, ".", color=colour, markersize=3)
        axis.plot([], [], "o", color=colour, label=f"layer {layer}")
    centres, means = _binned(found.dose, found.response)
    axis.plot(centres, means, "k_-", linewidth=1, label="mean")
    axis.legend(frameon=False)
    axis.set(xlabel="superposition P from the edited fact", ylabel="change of log p(new object), nats")
    return axis


def _edit_ticks(axis: Axes, streams: EditStreams) -> None:
    counts = [of.edits for of in next(iter(streams.runs.values()))]
    axis.set_xticks(counts, [str(count) for count in counts])


def _score_curve(axis: Axes, name: str, style: tuple[str, str], counts: list[int], scores: list[Mean]) -> None:
    colour, marker = style
    values, errors = [score.value for score in scores], [score.error for score in scores]
    axis.errorbar(counts, values, errors, color=colour, fmt=marker + "-", markersize=3, linewidth=1, label=name)


def _binned(dose: Array, response: Array) -> tuple[Array, Array]:
    known = ~np.isnan(dose)
    place = np.digitize(dose[known], DOSE_EDGES)
    filled = sorted(set(place.tolist()))
    of_bin = [place == number for number in filled]
    centres, means = (np.array([x[known][chosen].mean() for chosen in of_bin]) for x in (dose, response))
    return centres, means
