"""Null models: what pair matrices look like when keys are random and nothing but random.

In the first null the whitened keys are standard Gaussian, as many and as long as the real ones. P and the whitened
cosines depend on the keys through their whitened Gram matrix alone, so no second moment is needed. It answers "would
Gaussian keys with *exactly* the text's second moment show this too?". It has no related facts, no heavy-tailed
activations, no spread of key lengths beyond chance, no subject tokens that differ from the rest of the text, and no
error of a second moment estimated from finite text; what P shows beyond it may come from any of these, not from meaning
alone.

In the second null the keys are Gaussian with the model's own second moment, for Q and the activation cosines, which see
that moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ks_core.arrays import as_float64
from ks_core.errors import InputError
from ks_core.statistics.pairs import Array, as_pair_matrix
from ks_core.statistics.summaries import SHARE_THRESHOLD
from ks_core.statistics.weighted import weighted_statistics


@dataclass(frozen=True)
class NullStatistic:
    """One statistic under the null."""

    mean: float
    std: float
    """spread from one random set of keys to another (ddof 1)"""
    upper: float
    """quantile that a random set of keys exceeds with probability 1 - level"""


def null_whitened_keys(n: int, d: int, rng: np.random.Generator) -> Array:
    """Draw n whitened keys of length d, every entry standard Gaussian; (n, d) float64."""
    return rng.standard_normal((n, d))


def null_keys(n: int, factor: Any, rng: np.random.Generator) -> Array:
    """Draw n Gaussian keys with a given second moment C = L L^T.

    Args:
        n: number of keys.
        factor: L, (d_key, d_key), for instance the layer's Cholesky factor; any factor gives the same distribution.
        rng: source of randomness.

    Returns:
        (n, d_key) float64 with E[k k^T] = C.

    Raises:
        InputError: a factor that is not square or not finite.
    """
    checked: Array = as_float64("the factor", factor, ndim=2).numpy(force=True)
    if checked.shape[0] != checked.shape[1]:
        raise InputError(f"the factor has shape {checked.shape}; expected a square one, (d_key, d_key)")
    keys: Array = null_whitened_keys(n, len(checked), rng) @ checked.T
    return keys


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
