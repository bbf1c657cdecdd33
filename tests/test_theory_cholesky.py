"""Factors of positive definite matrices: when are they singular, and how nearly?"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import SecondMomentCase, orthogonal_matrices, second_moments

from ks_core.errors import KsError
from ks_core.theory.cholesky import EPS, ESTIMATE_MARGIN, CholeskyFactor, Singular, cholesky_factor, numerical_rank
from ks_core.theory.whitening import whiten


@given(second_moments())
def test_factor_exists_for_every_well_conditioned_matrix(case: SecondMomentCase) -> None:
    assert cholesky_factor(case.matrix, terms=case.dim).factor is not None


@given(st.integers(2, 6).flatmap(orthogonal_matrices), st.floats(0.0, 0.9))
def test_singular_matrix_that_cholesky_lets_pass_is_refused(basis: torch.Tensor, below: float) -> None:
    """A weakest direction under eps · terms · λ_max is refused also where rounding leaves its pivot positive."""
    eigenvalues = torch.ones(len(basis), dtype=torch.float64)
    eigenvalues[-1] = below * EPS * len(basis)
    matrix = (basis * eigenvalues) @ basis.T
    # Forming the matrix moves its eigenvalues by up to eps · width; this threshold lies well above that.
    terms = 16 * len(basis)
    assert isinstance(cholesky_factor((matrix + matrix.T) / 2, terms=terms), Singular)


@pytest.mark.parametrize("ratio", [0.5, 0.99, 1.01, 2.0, 5.0, 50.0])
def test_rank_threshold_decides_on_both_sides(ratio: float) -> None:
    """Just above eps · terms · λ_max a matrix is regular, though the condition estimate alone cannot say so."""
    terms = 100
    matrix = torch.diag(torch.tensor([1.0, ratio * EPS * terms], dtype=torch.float64))
    factored = cholesky_factor(matrix, terms=terms)
    assert isinstance(factored, CholeskyFactor if ratio > 1 else Singular)
    assert numerical_rank(matrix.diagonal(), terms=terms) == (2 if ratio > 1 else 1)
    if isinstance(factored, CholeskyFactor):
        assert factored.condition_number == pytest.approx(1 / (ratio * EPS * terms), rel=1e-12)


def test_condition_number_is_that_of_the_1_norm() -> None:
    """[[2, 1], [1, 1]] has the inverse [[1, −1], [−1, 2]]: both have largest column sum 3."""
    factored = cholesky_factor(torch.tensor([[2.0, 1.0], [1.0, 1.0]], dtype=torch.float64), terms=2)
    assert isinstance(factored, CholeskyFactor)
    assert factored.condition_number == pytest.approx(9.0, rel=1e-12)


def test_estimate_far_from_the_threshold_spares_the_eigenvalues(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("eigenvalues were computed")

    monkeypatch.setattr(torch.linalg, "eigvalsh", refuse)
    far = 2 * ESTIMATE_MARGIN * EPS * 4
    assert cholesky_factor(torch.diag(torch.tensor([1.0, far], dtype=torch.float64)), terms=4).factor is not None
    with pytest.raises(RuntimeError, match="eigenvalues were computed"):
        cholesky_factor(torch.diag(torch.tensor([1.0, far / 4], dtype=torch.float64)), terms=4)


def test_indefinite_and_zero_matrices_have_no_factor() -> None:
    assert cholesky_factor(torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=torch.float64), terms=2) == Singular(
        rank=1, lowest=pytest.approx(-1.0)
    )
    assert cholesky_factor(torch.zeros(2, 2, dtype=torch.float64), terms=2) == Singular(rank=0, lowest=0.0)
    assert numerical_rank(torch.zeros(2, dtype=torch.float64), terms=2) == 0
    assert numerical_rank(torch.tensor([-1.0, -2.0], dtype=torch.float64), terms=2) == 0


@pytest.mark.parametrize("lowest", [0.0, -1.0])
def test_eigenvalues_of_a_singular_matrix_are_computed_once(lowest: float, monkeypatch: pytest.MonkeyPatch) -> None:
    computed, eigvalsh = [], torch.linalg.eigvalsh
    monkeypatch.setattr(torch.linalg, "eigvalsh", lambda matrix: computed.append(1) or eigvalsh(matrix))
    with pytest.raises(KsError):
        whiten(torch.tensor([[1.0, 1.0 - lowest], [1.0 - lowest, 1.0]], dtype=torch.float64))
    assert len(computed) == 1
