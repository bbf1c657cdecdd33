"""The parts of the claims that are more than a statistic and a threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks_core.claims.layers import early_minus_late
from ks_core.claims.related_pairs import chance_of_larger, exchanged_chances
from ks_core.claims.semantic_pairs import LARGEST, are_related, shares_of_largest
from ks_core.data.facts import Fact


def fact(subject, relation="P1", true="a"):
    return Fact(0, subject, relation, "{} is", true, "b" if true != "b" else "c")


def naive_share(matrix, related, weights):
    """Expand every pair as often as it is drawn, sort, count; copies of one fact make no pair."""
    drawn = np.repeat(np.arange(len(weights)), weights)
    pairs = [(matrix[i, j], related[i, j]) for i in drawn for j in drawn if i != j]
    return np.mean([is_related for _, is_related in sorted(pairs, key=lambda pair: -pair[0])[:LARGEST]])


@given(st.integers(0, 10**6), st.integers(5, 12))
def test_share_of_the_largest_counts_pairs_as_often_as_they_are_drawn(seed, n):
    rng = np.random.default_rng(seed)
    # distinct values: between equal ones the order, and so the share, would be arbitrary
    matrix, related = rng.permutation(n * n).reshape(n, n).astype(float), rng.random((n, n)) < 0.4
    weights = rng.multinomial(n, np.full(n, 1 / n))
    if np.count_nonzero(weights) > 1:
        assert shares_of_largest(matrix, related, weights[None])[0] == pytest.approx(
            naive_share(matrix, related, weights)
        )


def test_share_of_the_largest_is_unknown_without_a_pair():
    assert np.isnan(shares_of_largest(np.eye(3), np.eye(3) > 0, np.array([[3, 0, 0]])))


@pytest.mark.parametrize(
    ("first", "second", "related"),
    [
        (fact("Windows 7"), fact("Windows 8.1", true="z"), True),
        (fact("Vladimir Mayakovsky", true="Russian"), fact("Bukovsky", true="Russian"), True),
        (fact("Mayakovsky", "P1", "Russian"), fact("Moscow", "P2", "Russian"), False),
        (fact("iPhone 5", true="Apple"), fact("Galaxy S5", true="Samsung"), False),
        (fact("A 7"), fact("B 7", true="z"), False),
        (fact("The Legend of Zelda"), fact("the Taj Mahal", true="z"), False),
    ],
)
def test_facts_are_related_by_a_word_or_by_relation_and_object(first, second, related):
    assert are_related(first, second) is related
    assert are_related(second, first) is related


def test_early_minus_late_compares_thirds():
    assert early_minus_late(np.array([9.0, 7.0, 100.0, 100.0, 1.0, 3.0])) == 6.0
    assert early_minus_late(np.array([5.0, 100.0, 2.0])) == 3.0


def naive_chance(matrix, related, weights):
    """Expand every pair as often as it is drawn, and compare each related one with each other one."""
    drawn = np.repeat(np.arange(len(weights)), weights)
    kinds = {kind: [matrix[i, j] for i in drawn for j in drawn if i != j and related[i, j] == kind] for kind in (0, 1)}
    wins = [(x > y) + (x == y) / 2 for x in kinds[1] for y in kinds[0]]
    return np.mean(wins) if wins else np.nan


@given(st.integers(0, 10**6), st.integers(3, 8))
def test_chance_of_the_larger_counts_pairs_as_often_as_they_are_drawn_and_equal_ones_half(seed, n):
    rng = np.random.default_rng(seed)
    matrix, related = rng.integers(0, 5, (n, n)).astype(float), rng.random((n, n)) < 0.4
    weights = rng.multinomial(n, np.full(n, 1 / n))
    found = chance_of_larger(matrix, related, weights[None])[0]
    assert found == pytest.approx(naive_chance(matrix, related, weights), nan_ok=True)


def test_exchanged_facts_have_the_larger_entry_as_often_as_not():
    """Against the slow way, for each exchange; where nothing is exchanged in effect the chance stays what it was."""
    rng = np.random.default_rng(0)
    matrices, related = [rng.standard_normal((12, 12)) for _ in range(2)], rng.random((12, 12)) < 0.3
    found = exchanged_chances(matrices, related, seed=5)
    drawn = np.random.default_rng(5)
    once = np.ones((1, 12), dtype=np.int64)
    for chance in found[:5]:
        at = drawn.permutation(12)
        slow = np.mean([chance_of_larger(matrix, related[np.ix_(at, at)], once)[0] for matrix in matrices])
        assert chance == pytest.approx(slow)
    assert found.mean() == pytest.approx(0.5, abs=0.02)
