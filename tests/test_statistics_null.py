from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from ks_core.errors import InputError
from ks_core.statistics.null import cosines, null_keys, null_summaries, null_whitened_keys, products, superposition
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


def test_null_keys_have_the_second_moment_of_their_factor():
    factor = random_factor(6)
    keys = null_keys(200_000, factor, np.random.default_rng(0))
    second = factor @ factor.T
    # An entry of the sample second moment has a variance of at most 2 C_ii C_jj / N; five errors.
    allowed = 5 * np.sqrt(2 / len(keys) * np.outer(np.diag(second), np.diag(second)))
    assert (np.abs(keys.T @ keys / len(keys) - second) < allowed).all()


def test_null_superposition_is_the_same_before_and_after_whitening():
    factor = random_factor(20)
    keys = null_keys(8, factor, np.random.default_rng(0))
    whitened = null_whitened_keys(8, 20, np.random.default_rng(0))
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


def test_a_factor_that_is_not_square_is_refused():
    with pytest.raises(InputError, match=r"shape \(3, 4\); expected a square one"):
        null_keys(5, np.ones((3, 4)), np.random.default_rng(0))
