"""The pair matrices of a layer: from keys and second moments to P, Q and cosines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from torch import Tensor
from tqdm.auto import tqdm

from ks_core.measurement.whitening import TextWhitening
from ks_core.statistics.pairs import Array
from ks_core.theory.superposition import cosines, gram, superposition
from ks_core.theory.whitening import Whitening

MOST_IN_DETAIL = 4
"""Layers in figures that cannot show all: more lines than that are hard to tell apart."""


@dataclass(frozen=True)
class LayerPairs:
    """The pair matrices of one layer: over all the text, over its halves, and over growing parts of it.

    Attributes:
        matrices: name in `PAIR_MATRICES` → (n, n)
        halves: what text enters (P, whitened cosines, and P of the pool as `pool`), from each half of the text
        by_tokens: tokens → P from the first so many tokens, where they have full rank; half and all of the text at
            least
        pool: P between all facts of the pool, (M, M)
        whitened_norms: lengths of the whitened keys of the measured facts, (n,)
        silent_neurons: neurons that never fired over the text; they are left out of the whitening
    """

    layer: int
    matrices: Mapping[str, Array]
    halves: tuple[Mapping[str, Array], Mapping[str, Array]]
    by_tokens: Mapping[int, Array]
    pool: Array
    whitened_norms: Array
    d_key: int
    rank: int
    silent_neurons: int
    condition_number: float


def analyse(keys: Mapping[int, Tensor], measured: int, text: TextWhitening) -> list[LayerPairs]:
    """`layer_pairs` of every layer, in order; parts of the text only for the layers of `layers_in_detail`."""
    layers = sorted(keys)
    in_detail = set(layers_in_detail(layers))
    return [
        layer_pairs(layer, keys[layer], measured, text, by_tokens=layer in in_detail)
        for layer in tqdm(layers, desc="superposition", unit="layer", disable=None)
    ]


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
    # `map` lets go of a whitening before it asks for the next: a variable would keep its factor beside the next two.
    whole, first, second = map(partial(_seen, keys, measured), text.parts(layer))
    early = [count for count in counts[:-2] if by_tokens and count >= whole.d_key]
    return LayerPairs(
        layer=layer,
        matrices=whole.matrices | {"Q": gram(own).cpu().numpy(), "activation_cosine": cosines(own).cpu().numpy()},
        halves=(first.matrices, second.matrices),
        by_tokens={
            **{count: superposition(text.first(layer, count).whiten(own)).cpu().numpy() for count in early},
            counts[-2]: first.matrices["P"],
            counts[-1]: whole.matrices["P"],
        },
        pool=whole.matrices["pool"],
        whitened_norms=whole.norms,
        d_key=whole.d_key,
        rank=whole.rank,
        silent_neurons=whole.silent_neurons,
        condition_number=whole.condition_number,
    )


@dataclass(frozen=True)
class _Seen:
    """What is left of a whitening when its factor is let go: the keys seen through it, and how good it was."""

    matrices: dict[str, Array]
    norms: Array
    d_key: int
    rank: int
    silent_neurons: int
    condition_number: float


def _seen(keys: Tensor, measured: int, whitening: Whitening) -> _Seen:
    whitened = whitening.whiten(keys)
    own = whitened[:measured]
    pool = superposition(whitened).cpu().numpy()
    return _Seen(
        matrices={"pool": pool, "P": pool[:measured, :measured], "whitened_cosine": cosines(own).cpu().numpy()},
        norms=own.norm(dim=1).cpu().numpy(),
        d_key=whitening.dim,
        rank=whitening.rank,
        silent_neurons=whitening.silent,
        condition_number=whitening.condition_number,
    )


def layers_in_detail(layers: Sequence[int]) -> list[int]:
    """Layers for figures that cannot show all: the first, the last, and evenly between, `MOST_IN_DETAIL` at most.

    Example:
        >>> layers_in_detail(range(30))
        [0, 10, 19, 29]
    """
    places = sorted({round(place) for place in np.linspace(0, len(layers) - 1, min(MOST_IN_DETAIL, len(layers)))})
    return [layers[place] for place in places]
