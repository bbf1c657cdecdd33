"""The figures of pairs of facts: P over facts, its density, its kurtosis over layers, angles, convergence.

Each function that takes an axis draws on it and returns it; the others make a whole figure of such panels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ks_core.data.published_numbers import published_gpt2_small
from ks_core.experiments.pairs.layer import MOST_IN_DETAIL, LayerPairs, layers_in_detail
from ks_core.experiments.pairs.measure import Measurement
from ks_core.reporting.figures.drawing import Drawings, as_label, colours
from ks_core.statistics import null
from ks_core.statistics.convergence import kurtosis_by_size
from ks_core.statistics.density import density
from ks_core.statistics.pairs import off_diagonal
from ks_core.statistics.summaries import summarise

SUBSETS = 40
"""Random subsets of facts for a point of the convergence curve."""

SPACES = {"whitened_cosine": "whitened space", "activation_cosine": "activation space"}


def pair_figures(measurement: Measurement) -> Drawings:
    """The figures of a measurement."""
    drawings: dict[str, Callable[[Measurement], Figure]] = {
        "superposition.png": superposition_heatmaps,
        "density.png": superposition_density,
        "kurtosis.png": kurtosis_over_layers,
        "angles.png": angle_distributions,
        "convergence.png": kurtosis_convergence,
    }
    return {name: partial(draw, measurement) for name, draw in drawings.items()}


def superposition_heatmaps(measurement: Measurement) -> Figure:
    """P of some layers, the facts sorted by relation so that relations show as blocks."""
    shown = some(measurement.pairs)
    figure = Figure(figsize=(3.2 * len(shown), 3.6), layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False)[0]
    for axis, pairs in zip(axes, shown, strict=True):
        draw_superposition(axis, measurement, pairs)
    axes[0].set_ylabel("fact that is edited")
    figure.colorbar(axes[-1].images[0], ax=axes, label="P", shrink=0.8)
    count = measurement.num_facts
    figure.suptitle(f"Superposition P in {_name(measurement)}; {count} facts sorted by relation and object")
    return figure


def draw_superposition(axis: Axes, measurement: Measurement, pairs: LayerPairs) -> Axes:
    """P of one layer from blue, -1, to red, 1; the facts sorted by relation and object."""
    facts = measurement.selection.measured.facts
    order = np.array(sorted(range(len(facts)), key=lambda i: (facts[i].relation_id, facts[i].target_true, i)))
    axis.imshow(pairs.matrices["P"][np.ix_(order, order)], cmap="RdBu_r", vmin=-1, vmax=1)
    axis.set(title=f"layer {pairs.layer}", xlabel="fact that is disturbed")
    return axis


def superposition_density(measurement: Measurement) -> Figure:
    """`draw_density` as a figure."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    draw_density(figure.subplots(), measurement)
    return figure


def draw_density(axis: Axes, measurement: Measurement) -> Axes:
    """Density of off-diagonal P of some layers, against random keys of the same number and width."""
    entries = np.concatenate([off_diagonal(pairs.matrices["P"]) for pairs in some(measurement.pairs)])
    grid = np.linspace(entries.min() - 0.05, entries.max() + 0.05, 600)
    for colour, pairs in zip(colours(MOST_IN_DETAIL), some(measurement.pairs), strict=False):
        axis.plot(grid, density(pairs.matrices["P"], grid), color=colour, label=f"layer {pairs.layer}")
    width = measurement.pairs[0].d_key
    rng = np.random.default_rng(measurement.settings.seed)
    random = null.superposition(null.null_whitened_keys(measurement.num_facts, width, rng))
    axis.plot(grid, density(random, grid), color="black", linestyle=":", label="random keys")
    top = max(float(line.get_ydata().max()) for line in axis.lines)  # type: ignore[union-attr]
    axis.set(yscale="log", ylim=(1e-3, 2 * top), xlabel="off-diagonal P", ylabel="density")
    axis.set_title(f"{_name(measurement)}, {measurement.num_pairs:,} pairs a layer")
    axis.legend(frameon=False)
    return axis


