"""What random directions give for each number that is held against size."""

from __future__ import annotations

import numpy as np

from ks_core.experiments.sizes.numbers import NUMBERS, statistic_of
from ks_core.statistics.null import null_cosines, with_lengths
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
    everything = np.ones((1, len(lengths)))
    found: dict[tuple[str, str], list[float]] = {}
    for cosine in null_cosines(len(lengths), d_key, CHANCE_DRAWS, seed):
        matrices = {"P": with_lengths(cosine, lengths), "whitened_cosine": cosine}
        for _, matrix, statistic in NUMBERS.values():
            drawn = float(statistic_of(matrices[matrix], statistic, everything)[0])
            found.setdefault((matrix, statistic), []).append(drawn)
    return {of: float(np.mean(drawn)) for of, drawn in found.items()}
