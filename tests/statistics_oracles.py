"""Slow, obvious versions of the statistics: every pair is written out, and SciPy does the arithmetic."""

from __future__ import annotations

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from scipy import stats

EPS = np.finfo(np.float64).eps


def sample_pairs(matrix, counts):
    """Entries of all ordered pairs of drawn facts, but for pairs of two copies of one fact."""
    drawn = [fact for fact, count in enumerate(counts) for _ in range(int(count))]
    return np.array([matrix[i, j] for i in drawn for j in drawn if i != j])


def plain_statistics(values, threshold):
    """The statistics that need no smoothing, of a list of numbers."""
    mean, std = values.mean(), values.std()
    far = np.count_nonzero(np.abs(values - mean) > 4 * std) / len(values)
    return {
        "mean": mean,
        "std": std,
        "rms": np.sqrt((values**2).mean()),
        "skewness": stats.skew(values),
        "kurtosis": stats.kurtosis(values),
        "share_above": np.count_nonzero(values > threshold) / len(values),
        "tail_ratio": far / (2 * stats.norm.sf(4)),
        "near_right_angle": np.count_nonzero(np.abs(np.degrees(np.arccos(np.clip(values, -1, 1))) - 90) < 10)
        / len(values),
    }


def rounding(matrix, values):
    """Bound on the rounding error of each statistic of `values`, drawn from a matrix that is centred at its own mean c.

    A sum of n terms has a relative error of n eps. The fourth central moment is a sum of terms that add up to at most
    14 M4 (coefficients 1, 4, 6, 3; each product of raw moments about c is below M4 by the power-mean inequality), and
    the variance has an absolute error of 2 n eps M2, which enters the kurtosis twice. Skewness is milder in each step.
    SciPy centres at a mean that is rounded at the size of the entries, by a few eps; moving the centre by d std changes
    a standardised moment by at most 4 d times the next one.
    """
    n = len(matrix)
    centred = values - matrix[~np.eye(n, dtype=bool)].mean()
    second, fourth, variance = (centred**2).mean(), (centred**4).mean(), values.var()
    rounded_mean = 8 * EPS * np.abs(values).max() / np.sqrt(variance)
    shape = (64 * n * EPS * second / variance + 4 * rounded_mean) * fourth / variance**2
    spread = 4 * n * EPS * second / np.sqrt(variance)
    size = 4 * n * EPS * (np.abs(matrix).max() + np.sqrt(second)) + spread
    return {"mean": size, "std": size, "rms": size, "skewness": shape, "kurtosis": shape}


def assert_statistics(found, matrix, values, threshold=0.1):
    """Hold statistics against the plain ones: moments to rounding, shares exactly but for one division."""
    tolerance = rounding(matrix, values)
    for name, expected in plain_statistics(values, threshold).items():
        allowed = tolerance.get(name, 4 * EPS * abs(expected))
        assert abs(found[name] - expected) <= allowed, (name, float(found[name]), float(expected), float(allowed))


@st.composite
def pair_matrices(draw, fewest=4, most=12):
    """Pair matrices with a diagonal of ones and light or heavy tails, symmetric or not, wherever they lie."""
    n = draw(st.integers(fewest, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    family = draw(st.sampled_from(["standard_normal", "uniform", "laplace", "standard_cauchy"]))
    matrix = getattr(rng, family)(size=(n, n))
    if draw(st.booleans()):
        matrix = (matrix + matrix.T) / 2
    matrix = draw(st.sampled_from([0.0, 0.3, -20.0])) + draw(st.sampled_from([1e-3, 0.1, 10.0])) * matrix
    np.fill_diagonal(matrix, 1.0)
    return matrix


@st.composite
def samples_of_facts(draw):
    """A pair matrix and the counts of one draw of its facts, at least three of them different."""
    matrix = draw(pair_matrices())
    counts = draw(st.lists(st.integers(0, 4), min_size=len(matrix), max_size=len(matrix)))
    assume(np.count_nonzero(counts) >= 3)
    return matrix, np.array(counts)
