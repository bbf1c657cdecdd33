"""The oracles agree with what can be worked out by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import (
    UNIT_ROUNDOFF,
    assert_close,
    condition_number,
    dot,
    exact,
    inverse,
    joint_by_normal_equations,
    lifelong_step_by_step,
    pca_whitening,
    rounded,
    superposition_by_loops,
    times,
    tolerance,
    zca_whitening,
)
from strategies import SecondMomentCase, second_moments


def tensor(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


# C⁻¹ = [[1, −1], [−1, 2]], so all that follows stays in small integers.
SECOND_MOMENT = tensor([[2.0, 1.0], [1.0, 1.0]])


def test_products_by_hand() -> None:
    assert dot([Fraction(1), Fraction(2)], [Fraction(3), Fraction(4)]) == 11
    assert times([[Fraction(1), Fraction(2)], [Fraction(0), Fraction(1)]], [Fraction(3), Fraction(4)]) == [11, 4]
    assert exact(tensor([[0.1]]))[0][0] != Fraction(1, 10)  # the float, not the decimal


def test_inverse_by_hand() -> None:
    assert inverse(exact(SECOND_MOMENT)) == [[1, -1], [-1, 2]]
    assert inverse([[Fraction(0), Fraction(2)], [Fraction(1), Fraction(0)]]) == [[0, 1], [Fraction(1, 2), 0]]


def test_inverse_of_a_singular_matrix_is_refused() -> None:
    with pytest.raises(ZeroDivisionError, match="singular"):
        inverse([[Fraction(1), Fraction(2)], [Fraction(2), Fraction(4)]])


@given(second_moments())
def test_inverse_multiplies_to_exactly_one(case: SecondMomentCase) -> None:
    matrix = exact(case.matrix)
    columns = [list(column) for column in zip(*inverse(matrix), strict=True)]
    assert [[dot(row, column) for column in columns] for row in matrix] == [
        [int(i == j) for j in range(case.dim)] for i in range(case.dim)
    ]


def test_superposition_by_hand() -> None:
    """k_0 = (1, 0): C⁻¹k_0 = (1, −1), d_0 = 1. k_1 = (0, 1): C⁻¹k_1 = (−1, 2), d_1 = 2. k_0ᵀC⁻¹k_1 = −1."""
    expected = tensor([[1.0, -1.0], [-0.5, 1.0]])
    assert torch.equal(superposition_by_loops(SECOND_MOMENT, tensor([[1.0, 0.0], [0.0, 1.0]])), expected)
    others = superposition_by_loops(SECOND_MOMENT, tensor([[0.0, 1.0]]), tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 4.0]]))
    assert torch.equal(others, tensor([[-0.5, 0.5, 4.0]]))


def test_step_by_step_by_hand() -> None:
    """W_0 = 0. Edit (1, 0) → 3: W_1 = 3 (1, −1). Edit (0, 1) → 1: residual 1 + 3 = 4, W_2 = W_1 + 4/2 (−1, 2)."""
    weights, residuals = lifelong_step_by_step(
        tensor([[0.0, 0.0]]), tensor([[1.0, 0.0], [0.0, 1.0]]), tensor([[3.0], [1.0]]), SECOND_MOMENT
    )
    assert [weight.tolist() for weight in weights] == [[[0.0, 0.0]], [[3.0, -3.0]], [[1.0, 1.0]]]
    assert residuals.tolist() == [[3.0], [4.0]]


def test_joint_by_hand() -> None:
    """Key (1, 0), residual 3 − 1 = 2, ridge 1: 2 (1, 0) (C + kkᵀ)⁻¹ = 2 (1, 0) [[3, 1], [1, 1]]⁻¹ = (1, −1)."""
    delta = joint_by_normal_equations(tensor([[1.0, 5.0]]), tensor([[1.0, 0.0]]), tensor([[3.0]]), SECOND_MOMENT, 1.0)
    assert delta.tolist() == [[1.0, -1.0]]


def test_condition_number_by_hand() -> None:
    assert condition_number(SECOND_MOMENT) == 3 * 3


@given(second_moments())
def test_eigenvalue_whitenings_whiten(case: SecondMomentCase) -> None:
    identity = torch.eye(case.dim, dtype=torch.float64)
    allowed = tolerance(case.condition_number, case.dim)
    for whitening in (pca_whitening(case.matrix), zca_whitening(case.matrix)):
        assert_close(whitening @ case.matrix @ whitening.T, identity, allowed)
    symmetric = zca_whitening(case.matrix)
    assert_close(symmetric, symmetric.T, allowed * float(symmetric.abs().max()))


@given(st.integers(1, 10), st.floats(1.0, 1e6), st.integers(1, 9))
def test_tolerance_is_the_formula_and_stays_below_what_faults_make(d_key: int, condition: float, edits: int) -> None:
    assert tolerance(condition, d_key, edits) == pytest.approx(4 * d_key * (3 * d_key + 1) * 2**-53 * condition * edits)
    assert tolerance(condition, d_key, edits) < 1e-4
    assert UNIT_ROUNDOFF == 2**-53


def test_assert_close_catches_values_shapes_and_nan() -> None:
    one = tensor([[1.0]])
    assert_close(one, one + 0.5, 0.5)
    assert_close(tensor([[1.0, 2.0]]), tensor([[1.5, 2.0]]), tensor([[0.5, 0.0]]))
    for wrong in (one + 0.6, one.flatten(), one * float("nan")):
        with pytest.raises(AssertionError):
            assert_close(wrong, one, 0.5)
    with pytest.raises(AssertionError, match=r"off by up to 0\.5, allowed 0\.4"):
        assert_close(tensor([[1.0]]), tensor([[1.5]]), 0.4)


def test_rounding_to_float_and_back_changes_nothing() -> None:
    rows = tensor([[0.1, -2.5e-300], [3.0, 1e300]])
    assert torch.equal(rounded(exact(rows)), rows)
