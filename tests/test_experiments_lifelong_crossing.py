"""Where a curve reaches a level: on a line over log n, at its ends, and never."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks_core.experiments.lifelong.crossing import crossing

COUNTS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 400]


@given(st.floats(1.0, 400.0))
def test_a_line_over_log_n_is_crossed_where_it_is(where):
    values = np.log(COUNTS)
    assert crossing(COUNTS, values, math.log(where) - 1e-12) == pytest.approx(where)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=10), st.floats(-5, 5))
def test_a_crossing_is_between_the_first_look_that_is_there_and_the_one_before(values, level):
    counts = COUNTS[: len(values)]
    found = crossing(counts, np.array(values), level)
    there = [place for place, value in enumerate(values) if value >= level]
    if not there:
        assert math.isnan(found)
    else:
        low = counts[max(0, there[0] - 1)]
        assert low * (1 - 1e-12) <= found <= counts[there[0]] * (1 + 1e-12)


def test_what_falls_back_has_been_there():
    """The first crossing counts, and no later one; a dip on the way up does not move it."""
    assert crossing([1, 2, 4, 8], np.array([0.0, 1.0, 0.0, 2.0]), 1.0) == 2.0
    assert crossing([1, 2, 4, 8], np.array([0.0, 1.0, 0.0, 2.0]), 1.5) == pytest.approx(4 * math.sqrt(2))


def test_what_is_there_at_the_first_look_is_there_by_then():
    assert crossing([4, 8], np.array([0.3, 0.4]), 0.2) == 4.0


def test_a_falling_curve_is_negated():
    assert crossing([1, 4], -np.array([0.9, 0.1]), -0.5) == pytest.approx(2.0)


def test_a_look_that_is_nan_was_none():
    assert crossing([1, 2, 4, 16], np.array([math.nan, 0.0, math.nan, 1.0]), 1 / 3) == pytest.approx(4.0)
    assert math.isnan(crossing([1, 2], np.full(2, math.nan), 0.0))
