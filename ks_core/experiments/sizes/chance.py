"""What random directions give for each number that is held against size."""

from __future__ import annotations

import numpy as np

from ks_core.experiments.sizes.numbers import NUMBERS, statistic_of
from ks_core.statistics import null
from ks_core.statistics.pairs import Array

CHANCE_DRAWS = 20
"""Random sets of keys behind what chance gives: known to a fifth of its spread from draw to draw."""


def by_chance(lengths: Array, d_key: int, seed: int) -> dict[tuple[str, str], float]:
    """Each number of random directions, by matrix and statistic: their cosines, and P with these lengths.

    Args:
        lengths: (n,) of whitened keys, greater than 0.
        d_key: dimensions.
        seed: of the `CHANCE_DRAWS` sets of directions.
    """
    rng = np.random.default_rng(seed)
    everything = np.ones((1, len(lengths)))
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(CHANCE_DRAWS):
        cosine = null.cosines(null.null_whitened_keys(len(lengths), d_key, rng))
        matrices = {"P": cosine * (lengths / lengths[:, None]), "whitened_cosine": cosine}
        for _, matrix, statistic in NUMBERS.values():
            drawn = float(statistic_of(matrices[matrix], statistic, everything)[0])
            found.setdefault((matrix, statistic), []).append(drawn)
    return {of: float(np.mean(drawn)) for of, drawn in found.items()}