def kurtosis_over_layers(measurement: Measurement) -> Figure:
    """`draw_kurtosis` as a figure."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    draw_kurtosis(figure.subplots(), measurement)
    return figure


def draw_kurtosis(axis: Axes, measurement: Measurement) -> Axes:
    """Excess kurtosis of P over relative depth with its error, published GPT2-small beside it."""
    statistics = {"all facts": measurement.statistics, "one fact per subject": measurement.distinct}
    depth = relative_depth(len(measurement.layers))
    for colour, (label, by_matrix) in zip(("tab:blue", "tab:orange"), statistics.items(), strict=True):
        kurtosis = by_matrix["P"]["kurtosis"]
        low, high = kurtosis.value - kurtosis.error, kurtosis.value + kurtosis.error
        axis.plot(depth, kurtosis.value, "o-", color=colour, markersize=3, label=label)
        axis.fill_between(depth, low, high, color=colour, alpha=0.2, linewidth=0)
    published = published_gpt2_small().p_kurtosis
    axis.plot(
        relative_depth(len(published)), published, "s--", color="grey", markersize=3, label="GPT2-small, published"
    )
    axis.axhline(3, color="black", linewidth=0.8, linestyle=":", label="Laplace distribution")
    lengths = measurement.lengths_alone["kurtosis"].mean
    axis.plot(depth, lengths, "--", color="tab:blue", linewidth=1, label="random directions of the same lengths")
    axis.set_yscale("symlog", linthresh=1)  # a kurtosis can be negative
    axis.set(xlabel="relative depth of the layer", ylabel="excess kurtosis of P")
    axis.set_title(f"{_name(measurement)}; bands are one error over facts and text")
    axis.legend(frameon=False)
    return axis


def angle_distributions(measurement: Measurement) -> Figure:
    """`draw_angles` in the whitened space and in activation space."""
    figure = Figure(figsize=(7.6, 3.6), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True)
    for axis, cosine in zip(axes, SPACES, strict=True):
        draw_angles(axis, measurement, cosine)
    axes[0].set_ylabel("density")
    axes[1].legend(frameon=False)
    figure.suptitle(_name(measurement))
    return figure


def draw_angles(axis: Axes, measurement: Measurement, cosine: str) -> Axes:
    """Angles between keys of some layers, from cosines of a name in `SPACES`."""
    for colour, pairs in zip(colours(MOST_IN_DETAIL), some(measurement.pairs), strict=False):
        angles = np.degrees(np.arccos(np.clip(off_diagonal(pairs.matrices[cosine]), -1, 1)))
        axis.hist(angles, range(0, 181, 3), density=True, histtype="step", color=colour, label=f"layer {pairs.layer}")
    axis.axvline(90, color="black", linewidth=0.8, linestyle=":")
    axis.set(title=SPACES[cosine], xlabel="angle between two keys (degrees)", xticks=range(0, 181, 30))
    return axis


def kurtosis_convergence(measurement: Measurement) -> Figure:
    """Kurtosis of P against the number of facts and of tokens."""
    figure = Figure(figsize=(7.6, 3.6), layout="constrained")
    by_facts, by_tokens = figure.subplots(1, 2)
    pool = len(measurement.selection.pool)
    sizes = sorted({size for size in (8, 16, 32, 64, 128, 256, 512) if size < pool} | {pool})
    for colour, pairs in zip(colours(MOST_IN_DETAIL), some(measurement.pairs), strict=False):
        curve = kurtosis_by_size(pairs.pool, sizes, SUBSETS, measurement.settings.seed)
        by_facts.errorbar(sizes, curve.mean, curve.spread, color=colour, fmt="o-", markersize=3, capsize=2)
        _tokens_curve(by_tokens, pairs, colour)
    by_facts.set(xscale="log", xlabel="facts", ylabel="excess kurtosis of P", title="facts (bars: spread of subsets)")
    by_facts.axvline(measurement.num_facts, color="black", linewidth=0.8, linestyle=":")
    by_tokens.set(xscale="log", xlabel="tokens of text", title=f"text ({measurement.num_facts} facts; x: second half)")
    by_tokens.legend(frameon=False)
    for axis, values in ((by_facts, sizes), (by_tokens, sorted(measurement.pairs[0].by_tokens))):
        axis.set_yscale("symlog", linthresh=1)
        axis.set_ylim(bottom=-2, top=2 * axis.get_ylim()[1])  # no excess kurtosis is below -2
        axis.set_xticks(values, [f"{v:,}" for v in values], rotation=30)
        axis.minorticks_off()
    figure.suptitle(_name(measurement))
    return figure


def _tokens_curve(axis: Axes, pairs: LayerPairs, colour: str) -> None:
    counts = sorted(pairs.by_tokens)
    kurtosis = [summarise(pairs.by_tokens[count])["kurtosis"] for count in counts]
    axis.plot(counts, kurtosis, "o-", color=colour, markersize=3, label=f"layer {pairs.layer}")
    second = summarise(pairs.halves[1]["P"])["kurtosis"]
    axis.plot(counts[-1] - counts[-2], second, "x", color=colour)


def some(pairs: Sequence[LayerPairs]) -> list[LayerPairs]:
    """The layers of `layers_in_detail`."""
    chosen = set(layers_in_detail([of_layer.layer for of_layer in pairs]))
    return [of_layer for of_layer in pairs if of_layer.layer in chosen]


def relative_depth(layers: int) -> list[float]:
    """0 for the first layer, 1 for the last, so that models of different depth share an axis."""
    return [layer / max(1, layers - 1) for layer in range(layers)]


def _name(measurement: Measurement) -> str:
    return as_label(measurement.settings.model_name)
