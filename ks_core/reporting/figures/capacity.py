"""The figure of the capacity claim."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ks_core.claims.capacity import LOST, UNITS, Unit
from ks_core.experiments.capacity.measure import Capacity
from ks_core.reporting.figures.drawing import Drawings, as_label, colours

STYLES: dict[str, Literal["-", "--"]] = {"sequential": "-", "joint": "--"}
WHERE = {"per-dimension": "edits per dimension of the keys", "per-superposition": "edits times mean square of P"}


def capacity_figures(measured: Capacity) -> Drawings:
    """Damage against the number of edits, in both units of the claim."""
    return {"capacity.png": partial(damage_against_edits, measured)}


def damage_against_edits(measured: Capacity) -> Figure:
    """One panel for each unit, one line for each model and method, one colour for each family."""
    figure = Figure(figsize=(9.5, 4), layout="constrained")
    axes = figure.subplots(1, len(UNITS), sharey=True)
    families = list(dict.fromkeys(model.family for model in measured.models))
    colour_of = dict(zip(families, colours(len(families)), strict=True))
    for axis, (part, (_, unit)) in zip(axes, UNITS.items(), strict=True):
        _panel(axis, measured, unit, colour_of)
        axis.set(xscale="log", xlabel=WHERE[part], ylim=(-0.02, 1.02))
    axes[0].set_ylabel("watched facts that lost half of their probability")
    lines = [Line2D([], [], color=colour, label=as_label(family)) for family, colour in colour_of.items()]
    styles = [Line2D([], [], color="black", linestyle=style, label=method) for method, style in STYLES.items()]
    axes[0].legend(handles=[*lines, *styles], frameon=False, fontsize=8)
    figure.suptitle(f"Damage by a stream of edits in {len(measured.models)} models; dotted: a fifth of the facts")
    return figure


def _panel(axis: Axes, measured: Capacity, unit: Unit, colour_of: dict[str, str]) -> None:
    for model in measured.models:
        for method, style in STYLES.items():
            curve = model.known(method)
            places = np.array([damage.edits for damage in curve]) * unit(model)
            shares = [damage.share for damage in curve]
            axis.plot(places, shares, style, color=colour_of[model.family], linewidth=1, marker=".", markersize=3)
    axis.axhline(LOST, color="black", linestyle=":", linewidth=1)
