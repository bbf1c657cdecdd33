"""Statistics of the pair matrices of all layers, with errors over facts and over text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from ks_core.experiments.pairs.layer import LayerPairs
from ks_core.statistics.bootstrap import bootstrap
from ks_core.statistics.estimate import Replicates
from ks_core.statistics.pairs import Array
from ks_core.statistics.summaries import SHARE_THRESHOLD, summarise

PAIR_MATRICES = ("P", "Q", "whitened_cosine", "activation_cosine")
"""The pair matrices of the paper: superposition, inner products, and cosines in both spaces."""

Statistics = Mapping[str, Mapping[str, Replicates]]
"""matrix → statistic → one number per layer with its errors"""


def pair_statistics(
    layers: Sequence[LayerPairs],
    weights: NDArray[np.int64],
    facts: NDArray[np.intp] | None = None,
    matrices: Sequence[str] = PAIR_MATRICES,
) -> Statistics:
    """All statistics of all pair matrices, with errors over facts and over text.

    Args:
        layers: pair matrices of L layers.
        weights: (B, n) bootstrap draws of the facts, the same for every layer and matrix.
        matrices: which of `PAIR_MATRICES`.
        facts: use these rows and columns only (one fact per subject); `weights` are then for them.

    Returns:
        matrix → statistic → `Replicates` of shape (L,). Statistics of extremes (min, max) have no bootstrap error and
        are left out.
    """
    picked = np.arange(len(layers[0].matrices["P"])) if facts is None else facts
    square = np.ix_(picked, picked)
    found: dict[str, dict[str, Replicates]] = {}
    for name in tqdm(matrices, desc="statistics", unit="matrix", disable=None):
        values, resampled, halves = [], [], []
        for pairs in layers:
            matrix = pairs.matrices[name][square]
            threshold = share_threshold(name, matrix)
            values.append(summarise(matrix, threshold=threshold))
            resampled.append(bootstrap(matrix, weights, threshold=threshold))
            halves.append([summarise(half[name][square], threshold=threshold) for half in pairs.halves if name in half])
        found[name] = {
            statistic: Replicates(
                value=np.array([value[statistic] for value in values]),
                facts=np.stack([draws[statistic] for draws in resampled], axis=1),
                text=np.array([[half[statistic] for half in of_layer] for of_layer in halves]).T.reshape(
                    -1, len(layers)
                ),
            )
            for statistic in resampled[0]
            if statistic != "near_right_angle" or name.endswith("cosine")  # only cosines have an angle
        }
    return found


def share_threshold(name: str, matrix: Array) -> float:
    """Above what `share_above` counts: 0.1, for Q 0.1 of the mean diagonal, so that it has no unit either."""
    return SHARE_THRESHOLD * (float(np.diag(matrix).mean()) if name == "Q" else 1.0)
