"""Growth of interference from the closed form, against streams followed edit by edit in the space of values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks_core.experiments.streams.growth import StreamGeometry, growth


def problem(seed, edits, others, d_value=5):
    """Keys of d_key 9 in whitened coordinates, and the changes that are wanted."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((edits + others, 9))
    wanted = rng.standard_normal((edits, d_value))
    shares = rows[:edits] @ rows.T / (rows[:edits] ** 2).sum(axis=1)[:, None]
    return StreamGeometry(shares[:, :edits], shares[:, edits:], wanted @ wanted.T), wanted


def step_by_step(geometry, wanted, order, counts, weights):
    """Add up every edit's effect on every value, one edit after another."""
    n, m = geometry.onto.shape
    at_edits, at_others = np.zeros((n, wanted.shape[1])), np.zeros((m, wanted.shape[1]))
    sizes, reached = [], {}
    for done, edit in enumerate(order, start=1):
        residual = wanted[edit] - at_edits[edit]
        at_edits += geometry.among[edit][:, None] * residual
        at_others += geometry.onto[edit][:, None] * residual
        reached[edit] = at_edits[edit].copy()
        if done in counts:
            sizes.append(np.sqrt(np.average((at_others**2).sum(axis=1), weights=weights)))
    later = [np.linalg.norm(at_edits[edit] - reached[edit]) for edit in order]
    return np.array(sizes), np.array(later)


@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 5))
def test_a_stream_is_followed_as_step_by_step(seed, edits, others):
    geometry, wanted = problem(seed, edits, others)
    rng = np.random.default_rng(seed)
    order, weights = rng.permutation(edits), rng.integers(1, 4, others).astype(float)
    counts = np.arange(1, edits + 1)
    sizes, later = geometry.along(order, counts, weights)
    expected_sizes, expected_later = step_by_step(geometry, wanted, order, counts, weights)
    # residuals may grow by a factor of |P| with each edit; squares of lengths lose half of the digits near zero
    scale = max(expected_sizes.max(), expected_later.max(), 1.0)
    np.testing.assert_allclose(sizes, expected_sizes, rtol=1e-7, atol=1e-6 * scale)
    np.testing.assert_allclose(later, expected_later, rtol=1e-7, atol=1e-6 * scale)
    assert later[-1] == 0


@pytest.mark.parametrize(("shared", "expected"), [(True, 1.0), (False, 0.5)])
def test_growth_tells_linear_from_a_random_walk(shared, expected):
    """Small equal shares onto bystanders: changes of one direction add up, of independent directions walk."""
    rng = np.random.default_rng(0)
    wanted = np.tile(rng.standard_normal(400), (64, 1)) if shared else rng.standard_normal((64, 400))
    geometry = StreamGeometry(np.eye(64), np.full((64, 10), 0.1), wanted @ wanted.T)
    found = growth(geometry, (geometry, geometry), resamples=40, seed=0)
    assert found.counts == (1, 2, 4, 8, 16, 32)
    assert found.exponent.value == pytest.approx(expected, abs=0.03)
    assert float(found.exponent.text_error) == pytest.approx(0, abs=1e-12)


def test_growth_tells_that_earlier_edits_suffer_more():
    """Equal small shares and orthogonal changes: an edit is moved by the root of the number of later ones."""
    among = np.eye(16) + 0.01 * (1 - np.eye(16))
    found = growth(StreamGeometry(among, np.full((16, 4), 0.1), np.eye(16)), (), resamples=40, seed=0)
    assert found.earlier.value == pytest.approx(1)
    assert found.earlier.facts_error < 1e-12


def test_growth_error_covers_another_draw_of_edits():
    """The error over facts, from halves of one stream, against the spread of exponents of independent streams."""
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        wanted = rng.standard_normal((16, 1)) @ rng.standard_normal((1, 6)) + rng.standard_normal((16, 6))
        onto = rng.standard_normal((16, 20)) * 0.1
        found.append(growth(StreamGeometry(np.eye(16), onto, wanted @ wanted.T), (), resamples=40, seed=seed))
    spread = np.std([float(of.exponent.value) for of in found], ddof=1)
    error = np.median([float(of.exponent.facts_error) for of in found])
    # a spread from 20 streams is known to 16 %; halves of 16 edits are small samples, so a factor of two is allowed
    assert spread / 2 < error < 2 * spread
