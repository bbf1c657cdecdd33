"""From keys and second moments to pair matrices and their statistics with errors, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ks_core.measurement.whitening import TextWhitening
from ks_core.statistics.bootstrap import bootstrap
from ks_core.statistics.estimate import Replicates
from ks_core.statistics.pairs import Array
from ks_core.statistics.summaries import SHARE_THRESHOLD, summarise
from ks_core.theory.superposition import cosines, gram, superposition
from ks_core.theory.whitening import Whitening

MATRICES = ("P", "Q", "whitened_cosine", "activation_cosine")
"""The pair matrices of the paper: superposition, inner products, and cosines in both spaces."""

SHOWN = 4
"""Layers in figures that cannot show all: more lines than that are hard to tell apart."""

Statistics = Mapping[str, Mapping[str, Replicates]]
"""matrix → statistic → one number per layer with its errors"""


@dataclass(frozen=True)
class LayerPairs:
    """The pair matrices of one layer: over all the text, over its halves, and over growing parts of it."""

    layer: int
    matrices: Mapping[str, Array]
    """name in `MATRICES` → (n, n)"""
    halves: tuple[Mapping[str, Array], Mapping[str, Array]]
    """what text enters (P, whitened cosines, and P of the pool as `pool`), from each half of the text"""
    by_tokens: Mapping[int, Array]
    """tokens → P from the first so many tokens, where they have full rank; half and all of the text at least"""
    pool: Array
    """P between all facts of the pool, (M, M)"""
    whitened_norms: Array
    """lengths of the whitened keys of the measured facts, (n,)"""
    d_key: int
    rank: int
    silent_neurons: int
    """neurons that never fired over the text; they are left out of the whitening"""
    condition_number: float


def layer_pairs(layer: int, keys: Tensor, measured: int, text: TextWhitening, *, by_tokens: bool = False) -> LayerPairs:
    """Compute one layer's pair matrices.

    Args:
        layer: the layer.
        keys: (M, d_key) of the pool; its first `measured` rows are the facts that are measured.
        measured: n.
        text: of this model; the layer's second moments are read from disk here, so that one at a time is in memory.
        by_tokens: whiten with the first eighth and quarter of the text too.

    Raises:
        RankDeficientError: a second moment of this layer has no inverse; names the layer.
    """
    own = keys[:measured]
    counts = text.moments.counts
    whitening = text.whole(layer)
    first, second = (_from_text(keys, measured, half) for half in text.halves(layer))
    early = [count for count in counts[:-2] if by_tokens and count >= whitening.dim]
    parts = {count: text.first(layer, count) for count in early}
    of_text = _from_text(keys, measured, whitening)
    return LayerPairs(
        layer=layer,
        matrices=of_text | {"Q": gram(own).numpy(), "activation_cosine": cosines(own).numpy()},
        halves=(first, second),
        by_tokens={
            **{count: superposition(part.whiten(own)).numpy() for count, part in parts.items()},
            counts[-2]: first["P"],
            counts[-1]: of_text["P"],
        },
        pool=of_text["pool"],
        whitened_norms=whitening.whiten(own).norm(dim=1).numpy(),
        d_key=whitening.dim,
        rank=whitening.rank,
        silent_neurons=whitening.silent,
        condition_number=whitening.condition_number,
    )


def _from_text(keys: Tensor, measured: int, whitening: Whitening) -> dict[str, Array]:
    whitened = whitening.whiten(keys)
    pool = superposition(whitened).numpy()
    return {"pool": pool, "P": pool[:measured, :measured], "whitened_cosine": cosines(whitened[:measured]).numpy()}


def pair_statistics(
    layers: Sequence[LayerPairs], weights: NDArray[np.int64], facts: NDArray[np.intp] | None = None
) -> Statistics:
    """All statistics of all pair matrices, with errors over facts and over text.

    Args:
        layers: pair matrices of L layers.
        weights: (B, n) bootstrap draws of the facts, the same for every layer and matrix.
        facts: use these rows and columns only (one fact per subject); `weights` are then for them.

    Returns:
        matrix → statistic → `Replicates` of shape (L,). Statistics of extremes (min, max) have no bootstrap error and
        are left out.
    """
    from tqdm.auto import tqdm

    picked = np.arange(len(layers[0].matrices["P"])) if facts is None else facts
    square = np.ix_(picked, picked)
    found: dict[str, dict[str, Replicates]] = {}
    for name in tqdm(MATRICES, desc="statistics", unit="matrix", disable=None):
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


def analyse(keys: Mapping[int, Tensor], measured: int, text: TextWhitening) -> list[LayerPairs]:
    """`layer_pairs` of every layer, in order; parts of the text only for the layers of `shown`."""
    layers = sorted(keys)
    in_detail = set(shown(layers))
    from tqdm.auto import tqdm

    return [
        layer_pairs(layer, keys[layer], measured, text, by_tokens=layer in in_detail)
        for layer in tqdm(layers, desc="superposition", unit="layer", disable=None)
    ]


def shown(layers: Sequence[int]) -> list[int]:
    """Layers for figures that cannot show all: the first, the last, and evenly between, `SHOWN` at most.

    Example:
        >>> shown(range(30))
        [0, 10, 19, 29]
    """
    places = sorted({round(place) for place in np.linspace(0, len(layers) - 1, min(SHOWN, len(layers)))})
    return [layers[place] for place in places]
