from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statistics_oracles import EPS, assert_statistics, pair_matrices, plain_statistics, sample_pairs

from ks_core.errors import InputError
from ks_core.statistics.pairs import off_diagonal, one_per_subject
from ks_core.statistics.summaries import summarise
from ks_core.statistics.tails import GAUSSIAN_TAIL, RIGHT_ANGLE_COSINE

SHAPE = ("skewness", "kurtosis", "tail_ratio")


def test_oracle_pairs_are_those_written_by_hand():
    matrix = np.array([[9, 1, 2], [3, 9, 4], [5, 6, 9]])
    assert sorted(sample_pairs(matrix, [1, 1, 1])) == [1, 2, 3, 4, 5, 6]
    assert sorted(sample_pairs(matrix, [2, 1, 0])) == [1, 1, 3, 3]


@given(pair_matrices())
def test_summary_is_scipys_of_the_off_diagonal_entries(matrix):
    assert_statistics(summarise(matrix), matrix, sample_pairs(matrix, np.ones(len(matrix))))


@pytest.mark.parametrize("fault", ["diagonal counted", "unbiased kurtosis", "sample std"])
def test_summary_with_a_planted_fault_is_caught(fault):
    matrix = np.random.default_rng(0).laplace(size=(12, 12)) + 3 * np.eye(12)
    values = off_diagonal(matrix)
    wrong = plain_statistics(matrix.ravel() if fault == "diagonal counted" else values, threshold=0.1)
    if fault == "unbiased kurtosis":
        wrong["kurtosis"] = stats.kurtosis(values, bias=False)
    if fault == "sample std":
        wrong["std"] = values.std(ddof=1)
    with pytest.raises(AssertionError):
        assert_statistics(wrong, matrix, values)


@given(pair_matrices(), st.sampled_from([1e-3, 0.5, 40.0]), st.sampled_from([-2.0, 0.0, 7.0]))
def test_shape_is_unchanged_by_location_and_scale(matrix, scale, shift):
    before, after = summarise(matrix), summarise(scale * matrix + shift)
    # The shift costs digits: what is left of an entry's own precision is eps |entry| / std.
    moved = scale * matrix + shift
    lost = max(np.abs(matrix).max() / before["std"], np.abs(moved).max() / after["std"])
    allowed = 64 * len(matrix) * EPS * lost * (4 + abs(before["kurtosis"])) ** 2
    for name in SHAPE:
        assert after[name] == pytest.approx(before[name], abs=allowed), name
    assert after["mode"] == pytest.approx(scale * before["mode"] + shift, abs=1e-6 * after["std"])


@given(pair_matrices(), st.randoms(use_true_random=False))
def test_summary_is_unchanged_by_the_order_of_the_facts(matrix, random):
    order = list(range(len(matrix)))
    random.shuffle(order)
    permuted = matrix[np.ix_(order, order)]
    assert_statistics(summarise(permuted), matrix, off_diagonal(matrix))


def test_a_diagonal_never_enters():
    matrix = np.random.default_rng(1).standard_normal((10, 10))
    other = matrix.copy()
    np.fill_diagonal(other, 1e6)
    assert summarise(other) == summarise(matrix)


# Tolerances: five standard errors of N = 999,000 independent entries. Kurtosis: sqrt(24 / N) = 0.005 for a Gaussian and
# sqrt(1188 / N) = 0.034 for a Laplace distribution. Tail: counts of about 63 and 3,490 entries, 1 / sqrt(count).
@pytest.mark.parametrize(
    ("family", "kurtosis", "kurtosis_error", "tail", "tail_error"),
    [("standard_normal", 0.0, 0.005, 1.0, 0.126), ("laplace", 3.0, 0.034, 55.15, 0.93)],
)
def test_known_distributions_have_their_kurtosis_and_tail(family, kurtosis, kurtosis_error, tail, tail_error):
    found = summarise(getattr(np.random.default_rng(2), family)(size=(1000, 1000)))
    assert found["kurtosis"] == pytest.approx(kurtosis, abs=5 * kurtosis_error)
    assert found["tail_ratio"] == pytest.approx(tail, abs=5 * tail_error)


def test_tail_and_right_angle_constants_are_what_they_say():
    assert pytest.approx(6.334248e-05, rel=1e-6) == GAUSSIAN_TAIL
    assert pytest.approx(np.cos(np.radians(80)), rel=1e-15) == RIGHT_ANGLE_COSINE


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 1e8])
def test_equal_entries_have_no_shape_and_no_warning(value):
    found = summarise(np.full((7, 7), value))
    assert (found["mean"], found["mode"]) == (pytest.approx(value), value)
    assert (found["std"], found["min"], found["max"]) == (0.0, value, value)
    assert all(np.isnan(found[name]) for name in (*SHAPE, "mode_density"))


def test_accuracy_survives_a_mean_a_million_deviations_away():
    matrix = np.random.default_rng(3).standard_normal((60, 60))
    # Storing 1e6 + x keeps x to 1e6 eps; kurtosis has a condition number of about 4 (4 + kurtosis) in the entries.
    assert summarise(matrix + 1e6)["kurtosis"] == pytest.approx(summarise(matrix)["kurtosis"], abs=16 * 1e6 * EPS)


def test_torch_and_float32_input_is_read():
    matrix = np.random.default_rng(4).standard_normal((6, 6)).astype(np.float32)
    assert summarise(torch.from_numpy(matrix)) == summarise(matrix.astype(np.float64))


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        (np.zeros((3, 4)), r"shape \(3, 4\); expected a square one"),
        (np.zeros((2, 2)), "between 2 facts; expected at least 3"),
        (np.zeros(9), r"shape \(9,\); expected 2 dimensions"),
        (np.full((4, 4), np.nan), "contains 16 NaN or infinite entries"),
    ],
)
def test_unusable_matrices_are_refused(matrix, said):
    with pytest.raises(InputError, match=said):
        summarise(matrix)


def test_one_per_subject_keeps_the_first_of_each():
    subjects = ["Nokia N70", "Armenia", "Nokia N70", "Croatia", "Armenia"]
    assert one_per_subject(subjects).tolist() == [0, 1, 3]
    assert one_per_subject([]).tolist() == []


def test_one_per_subject_takes_planted_duplicates_out_of_the_tail():
    matrix = 0.02 * np.random.default_rng(5).standard_normal((50, 50))
    matrix[10, 40] = matrix[40, 10] = 1.0
    subjects = [f"subject {i if i != 40 else 10}" for i in range(50)]
    index = one_per_subject(subjects)
    assert summarise(matrix)["kurtosis"] > 100
    assert abs(summarise(matrix[np.ix_(index, index)])["kurtosis"]) < 0.5  # five sqrt(24 / (49 * 48))
