"""What is no second moment is found wherever it is, tile by tile as in one piece."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import SecondMomentCase, second_moments

from ks_core.arrays import as_float64
from ks_core.errors import InputError
from ks_core.theory import second_moment
from ks_core.theory.second_moment import ROUNDING_OF_SUMS, check_second_moment
from ks_core.theory.superposition import _scaled
from ks_core.theory.whitening import whiten, whiten_symmetric


@pytest.fixture(autouse=True, scope="module")
def _small_tiles():
    """So small that matrices of a few neurons have many, the last of them cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(second_moment.TILE, "cpu", 3)
        yield


def excess(matrix: torch.Tensor) -> torch.Tensor:
    """The oracle: all entries at once."""
    rms = matrix.diagonal().sqrt()
    return (matrix - matrix.T).abs() - ROUNDING_OF_SUMS * rms[:, None] * rms[None, :]


@given(second_moments(dim=8), st.integers(0, 7), st.integers(0, 7), st.floats(0.5, 2.0))
def test_asymmetry_is_found_in_every_tile(case: SecondMomentCase, row: int, column: int, size: float) -> None:
    """Half the rounding of sums passes, twice of it does not, wherever it is."""
    matrix = case.matrix.clone()
    matrix[row, column] += size * ROUNDING_OF_SUMS * float((matrix[row, row] * matrix[column, column]).sqrt())
    if float(excess(matrix).max()) > 0:
        # the entry's own place and the mirrored one are named
        with pytest.raises(InputError, match=rf"\[{max(row, column)}, {min(row, column)}\]"):
            check_second_moment(matrix)
    else:
        assert torch.equal(check_second_moment(matrix), matrix)


@given(second_moments(dim=8), st.sampled_from([0.0, 0.5]))
def test_a_symmetric_matrix_is_whitened_the_same_unlooked_at(case: SecondMomentCase, ridge: float) -> None:
    one, other = whiten(case.matrix, ridge=ridge), whiten_symmetric(case.matrix, ridge=ridge)
    assert torch.equal(one.factor, other.factor)
    assert one.condition_number == other.condition_number


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1.0, 0.0], [0.0, -1.0]], "cannot be negative"),
        ([[0.0, 1.0], [1.0, 1.0]], "0 at \\[0, 0\\] and other numbers beside it"),
        ([[1.0, 2.0], [2.0, 1.0]], "has the eigenvalue -1"),
    ],
)
def test_a_wrong_diagonal_is_refused_without_a_look_at_symmetry_too(matrix: list[list[float]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        whiten_symmetric(torch.tensor(matrix, dtype=torch.float64))


def test_finite_entries_whose_sum_is_not_are_accepted() -> None:
    assert len(as_float64("keys", [[1e308, 1e308], [1e308, 1e308]], ndim=2)) == 2
    for bad, entries in ((2, [math.inf, -math.inf, 1e308]), (1, [1e308, math.nan, 1e308]), (1, [0.0, 0.0, math.inf])):
        with pytest.raises(InputError, match=f"contains {bad} NaN or infinite entries of 3"):
            as_float64("keys", [entries], ndim=2)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_rows_are_scaled_by_the_powers_of_two_that_frexp_names(entries: list[float]) -> None:
    """Subnormal and the largest numbers too: 2 to the power of the exponent and of its opposite stay normal."""
    largest = max(abs(entry) for entry in entries)
    unit = math.ldexp(1.0, min(max(math.frexp(largest)[1], -1021), 1023))
    rows, units = _scaled(torch.tensor([entries], dtype=torch.float64))
    assert units.tolist() == [unit]
    assert rows.tolist() == [[entry / unit for entry in entries]]
