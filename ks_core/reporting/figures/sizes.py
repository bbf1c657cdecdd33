"""The figure of the scaling claim."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ks_core.experiments.sizes.family import FamilyScaling
from ks_core.experiments.sizes.numbers import NUMBERS, PLACES, at_places, geometric_mean
from ks_core.experiments.sizes.seeds import SeedScaling
from ks_core.reporting.figures.drawing import Drawings, as_label, colours


def scaling_figures(families: Sequence[FamilyScaling], seeds: SeedScaling | None = None) -> Drawings:
    """Every number against size; nothing where no family was measured."""
    return {"scaling.png": partial(numbers_against_size, families, seeds)} if families else {}


def numbers_against_size(families: Sequence[FamilyScaling], seeds: SeedScaling | None = None) -> Figure:
    """One row of panels per number, one column per family, one line per relative depth; crosses are other seeds."""
    figure = Figure(figsize=(1 + 3.2 * len(families), 2.6 * len(NUMBERS)), layout="constrained")
    axes = figure.subplots(len(NUMBERS), len(families), squeeze=False, sharex="col", sharey="row")
    for row, (number, words) in zip(axes, NUMBERS.items(), strict=True):
        for axis, family in zip(row, families, strict=True):
            _panel(axis, family, number)
            if seeds is not None and seeds.family == family.name:
                for size, points in seeds.points(number):
                    for colour, value in zip(colours(len(PLACES)), points, strict=True):
                        axis.plot(size, value, "x", color=colour, markersize=5)
        row[0].set_ylabel(words[0].replace(" (", "\n("))
    for axis, family in zip(axes[0], families, strict=True):
        axis.set_title(f"{as_label(family.name)}, {len(family.case_ids)} facts", fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel("parameters outside the embedding")
    axes[0][0].legend(frameon=False, title="relative depth", fontsize=8)
    crosses = "; crosses: other seeds of training" if seeds is not None else ""
    figure.suptitle(f"Superposition against size; bars are one error over facts and text{crosses}")
    return figure


def _panel(axis: Axes, family: FamilyScaling, number: str) -> None:
    found = [member.at_places(number) for member in family.members]
    values, errors = np.stack([of.value for of in found]), np.stack([of.error for of in found])
    for place, (name, colour) in enumerate(zip(PLACES, colours(len(PLACES)), strict=True)):
        axis.errorbar(
            family.sizes,
            values[:, place],
            errors[:, place],
            fmt="o-",
            color=colour,
            label=name,
            capsize=2,
            markersize=3,
        )
    exponents = family.exponents(number).value
    chance = [geometric_mean(at_places(member.chance[number])) for member in family.members]
    axis.plot(family.sizes, chance, ":", color="black", linewidth=1, label="chance, mean over depths")
    axis.set(xscale="log", yscale="log")
    axis.annotate(
        f"exponents {exponents.min():.2f} to {exponents.max():.2f}",
        (0.03, 0.03),
        xycoords="axes fraction",
        fontsize=8,
    )
