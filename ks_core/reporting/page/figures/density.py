"""The density of superposition in some layers, against random keys of the same number and width."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ks_core.reporting.page.figure import PageFigure
from ks_core.reporting.page.figures.chart import (
    DASHES,
    NEUTRAL,
    OF_LINES,
    Row,
    axis,
    chart,
    colour_of,
    colours,
    dashes,
    kept,
    shown_number,
)
from ks_core.reporting.page.figures.stored import (
    key_width,
    layers_shown,
    matrix_of,
    model_name,
    of_pairs,
    off_diagonal,
)
from ks_core.reporting.stored_results import StoredResults
from ks_core.statistics import null
from ks_core.statistics.density import silverman_bandwidth
from ks_core.statistics.pairs import Array
from ks_core.statistics.summaries import SHARE_THRESHOLD

RANDOM = "random keys"

GROWTH = 1.12
"""Each bin is so many times as wide as the one before it, away from 0: a tail with one pair in a thousand is then as
smooth as the middle with half of them."""

NARROWEST = 1e-4
"""Width of the bins beside 0, where the entries are all alike."""


def density_figure(results: StoredResults) -> PageFigure | None:
    """Densities of off-diagonal P of the layers in charts that cannot show all; None without matrices."""
    matrix = matrix_of(results, "P")
    if matrix is None:
        return None
    entries = {f"layer {layer}": off_diagonal(matrix[place]) for place, layer in layers_shown(results)}
    entries = {name: of for name, of in entries.items() if len(of)}
    if not entries:
        return None
    random = random_entries(results, matrix.shape[1])
    if random is not None:
        entries[RANDOM] = random
    return PageFigure(
        name="density",
        title="Density of superposition",
        caption=_caption(results, random is not None),
        alternative=_alternative(entries),
        spec=_spec(entries),
    )


def random_entries(results: StoredResults, facts: int) -> Array | None:
    """Off-diagonal P of so many random keys, drawn with the seed of the run; None where their width is not known."""
    width = key_width(results)
    if not width:
        return None
    keys = null.null_whitened_keys(facts, width, np.random.default_rng(results.settings["seed"]))
    return off_diagonal(null.superposition(keys))


def edges_of(series: Mapping[str, Array]) -> Array:
    """Edges of bins around 0 that hold all entries: as narrow as the narrowest series asks, and wider outwards."""
    spread = min((silverman_bandwidth(of) * len(of) ** 0.2 for of in series.values()), default=0.0)
    first = max(spread / 2, NARROWEST)
    reach = max(float(np.abs(of).max()) for of in series.values())
    count = max(1, int(np.ceil(np.log1p(reach * (GROWTH - 1) / first) / np.log(GROWTH))))
    # Rounding must not leave the largest entry outside: one bin more than the formula needs.
    outward = first * (GROWTH ** np.arange(count + 2) - 1) / (GROWTH - 1)
    edges = np.concatenate([-outward[:0:-1], outward])
    everything = np.concatenate(list(series.values()))
    low = int(np.searchsorted(edges, everything.min(), side="right")) - 1
    high = int(np.searchsorted(edges, everything.max(), side="right"))
    held: Array = edges[low : high + 1]
    return held


def binned(entries: Array, edges: Array) -> Array:
    """Share of the entries in each bin over its width: integrates to 1; (bins,)."""
    counts, _ = np.histogram(entries, edges)
    heights: Array = counts / (len(entries) * np.diff(edges))
    return heights


def _spec(series: Mapping[str, Array]) -> Row:
    edges = edges_of(series)
    heights = {name: binned(of, edges) for name, of in series.items()}
    found = np.concatenate(list(heights.values()))
    floor = float(found[found > 0].min()) / 2
    rows = [
        {"series": name, "x": kept(edge), "y": kept(max(height, floor))}
        for name, of in heights.items()
        for edge, height in zip(edges, [*of, 0.0], strict=True)
    ]
    styles = {name: colour_of(place) for place, name in enumerate(series)} | {RANDOM: NEUTRAL}
    strokes = {name: DASHES[place % len(DASHES)] for place, name in enumerate(series)} | {RANDOM: [2, 2]}
    top = kept(1.3 * float(found.max()))
    encoding = {
        "x": axis("x", "superposition P of two different facts", tickCount=8),
        "y": axis("y", "density (log scale)", scale={"type": "log", "domain": [kept(floor), top], "nice": False},
                  format="~g", values=[10.0**power for power in range(-6, 5)]),
        "color": colours({name: styles[name] for name in series}, legend=OF_LINES),
        "strokeDash": dashes({name: strokes[name] for name in series}, legend=OF_LINES),
    }  # fmt: skip
    line = {"mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 1.6}, "encoding": encoding}
    return chart([line], labels=len(series), data={"values": rows})


def _caption(results: StoredResults, with_random: bool) -> str:
    random = (
        "Grey, dotted: as many random keys of the same width, drawn once. " if with_random else
        "What random keys give is not drawn: the results do not say how wide the keys are. "
    )  # fmt: skip
    return (
        f"{model_name(results)}: density of P between {of_pairs(results)}, in each of some layers. {random}"
        "Bins widen away from 0; a line on the bottom edge means that no pair lies there. No bars: the table has the "
        "errors of each statistic."
    )


def _alternative(series: Mapping[str, Array]) -> str:
    parts = [
        f"{name}: {shown_number(100 * float(np.mean(np.abs(of) > SHARE_THRESHOLD)))} % of the pairs, largest "
        f"{shown_number(float(np.abs(of).max()))}"
        for name, of in series.items()
    ]
    return f"Pairs with |P| above {SHARE_THRESHOLD:g}, and the largest |P|. {'; '.join(parts)}."
