"""Null models: what pair matrices look like when keys are random and nothing but random.

`null_summaries`: the whitened keys are standard Gaussian, as many and as long as the real ones. P and the whitened
cosines depend on the keys through their whitened Gram matrix alone, so no second moment is needed. It answers "would
Gaussian keys with *exactly* the text's second moment show this too?". It has no related facts, no heavy-tailed
activations, no spread of key lengths beyond chance, no subject tokens that differ from the rest of the text, and no
error of a second moment estimated from finite text; what P shows beyond it may come from any of these, not from meaning
alone.

`lengths_null`: random directions again, but with the lengths of a layer's own whitened keys. It takes one of these
causes out: what P's shape shows beyond it does not come from unequal lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ks_core.arrays import as_float64
from ks_core.errors import InputError
from ks_core.statistics.pairs import FEWEST_FACTS, Array, as_pair_matrix
from ks_core.statistics.summaries import SHARE_THRESHOLD
from ks_core.statistics.tails import weighted_tail_ratio
from ks_core.statistics.weighted import weighted_statistics
from ks_core.statistics.weighted_moments import weighted_moments


@dataclass(frozen=True)
class NullStatistic:
    """One statistic under the null.

    Attributes:
        std: spread from one random set of keys to another (ddof 1)
        upper: quantile that a random set of keys exceeds with probability 1 - level
    """

    mean: float
    std: float
    upper: float


@dataclass(frozen=True, eq=False)
class LengthsStatistic:
    """One statistic of every layer under the null of unequal lengths; each is (layers,) float64.

    Attributes:
        std: spread from one random set of directions to another (ddof 1)
    """

    mean: Array
    std: Array


def null_whitened_keys(n: int, d: int, rng: np.random.Generator) -> Array:
    """Draw n whitened keys of length d, every entry standard Gaussian; (n, d) float64."""
    return rng.standard_normal((n, d))


# The formulas of the pair matrices stand here once more, in NumPy: statistics import nothing of the theory, and the
# null must not inherit a mistake that it is there to reveal.


def products(keys: Array) -> Array:
    """Inner products K K^T: Q of keys as they are; (n, d) → (n, n)."""
    gram: Array = keys @ keys.T
    return gram


def superposition(whitened: Array) -> Array:
    """P[i, j] = <x_i, x_j> / |x_i|^2 of whitened keys; row edits, column suffers; (n, d) → (n, n)."""
    gram = products(whitened)
    own: Array = np.diag(gram)
    return gram / own[:, None]


def cosines(keys: Array) -> Array:
    """Cosines between keys: whitened cosines of whitened keys, activation cosines of others; (n, d) → (n, n)."""
    gram = products(keys)
    length: Array = np.sqrt(np.diag(gram))
    return gram / length[:, None] / length


def with_lengths(cosine: Array, lengths: Array) -> Array:
    """P of keys with these cosines and whitened lengths, cos_ij |x_j| / |x_i|; (n, n) and (n,) → (n, n)."""
    return cosine * (lengths / lengths[:, None])


def null_cosines(n: int, d: int, draws: int, seed: int) -> Iterator[Array]:
    """Cosines between n random directions in d dimensions, (n, n), drawn so many times."""
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield cosines(null_whitened_keys(n, d, rng))


def null_summaries(
    draw_keys: Callable[[np.random.Generator], Array],
    pair_matrix: Callable[[Array], Array],
    draws: int,
    seed: int,
    *,
    level: float = 0.95,
    threshold: float = SHARE_THRESHOLD,
) -> dict[str, NullStatistic]:
    """Compute the distribution of each statistic under a null model.

    Args:
        draw_keys: gives one random set of keys, (n, d).
        pair_matrix: `superposition`, `cosines` or `products`.
        draws: number of random sets; at least 1 / (1 - level), or `upper` would lie beyond the largest draw.
        seed: of the generator.
        level: of the quantile `upper`.
        threshold: for `share_above`.

    Returns:
        name → `NullStatistic`, for the names of `bootstrap`.

    Raises:
        InputError: too few draws for the level.

    Numerics:
        100 draws of 128 keys of length 1536 take about 2 s on one core.

    Example:
        >>> from functools import partial
        >>> null = null_summaries(partial(null_whitened_keys, 32, 64), cosines, draws=20, seed=0)
        >>> abs(null["kurtosis"].mean) < 0.5 and abs(null["std"].mean - 1 / 8) < 0.01
        True
    """
    if not 0 < level < 1 or draws * (1 - level) < 1 - 1e-9 or draws < 2:  # 1e-9: 20 * (1 - 0.95) is just below 1
        raise InputError(
            f"got {draws} draws for a quantile at {level}; expected 0 < level < 1 and 1 / (1 - level) draws"
        )
    rng = np.random.default_rng(seed)
    drawn = [_statistics(pair_matrix(draw_keys(rng)), threshold) for _ in range(draws)]
    values = {name: np.concatenate([one[name] for one in drawn]) for name in drawn[0]}
    return {
        name: NullStatistic(float(of.mean()), float(of.std(ddof=1)), float(np.quantile(of, level)))
        for name, of in values.items()
    }


def _statistics(matrix: Array, threshold: float) -> dict[str, Array]:
    checked = as_pair_matrix(matrix)
    return weighted_statistics(checked, np.ones((1, len(checked))), threshold)


def lengths_null(norms: Any, d: int, draws: int, seed: int) -> dict[str, LengthsStatistic]:
    """Compute the shape that P has when keys have their own lengths but random directions.

        P_ij = cos_ij |x_j| / |x_i|,    cos_ij between n random directions in d dimensions

    The entries of P are cosines times ratios of lengths, and a mixture of widths has heavy tails even where no key
    points towards another: of 128 random directions with log-normal lengths of sigma 0.5 the kurtosis is 8 to 20 and
    the tail ratio about 125, where equal lengths give 0 and 1. A layer's kurtosis is evidence of superposition only
    as far as it exceeds what its own key lengths give here.

    Args:
        norms: (layers, n) lengths of each layer's whitened keys, greater than 0; their unit does not matter.
        d: dimension of the keys.
        draws: random sets of directions, at least 2; all layers share them, so layers differ by their lengths alone.
        seed: of the generator.

    Returns:
        `kurtosis` and `tail_ratio` (see `summarise`) → their mean and spread over the draws, for every layer.

    Raises:
        InputError: fewer than three facts or two draws, no dimension, or a length that is not positive.

    Numerics:
        20 draws for 30 layers of 128 keys of length 1536 take less than 1 s on one core.

    Example:
        >>> lengths = np.exp(np.random.default_rng(0).normal(0, [[0.0], [0.5]], size=(2, 128)))
        >>> kurtosis = lengths_null(lengths, d=256, draws=10, seed=0)["kurtosis"].mean
        >>> bool(abs(kurtosis[0]) < 0.2), bool(kurtosis[1] > 3)
        (True, True)
    """
    lengths: Array = as_float64("the key lengths", norms, ndim=2).numpy(force=True)
    n = lengths.shape[1]
    if n < FEWEST_FACTS or d < 1 or draws < 2:
        raise InputError(f"got {n} facts, d = {d} and {draws} draws; expected at least {FEWEST_FACTS}, 1 and 2")
    if lengths.min() <= 0:
        raise InputError(f"the smallest key length is {lengths.min():g}; expected lengths, which are greater than 0")
    drawn = np.array([_shapes(cosine, lengths) for cosine in null_cosines(n, d, draws, seed)])
    mean, std = drawn.mean(axis=0), drawn.std(axis=0, ddof=1)
    names = ("kurtosis", "tail_ratio")
    return {name: LengthsStatistic(mean[:, place], std[:, place]) for place, name in enumerate(names)}


def _shapes(cosine: Array, lengths: Array) -> list[tuple[float, float]]:
    """Kurtosis and tail ratio of P for each layer's lengths; without the mode, which takes far longer than both."""
    once = np.ones((1, len(cosine)))
    found = []
    for of_layer in lengths:
        matrix = with_lengths(cosine, of_layer)
        moments = weighted_moments(matrix, once)
        found.append((float(moments.kurtosis[0]), float(weighted_tail_ratio(matrix, once, moments)[0])))
    return found
