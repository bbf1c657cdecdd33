from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from ks_core.errors import InputError
from ks_core.statistics.null import (
    cosines,
    lengths_null,
    null_summaries,
    null_whitened_keys,
    products,
    superposition,
)
from ks_core.statistics.summaries import summarise

EPS = np.finfo(np.float64).eps


def random_factor(d, seed=0):
    rng = np.random.default_rng(seed)
    return np.linalg.cholesky(np.cov(rng.standard_normal((d, 3 * d))) + np.eye(d))


def test_pair_matrices_are_their_definitions():
    keys = np.random.default_rng(0).standard_normal((5, 8))
    for i in range(5):
        for j in range(5):
            inner, own, other = keys[i] @ keys[j], keys[i] @ keys[i], keys[j] @ keys[j]
            assert products(keys)[i, j] == pytest.approx(inner, abs=16 * EPS * np.sqrt(own * other))
            assert superposition(keys)[i, j] == pytest.approx(inner / own, abs=16 * EPS * np.sqrt(other / own))
            assert cosines(keys)[i, j] == pytest.approx(inner / np.sqrt(own * other), abs=16 * EPS)


def check_null_law(statistics):
    """The law: cosines of random directions in d dimensions have mean 0, variance 1/d, excess kurtosis -6/(d + 2)."""
    # 200 draws of 32 * 31 / 2 different pairs; the variance of cos^2 is 2 / d^2 to leading order. Five errors each.
    pairs, d = 200 * 496, 24
    assert statistics["mean"].mean == pytest.approx(0, abs=5 / np.sqrt(pairs * d))
    assert statistics["std"].mean ** 2 == pytest.approx(1 / d, rel=5 * np.sqrt(2 / pairs))
    assert statistics["kurtosis"].mean == pytest.approx(-6 / (d + 2), abs=5 * np.sqrt(24 / pairs))


def test_null_cosines_are_those_of_random_directions():
    check_null_law(null_summaries(partial(null_whitened_keys, 32, 24), cosines, draws=200, seed=0))


def test_null_of_keys_that_share_a_direction_is_caught():
    def planted(rng):
        return null_whitened_keys(32, 24, rng) + 0.3

    with pytest.raises(AssertionError):
        check_null_law(null_summaries(planted, cosines, draws=200, seed=0))


def test_null_superposition_is_the_same_before_and_after_whitening():
    factor = random_factor(20)
    whitened = null_whitened_keys(8, 20, np.random.default_rng(0))
    keys = whitened @ factor.T  # Gaussian with the second moment factor factor^T
    gram = keys @ np.linalg.solve(factor @ factor.T, keys.T)
    condition = np.linalg.cond(factor) ** 2
    np.testing.assert_allclose(gram / np.diag(gram)[:, None], superposition(whitened), atol=20 * EPS * condition * 10)


def test_null_summaries_are_repeatable_and_upper_is_the_quantile_of_the_draws():
    draw = partial(null_whitened_keys, 16, 32)
    found = null_summaries(draw, superposition, draws=40, seed=5)
    assert found == null_summaries(draw, superposition, draws=40, seed=5)
    assert found != null_summaries(draw, superposition, draws=40, seed=6)
    rng = np.random.default_rng(5)
    kurtosis = [summarise(superposition(draw(rng)))["kurtosis"] for _ in range(40)]
    assert found["kurtosis"].mean == pytest.approx(np.mean(kurtosis), rel=1e-12)  # the same numbers, summed once more
    assert found["kurtosis"].upper == pytest.approx(np.quantile(kurtosis, 0.95), rel=1e-12)


def test_planted_related_pairs_stand_out_from_the_null():
    keys = null_whitened_keys(64, 256, np.random.default_rng(1))
    keys[1] = keys[0] + 0.1 * keys[1]
    null = null_summaries(partial(null_whitened_keys, 64, 256), superposition, draws=40, seed=0)
    assert summarise(superposition(keys))["kurtosis"] > null["kurtosis"].upper + 20 * null["kurtosis"].std


@pytest.mark.parametrize(("draws", "level"), [(19, 0.95), (100, 1.0), (1, 0.0)])
def test_a_quantile_beyond_the_draws_is_refused(draws, level):
    with pytest.raises(InputError, match="draws for a quantile"):
        null_summaries(partial(null_whitened_keys, 4, 4), cosines, draws, seed=0, level=level)


def test_lengths_null_is_superposition_of_keys_of_those_lengths():
    lengths = np.exp(0.5 * np.random.default_rng(1).standard_normal((3, 20)))
    found = lengths_null(lengths, 50, draws=4, seed=7)
    rng = np.random.default_rng(7)
    directions = [keys / np.linalg.norm(keys, axis=1, keepdims=True) for keys in rng.standard_normal((4, 20, 50))]
    for layer, of_layer in enumerate(lengths):
        draws = [summarise(superposition(of_layer[:, None] * unit)) for unit in directions]
        for name, statistic in found.items():
            values = [draw[name] for draw in draws]
            # The same entries but for a few roundings, each of which a kurtosis of up to 20 sees some 100 times over.
            assert statistic.mean[layer] == pytest.approx(np.mean(values), rel=1e4 * EPS)
            assert statistic.std[layer] == pytest.approx(np.std(values, ddof=1), rel=1e5 * EPS, abs=1e5 * EPS)


