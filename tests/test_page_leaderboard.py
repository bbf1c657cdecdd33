"""Methods of several runs, side by side: their score, its error, and who is first."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_results import planted, stream, with_content

from ks_core.reporting.page.leaderboard import SHARES, methods_of_runs, score_of

SHARE, ERROR = st.floats(0.0, 1.0), st.floats(0.0, 0.2)


def scores_of(values, errors):
    return {
        name: {"value": value, "error": error, "count": 9}
        for name, value, error in zip(SHARES, values, errors, strict=True)
    }


def harmonic(values):
    """What an editing paper calls S, by its definition."""
    return 0.0 if 0.0 in values else len(values) / sum(1 / value for value in values)


@given(st.tuples(SHARE, SHARE, SHARE))
def test_a_score_is_the_harmonic_mean(values):
    assert score_of(scores_of(values, [0.0] * 3))[0] == pytest.approx(harmonic(values), rel=1e-12, abs=1e-300)


@given(st.tuples(SHARE, SHARE, SHARE), st.tuples(ERROR, ERROR, ERROR))
def test_the_error_of_a_score_is_no_less_than_that_of_any_of_the_three(values, errors):
    value, error = score_of(scores_of(values, errors))
    ends = [(max(one - off, 0.0), one + off) for one, off in zip(values, errors, strict=True)]
    reached = [harmonic(corner) for corner in itertools.product(*ends)]
    # both ends are at most 1.2, and rounded six times here and five there: 11 · 1.2 · 2^-53 < 2e-15
    assert error == pytest.approx((max(reached) - min(reached)) / 2, rel=1e-12, abs=2e-15)
    assert min(reached) <= value * (1 + 1e-12)
    assert value <= max(reached) * (1 + 1e-12)


def test_the_error_of_a_score_bounds_that_of_independent_shares():
    values, errors = (0.9, 0.6, 0.4), (0.02, 0.03, 0.04)
    drawn = np.random.default_rng(0).normal(values, errors, (20_000, 3))
    spread = np.std([harmonic(tuple(of)) for of in drawn.tolist()])
    _, told = score_of(scores_of(values, errors))
    assert spread < told < 3**0.5 * 1.1 * spread, "three errors that add up are √3 of three that do not, at most"


@pytest.mark.parametrize("name", SHARES)
def test_there_is_no_score_without_one_of_the_shares(name):
    whole = scores_of((0.9, 0.8, 0.7), (0.1, 0.1, 0.1))
    gone = {of: score for of, score in whole.items() if of != name}
    unknown = whole | {name: {"value": None, "error": None, "count": 0}}
    negative = whole | {name: {"value": -0.1, "error": 0.1, "count": 9}}
    assert score_of(gone) is score_of(unknown) is score_of(negative) is None


def test_an_error_that_is_unknown_leaves_that_of_the_score_unknown():
    value, error = score_of(scores_of((0.9, 0.8, 0.7), (0.1, None, 0.1)))
    assert value == pytest.approx(harmonic((0.9, 0.8, 0.7)))
    assert np.isnan(error)


def test_the_best_score_is_first_whatever_the_order_of_the_runs():
    runs = [with_content(planted(), editing={"stream": stream(methods)}) for methods in (("a", "b"), ("c",))]
    stored = runs[1].content["editing"]["stream"]["methods"]["c"][-1]["scores"]
    without = {name: score for name, score in stored.items() if name != "paraphrase"}
    worse = {"methods": {"none": [{"edits": 9, "scores": without}], "c": [{"edits": 9, "scores": stored}]}}
    runs.append(with_content(planted(), editing={"stream": worse}))
    for order in itertools.permutations(range(3)):
        table = methods_of_runs([runs[place] for place in order], [str(place) for place in order])
        keys = [row[table.columns.index("score")].key for row in table.rows]
        assert keys[-1] is None, "who has no score is last"
        assert keys[:-1] == sorted(keys[:-1], reverse=True)
        assert {(row[0].text, row[1].text) for row in table.rows} == {
            ("0", "a"), ("0", "b"), ("1", "c"), ("2", "none"), ("2", "c")
        }  # fmt: skip
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_runs_without_streams_have_no_methods():
    assert methods_of_runs([planted(), planted()], ["one", "two"]) is None
