"""The condition number in the 1-norm: against LAPACK's estimate, the inverse itself, and at its limits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg.lapack import dpocon
from strategies import SecondMomentCase, orthogonal_matrices, second_moments

from ks_core.conformance.strategies import symmetric
from ks_core.theory import condition
from ks_core.theory.cholesky import EPS, ESTIMATE_MARGIN
from ks_core.theory.condition import condition_estimate, norm_estimate


def tensor(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def one_norm(matrix: torch.Tensor) -> float:
    return float(matrix.abs().sum(dim=0).max())


def rounding(case: SecondMomentCase) -> float:
    """Of a product with the inverse by way of the factor, relative: eps · width · κ, a few times."""
    return 16 * EPS * case.dim * float(case.eigenvalues[0] / case.eigenvalues[-1])


@given(second_moments())
def test_estimate_is_that_of_lapack(case: SecondMomentCase) -> None:
    factor = torch.linalg.cholesky(case.matrix)
    reciprocal, _ = dpocon(factor.numpy(), one_norm(case.matrix), uplo="L")
    assert condition_estimate(case.matrix, factor) == pytest.approx(1 / reciprocal, rel=rounding(case))


@given(second_moments())
def test_estimate_is_a_lower_bound_within_the_margin(case: SecondMomentCase) -> None:
    exact = one_norm(case.matrix) * one_norm(symmetric(case.basis, 1 / case.eigenvalues))
    estimate = condition_estimate(case.matrix, torch.linalg.cholesky(case.matrix))
    assert exact / ESTIMATE_MARGIN < estimate <= exact * (1 + rounding(case))


@given(st.integers(2, 6).flatmap(orthogonal_matrices), st.floats(0.0, 0.9))
def test_a_singular_matrix_has_no_small_estimate(basis: torch.Tensor, below: float) -> None:
    """Where rounding lets Cholesky pass, the estimate says that only rounding did: 16 times the width, see
    `test_singular_matrix_that_cholesky_lets_pass_is_refused`."""
    eigenvalues = torch.ones(len(basis), dtype=torch.float64)
    eigenvalues[-1] = below * EPS * len(basis)
    matrix = symmetric(basis, eigenvalues)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if not int(failed):
        assert condition_estimate(matrix, factor) * ESTIMATE_MARGIN * EPS * 16 * len(basis) >= 1


@pytest.mark.parametrize("scale", [2.0**-1000, 1.0, 2.0**1000])
def test_estimate_does_not_see_the_scale(scale: float) -> None:
    matrix = tensor([[2.0, 1.0], [1.0, 1.0]]) * scale
    assert condition_estimate(matrix, torch.linalg.cholesky(matrix)) == pytest.approx(9.0, rel=1e-12)


@pytest.mark.parametrize(
    ("matrix", "factor"),
    [
        ([[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1e-200]]),
        ([[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]),
        ([[0.0]], [[0.0]]),
        ([[1.7e308, 1e308], [1e308, 1.7e308]], [[1.3e154, 0.0], [7.7e153, 1.05e154]]),
    ],
)
def test_what_leaves_float64_is_infinite_and_no_nan(matrix: list[list[float]], factor: list[list[float]]) -> None:
    assert condition_estimate(tensor(matrix), tensor(factor)) == math.inf


def test_estimates_by_hand() -> None:
    assert condition_estimate(tensor([[5.0]]), tensor([[5.0]]).sqrt()) == pytest.approx(1.0, rel=4 * EPS)
    for rows, norm in (([[2.0, -1.0], [-1.0, 3.0]], 4.0), ([[0.0]], 0.0), ([[-7.0]], 7.0)):
        assert norm_estimate(tensor(rows).__matmul__, tensor(rows)) == norm


def test_alternating_signs_see_what_the_climb_may_miss() -> None:
    """From the middle, all corners of 1 + θ v vᵀ look alike where v sums to 0; most of them are short."""
    size, theta = 12, 1e6
    across = torch.zeros(size, 1, dtype=torch.float64)
    across[4], across[9] = 1, -1
    matrix = torch.eye(size, dtype=torch.float64) + theta * across @ across.T
    estimate = norm_estimate(matrix.__matmul__, matrix)
    # (1 + 4/11) + (1 + 9/11) of v is seen, ‖v‖₁ = 2: 2 · 3.18 · 2 θ / (3 · 12) = 0.35 θ of 2 θ
    assert one_norm(matrix) / ESTIMATE_MARGIN < estimate <= one_norm(matrix)


def test_an_estimate_without_the_climb_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    weak = torch.ones(400, dtype=torch.float64)
    weak[17] = 1e-6
    matrix, factor = torch.diag(weak), torch.diag(weak.sqrt())
    assert condition_estimate(matrix, factor) == pytest.approx(1e6, rel=1e-12)
    monkeypatch.setattr(condition, "MOST_COLUMNS", 0)
    assert condition_estimate(matrix, factor) < 1e6 / ESTIMATE_MARGIN