TWO_LENGTHS = np.repeat([1.0, 2.0], [96, 32])  # uneven shares: a product of lengths then differs from a ratio in shape


def check_lengths_law(kurtosis_of, d=400, draws=60):
    """The law: given the lengths, kurtosis + 3 is 3 d / (d + 2) times mean(r^4) / mean(r^2)^2, r the length ratios."""
    squared = ((TWO_LENGTHS / TWO_LENGTHS[:, None]) ** 2)[~np.eye(128, dtype=bool)]
    expected = 3 * d / (d + 2) * (squared**2).mean() / squared.mean() ** 2 - 3
    # cos^4 varies by sqrt(32/3) of its mean, and the 96 * 32 pairs of ratio 2 carry the fourth moment: at most five
    # such errors, as the variance below it moves along. The ratio of one draw is biased by a few 1 / (96 * 32) of it.
    allowed = 5 * (expected + 3) * np.sqrt(32 / 3 / (draws * 96 * 32)) + 0.01
    assert kurtosis_of(TWO_LENGTHS[None], d, draws, 0) == pytest.approx(expected, abs=allowed)


def test_lengths_null_has_the_kurtosis_of_a_mixture_of_widths():
    check_lengths_law(lambda *given: lengths_null(*given)["kurtosis"].mean[0])


def product_of_lengths(lengths, d, draws, seed):
    """Planted fault: Q, |x_i| |x_j| cos, in the place of P."""
    rng = np.random.default_rng(seed)
    keys = [lengths[0][:, None] * cosines(null_whitened_keys(128, d, rng)) * lengths[0] for _ in range(draws)]
    return np.mean([summarise(matrix)["kurtosis"] for matrix in keys])


def without_lengths(lengths, d, draws, seed):
    """Planted fault: the lengths are forgotten."""
    return lengths_null(np.ones_like(lengths), d, draws, seed)["kurtosis"].mean[0]


@pytest.mark.parametrize("fault", [product_of_lengths, without_lengths])
def test_lengths_null_with_a_planted_fault_is_caught(fault):
    with pytest.raises(AssertionError):
        check_lengths_law(fault)


def test_log_normal_lengths_alone_give_heavy_tails_and_equal_ones_do_not():
    lengths = np.exp(np.random.default_rng(0).normal(0, [[0.0], [0.5]], size=(2, 128)))
    found = lengths_null(lengths, 1536, draws=20, seed=0)
    kurtosis, tail = found["kurtosis"], found["tail_ratio"]
    # Equal lengths: 20 * 8128 Gaussian pairs, kurtosis to sqrt(24 / N) = 0.012, tail to 1 / sqrt(10) as pairs count
    # twice and ten are expected; five errors of each.
    assert kurtosis.mean[0] == pytest.approx(-6 / 1538, abs=0.06)
    assert tail.mean[0] == pytest.approx(1, abs=1.6)
    assert kurtosis.mean[1] > 5
    assert tail.mean[1] > 55, "above a Laplace distribution's"
    assert kurtosis.std[1] > kurtosis.std[0] > 0


def test_lengths_null_is_repeatable_and_does_not_see_the_unit_of_the_lengths():
    lengths = np.exp(0.3 * np.random.default_rng(2).standard_normal((2, 16)))
    found, again, scaled, other = (
        lengths_null(of, 32, draws=5, seed=seed)["kurtosis"].mean
        for of, seed in [(lengths, 3), (lengths, 3), (4 * lengths, 3), (lengths, 4)]
    )
    np.testing.assert_array_equal(found, again)
    np.testing.assert_array_equal(found, scaled)  # a power of two scales without rounding
    assert (found != other).all()


@pytest.mark.parametrize(
    ("lengths", "d", "draws", "said"),
    [
        (np.ones((2, 2)), 8, 5, "got 2 facts, d = 8 and 5 draws; expected at least 3, 1 and 2"),
        (np.ones((2, 5)), 0, 5, "d = 0"),
        (np.ones((2, 5)), 8, 1, "1 draws"),
        (np.ones(5), 8, 5, r"shape \(5,\); expected 2 dimensions"),
        (np.array([[1.0, 0.0, 2.0]]), 8, 5, "smallest key length is 0"),
        (np.array([[1.0, np.nan, 2.0]]), 8, 5, "1 NaN or infinite"),
    ],
)
def test_unusable_lengths_are_refused(lengths, d, draws, said):
    with pytest.raises(InputError, match=said):
        lengths_null(lengths, d, draws, seed=0)
