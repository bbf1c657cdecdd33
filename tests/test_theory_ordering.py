"""The gentlest order among all orders, and groups as merging finds them.

The laws are functions of an implementation, so that `test_theory_methods_faults.py` can hold a faulty one against them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from errors import Parts, refused
from hypothesis import given
from hypothesis import strategies as st
from oracles import tolerance
from strategies import dims, generators
from torch import Tensor

from ks_core.errors import InputError
from ks_core.theory.ordering import gentlest_order, interfering_groups
from ks_core.theory.superposition import superposition

# 120 orders of 5 edits; 7 would have 5040.
MOST_EDITS = 5


THRESHOLDS = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9, 1.0, 2.0])

Stream = tuple[Tensor, list[float]]  # whitened keys, (n, d_key), and the sizes of their residuals


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Edits of different lengths and sizes, some the same as others, some that change nothing."""
    generator, count = draw(generators()), draw(st.integers(1, MOST_EDITS))
    rows = generator.standard_normal((count, draw(dims()))) * generator.uniform(0.5, 2.0, (count, 1))
    if draw(st.booleans()):
        rows = rows[generator.integers(count, size=count)]
    return torch.from_numpy(rows), generator.choice([0.0, 0.5, 1.0, 1.5, 3.0], count).tolist()


def cost(shares: list[list[float]], sizes: list[float], order: Sequence[int]) -> float:
    """Σ_j Σ_{i after j} (P[i, j] s_i)², pair by pair."""
    return sum(
        (shares[later][earlier] * sizes[later]) ** 2 for place, later in enumerate(order) for earlier in order[:place]
    )


def no_order_is_gentler(order_by: Callable[..., Tensor], stream: Stream) -> None:
    """The order's cost is the least of all permutations'."""
    rows, sizes = stream
    products = rows @ rows.T
    products = (products + products.T) / 2  # of orthogonal keys only rounding is left, which need not be symmetric
    shares = (products / products.diagonal()[:, None]).tolist()
    order = order_by(torch.linalg.vector_norm(rows, dim=1), sizes).tolist()
    assert sorted(order) == list(range(len(rows)))
    least = min(cost(shares, sizes, other) for other in permutations(range(len(rows))))
    # Only positive terms are summed, so rounding is relative to the sum, as that of n² products is.
    reached = cost(shares, sizes, order)
    assert reached <= least * (1 + tolerance(1.0, len(rows))), f"a better order costs {least}, this one {reached}"


def groups_are_those_of_merging(group: Callable[..., Any], stream: Stream, threshold: float) -> None:
    """Start from single edits, and merge two groups as long as any edit of one disturbs any of the other."""
    matrix = superposition(stream[0])
    shares = matrix.tolist()
    groups = [[i] for i in range(len(shares))]
    merged = True
    while merged:
        merged = False
        for one, other in permutations(groups, 2):
            if any(abs(shares[i][j]) > threshold for i in one for j in other):
                groups = [g for g in groups if g not in (one, other)] + [sorted(one + other)]
                merged = True
                break
    actual, expected = group(matrix, threshold), sorted(groups)
    assert actual == expected, f"expected groups {expected}, got {actual}"


@given(streams())
def test_gentlest_order_has_the_least_cost_of_all(stream: Stream) -> None:
    no_order_is_gentler(gentlest_order, stream)


@given(streams())
def test_gentlest_order_without_sizes_takes_them_as_equal(stream: Stream) -> None:
    rows, _ = stream
    no_order_is_gentler(lambda norms, _: gentlest_order(norms), (rows, [1.0] * len(rows)))


def test_gentlest_order_by_hand() -> None:
    """s / d: 1/9, 8/4, 1/1. Edits that tie stay in the order they were given in."""
    assert gentlest_order([3.0, 2.0, 1.0], [1.0, 8.0, 1.0]).tolist() == [1, 2, 0]
    assert gentlest_order([1.0, 2.0, 1.0, 2.0], [1.0, 4.0, 1.0, 4.0]).tolist() == [0, 1, 2, 3]


@given(streams(), THRESHOLDS)
def test_interfering_groups_are_those_of_merging(stream: Stream, threshold: float) -> None:
    groups_are_those_of_merging(interfering_groups, stream, threshold)


def test_interfering_groups_by_hand() -> None:
    """0 disturbs 3, which disturbs 1, strongly but with a minus sign; a share at the threshold ties nothing."""
    shares = np.eye(4)
    shares[0, 3], shares[3, 1], shares[2, 1] = 0.6, -0.7, 0.5
    assert interfering_groups(shares, threshold=0.5) == [[0, 1, 3], [2]]
    assert interfering_groups(shares, threshold=1.0) == [[0], [1], [2], [3]]


@pytest.mark.parametrize(
    ("norms", "sizes", "parts"),
    [
        ([1.0, 0.0], None, {"what": "norms", "got": "0", "expected": "positive norms"}),
        ([1.0, -2.0], [1.0, 1.0], {"what": "norms", "got": "-2"}),
        ([1.0, 2.0], [1.0, -3.0], {"what": "sizes", "got": "-3", "expected": "no negative sizes"}),
        ([1.0, 2.0], [1.0], {"got": ("2 whitened norms", "1 sizes")}),
        ([1.0, float("nan")], None, {"what": "whitened_norms", "got": "NaN"}),
        ([1.0, 2.0], [[1.0, 2.0]], {"what": "sizes", "got": "(1, 2)", "expected": "1 dimensions"}),
    ],
)
def test_gentlest_order_refuses_norms_and_sizes_that_are_none(
    norms: object, sizes: object, parts: dict[str, Parts]
) -> None:
    with refused(InputError, **parts):
        gentlest_order(norms, sizes)


def test_interfering_groups_refuses_a_matrix_that_is_not_square() -> None:
    with refused(InputError, what="superposition", got=("(1, 2)", "0.5"), expected="(n, n)"):
        interfering_groups([[1.0, 0.5]], threshold=0.5)


@pytest.mark.parametrize("threshold", [-0.1, float("nan")])
def test_interfering_groups_refuses_a_threshold_that_is_none(threshold: float) -> None:
    with refused(InputError, what="threshold", got=f"{threshold:g}", expected="0 or more"):
        interfering_groups(np.eye(2), threshold)
