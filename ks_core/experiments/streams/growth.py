"""How interference grows with the number of edits of a stream.

Interference follows from P and from inner products of the wanted changes alone, so a stream in another order of its
edits is computed in closed form, without editing the model again. Growth is averaged over many random orders.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from ks_core.statistics.estimate import Replicates
from ks_core.statistics.pairs import Array
from ks_core.statistics.ranks import rank_correlation
from ks_core.statistics.trend import power_law_exponent

ORDERS = 50
"""Random orders of the edits behind each number: their mean is then known to a seventh of their spread."""

ORDERS_OF_A_SAMPLE = 10
"""The same behind each sample of an error, where what is left of the spread only makes the error larger."""


@dataclass(frozen=True, eq=False)
class StreamGeometry:
    """What decides the interference of a stream: superposition, and how each value is to change.

    Attributes:
        among: (N, N) P among the edited keys
        onto: (N, M) P from the edited keys to bystanders
        wanted: (N, N) inner products of v_i − W_0 k_i, of which lengths of interference are made
    """

    among: Array
    onto: Array
    wanted: Array

    def along(self, order: NDArray[np.intp], counts: NDArray[np.intp], weights: Array) -> tuple[Array, Array]:
        """Follow the edits in one order.

        Args:
            order: (n,), which edits, first to last.
            counts: (c,), after how many edits to look.
            weights: (M,), how often each bystander counts.

        Returns:
            (c,) root mean square of ‖Δ_o‖ over bystanders after so many edits, and (n,) ‖Δ_e‖ of each edit at the end.
        """
        square = np.ix_(order, order)
        among, onto = self.among[square], self.onto[order]
        # δ = T⁻¹ R with T the lower triangle of Pᵀ, so δ δᵀ = T⁻¹ (R Rᵀ) T⁻ᵀ: no vector of values is ever formed.
        halfway = solve_triangular(among, self.wanted[square], trans="T", unit_diagonal=True)
        products = solve_triangular(among, halfway.T, trans="T", unit_diagonal=True)
        moved = [_lengths_squared(onto[:count], products[:count, :count]) for count in counts]
        later = _lengths_squared(np.tril(among, -1), products)
        return np.sqrt(np.array(moved) @ weights / weights.sum()), np.sqrt(later)


def _lengths_squared(shares: Array, products: Array) -> Array:
    """‖Σ_i shares[i, j] δ_i‖² for each j, from the inner products of the δ_i; rounding is kept from going below 0."""
    lengths: Array = np.einsum("ij,ij->j", shares, products @ shares).clip(min=0)
    return lengths


@dataclass(frozen=True, eq=False)
class Growth:
    """How interference depends on the number of edits and on the place in the stream.

    Attributes:
        sizes: (c,) root mean square of ‖Δ_o‖ over bystanders and orders, after each count
        exponent: of sizes ~ counts^exponent, least squares on logarithms; 1 for linear growth, 1/2 for a random walk
        earlier: Spearman's rank correlation of ‖Δ_e‖ with the number of later edits, mean over orders; the last edit
            left out
    """

    counts: tuple[int, ...]
    sizes: Array
    exponent: Replicates
    earlier: Replicates


def growth(whole: StreamGeometry, halves: tuple[StreamGeometry, ...], resamples: int, seed: int) -> Growth:
    """Measure growth, with errors over facts and over text.

    Numbers are those of streams of N/2 edits, drawn from all N and put in random order. The error over facts comes from
    random halves of the edits, to which all streams of one sample are confined (a mean over N edits scatters about as
    much as means over random halves scatter around it), and bootstrap samples of the bystanders.

    Args:
        whole: from all the text; four edits at least.
        halves: from each half of the text.
        resamples: samples for the error.
        seed: of orders and samples.
    """
    n, m = whole.onto.shape
    counts = np.array([2**power for power in range((n // 2).bit_length())], dtype=np.intp)
    once = np.ones(m)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(n)[: n // 2] for _ in range(ORDERS)]
    sizes, *value = _means(whole, orders, counts, once)
    samples = []
    for _ in range(resamples):
        half = rng.permutation(n)[: n // 2]
        drawn = rng.multinomial(m, np.full(m, 1 / m)).astype(np.float64)
        samples.append(_means(whole, [rng.permutation(half) for _ in range(ORDERS_OF_A_SAMPLE)], counts, drawn)[1:])
    of_text = [_means(half, orders, counts, once)[1:] for half in halves]
    exponent, earlier = (
        Replicates(
            np.array(value[place]),
            facts=np.array([sample[place] for sample in samples]),
            text=np.array([sample[place] for sample in of_text]),
        )
        for place in (0, 1)
    )
    return Growth(tuple(counts.tolist()), sizes, exponent, earlier)


def _means(
    geometry: StreamGeometry, orders: list[NDArray[np.intp]], counts: NDArray[np.intp], weights: Array
) -> tuple[Array, float, float]:
    """Sizes, exponent and rank correlation, from several orders."""
    followed = [geometry.along(order, counts, weights) for order in orders]
    sizes = np.sqrt(np.mean([moved**2 for moved, _ in followed], axis=0))
    earlier = float(np.mean([rank_correlation(-np.arange(len(later) - 1.0), later[:-1]) for _, later in followed]))
    exponent = float(power_law_exponent(counts.tolist(), sizes)) if len(counts) > 1 else float("nan")
    return sizes, exponent, earlier
