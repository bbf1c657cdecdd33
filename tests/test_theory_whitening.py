"""Whitening: the factor, its rank and condition number, the ridge, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from errors import refused
from hypothesis import given
from hypothesis import strategies as st
from oracles import assert_close, condition_number, exact, inverse, rounded, tolerance
from strategies import MAX_CONDITION, SecondMomentCase, rank_deficient_second_moments, second_moments

from ks_core.errors import InputError, RankDeficientError
from ks_core.theory.superposition import cosines
from ks_core.theory.whitening import Whitening, whiten


@given(second_moments())
def test_whitening_factor_multiplies_back(case: SecondMomentCase) -> None:
    factor = whiten(case.matrix).factor
    assert_close(factor @ factor.T, case.matrix, tolerance(1.0, case.dim) * float(case.eigenvalues[0]))
    assert_close(factor.triu(1), torch.zeros_like(factor), 0.0)


@given(second_moments())
def test_whitened_second_moment_is_the_identity(case: SecondMomentCase) -> None:
    """A C Aᵀ = I: the columns of C^½ are keys whose second moment is C."""
    rows = whiten(case.matrix).whiten(case.root.T)
    identity = torch.eye(case.dim, dtype=torch.float64)
    assert_close(rows.T @ rows, identity, 2 * tolerance(case.condition_number, case.dim))


@given(second_moments())
def test_whitening_solve_multiplies_by_the_exact_inverse(case: SecondMomentCase) -> None:
    expected = rounded(inverse(exact(case.matrix)))
    allowed = tolerance(case.condition_number, case.dim) / float(case.eigenvalues[-1])
    assert_close(whiten(case.matrix).solve(torch.eye(case.dim)), expected, allowed)


@given(second_moments())
def test_whitening_reports_full_rank_and_the_condition_number(case: SecondMomentCase) -> None:
    whitening = whiten(case.matrix)
    assert (whitening.rank, whitening.dim, whitening.ridge) == (case.dim, case.dim, 0.0)
    true = condition_number(case.matrix)
    # LAPACK's estimate is a lower bound, within a factor of 3 in practice; between κ₂ and d κ₂ the exact one lies.
    assert true / 3 <= whitening.condition_number <= true * (1 + tolerance(MAX_CONDITION, case.dim))


@given(rank_deficient_second_moments())
def test_rank_deficiency_is_reported_with_its_rank(drawn: tuple[torch.Tensor, int]) -> None:
    matrix, rank = drawn
    silent = int((matrix.diagonal() == 0).sum())
    if 0 < rank == len(matrix) - silent:  # all that is missing are neurons that never fire
        assert (whiten(matrix).rank, whiten(matrix).silent) == (rank, silent)
        return
    with refused(RankDeficientError, what=f"rank {rank}", got=f"d_key={len(matrix)}", remedy=("more text", "ridge")):
        whiten(matrix)


@st.composite
def with_silent_neurons(draw: st.DrawFn) -> tuple[SecondMomentCase, torch.Tensor, torch.Tensor]:
    """A second moment, which of more neurons fire (bool), and the second moment of all of them."""
    case = draw(second_moments())
    fires = torch.tensor(draw(st.permutations([True] * case.dim + [False] * draw(st.integers(1, 3)))))
    whole = torch.zeros(len(fires), len(fires), dtype=torch.float64)
    whole[fires.nonzero(), fires.nonzero().T] = case.matrix
    return case, fires, whole


@given(with_silent_neurons())
def test_neurons_that_never_fire_are_left_out_and_counted(drawn) -> None:
    case, fires, matrix = drawn
    keys = torch.zeros(case.dim, len(fires), dtype=torch.float64)
    keys[:, fires] = case.root
    whitening, without = whiten(matrix), whiten(case.matrix)
    assert (whitening.silent, whitening.rank, whitening.dim) == (len(fires) - case.dim, case.dim, len(fires))
    assert torch.equal(whitening.support, fires)
    assert torch.equal(whitening.whiten(keys), without.whiten(case.root))
    for found, expected in (
        (whitening.solve(keys), without.solve(case.root)),
        (whitening.unwhiten(case.root), without.unwhiten(case.root)),
        (whitening.directions(case.root), without.directions(case.root)),
    ):
        assert torch.equal(found[:, fires], expected)
        assert not found[:, ~fires].any()
    assert whitening.length(keys) == pytest.approx(without.length(case.root), rel=1e-12)


@given(with_silent_neurons(), st.sampled_from([1e-6, 1.0]))
def test_a_key_that_uses_a_silent_neuron_needs_a_ridge(drawn, size: float) -> None:
    _, fires, matrix = drawn
    key = torch.ones(1, len(fires), dtype=torch.float64)
    key[:, ~fires] = size
    whitening = whiten(matrix, name="the second moment of layer 3")
    for ask in (whitening.whiten, whitening.solve):
        with refused(RankDeficientError, what="1 keys", got=("row 0", "layer 3"), remedy=("more text", "ridge")):
            ask(key)
    assert whiten(matrix, ridge=0.1).whiten(key).shape == key.shape
    key[:, ~fires] = 1e-200  # no digit of any product hangs on it
    assert torch.isfinite(whitening.whiten(key)).all()


def test_a_silent_neuron_that_correlates_is_refused() -> None:
    with pytest.raises(InputError, match=r"has 0 at \[1, 1\] and other numbers beside it"):
        whiten([[1.0, 1e-4], [1e-4, 0.0]])


def test_errors_name_what_was_factored() -> None:
    for matrix, count in (([[1.0, 1.0], [1.0, 1.0]], None), ([[1.0, 0.5], [0.5, 1.0]], 1), ([[0.0]], None)):
        with pytest.raises(RankDeficientError, match=r"^the second moment of layer 7 "):
            whiten(matrix, count=count, name="the second moment of layer 7")


@given(rank_deficient_second_moments(), st.sampled_from([1e-6, 0.1, 10.0]))
def test_ridge_adds_mean_eigenvalues_and_keeps_the_rank_of_c(drawn: tuple[torch.Tensor, int], ridge: float) -> None:
    matrix, rank = drawn
    whitening = whiten(matrix, ridge=ridge)
    assert (whitening.rank, whitening.ridge) == (rank, ridge)
    expected = matrix + ridge * matrix.trace() / len(matrix) * torch.eye(len(matrix), dtype=torch.float64)
    assert_close(whitening.factor @ whitening.factor.T, expected, tolerance(1.0, len(matrix)) * float(expected.trace()))


@given(second_moments(), st.sampled_from([0.0, 0.1]), st.sampled_from([1e-4, 7.0, 1e4]))
def test_ridge_does_not_see_the_scale_of_c(case: SecondMomentCase, ridge: float, scale: float) -> None:
    keys = case.root
    first, second = (cosines(whiten(c, ridge=ridge).whiten(keys)) for c in (case.matrix, scale * case.matrix))
    assert_close(first, second, 2 * tolerance(case.condition_number, case.dim))


@given(second_moments())
def test_large_ridge_undoes_the_whitening(case: SecondMomentCase) -> None:
    """C + r I → r I, in which whitened cosines are activation cosines, to first order in ‖C‖ / r ≤ d / ridge."""
    whitened = cosines(whiten(case.matrix, ridge=1e8).whiten(case.root))
    assert_close(whitened, cosines(case.root), 2 * case.dim / 1e8 + tolerance(1.0, case.dim))


def test_too_small_a_ridge_is_refused() -> None:
    with refused(RankDeficientError, what=("rank 1", "d_key=2"), got="ridge=1e-18", remedy="a larger"):
        whiten([[1.0, 0.0], [0.0, 0.0]], ridge=1e-18)


def test_too_few_tokens_are_named_before_anything_is_factored() -> None:
    with pytest.raises(RankDeficientError, match=r"saw 2 tokens but has d_key=3, .* at least 3 tokens"):
        whiten(np.eye(3), count=2)
    assert whiten(np.eye(3), count=3).rank == 3
    assert whiten(np.eye(3), count=2, ridge=0.1).rank == 3


def test_numpy_float32_and_torch_give_the_same() -> None:
    matrix = np.array([[2.0, 1.0], [1.0, 2.0]], dtype=np.float32)
    factors = [whiten(m).factor for m in (matrix, torch.from_numpy(matrix), matrix.tolist())]
    assert all(torch.equal(factor, factors[0]) and factor.dtype == torch.float64 for factor in factors)


def test_rounding_of_float32_sums_is_accepted() -> None:
    """A statistics file summed in float32 is neither quite symmetric nor quite positive where it lacks tokens."""
    keys = np.random.default_rng(0).standard_normal((20, 30)).astype(np.float32)
    summed = np.zeros((30, 30), dtype=np.float32)
    for key in keys * 0.1:
        summed += np.outer(key, key)
    wobble = 1e-7 * np.random.default_rng(1).standard_normal((30, 30))
    with pytest.raises(RankDeficientError, match="numerical rank"):
        whiten(summed + wobble * np.sqrt(np.outer(np.diag(summed), np.diag(summed))))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1.0, 0.0]], r"shape \(1, 2\); expected a square matrix"),
        ([[1.0, 0.5], [0.0, 1.0]], r"not symmetric: entry \[0, 1\] is 0.5 but \[1, 0\] is 0"),
        ([[1.0, 2.0], [2.0, 1.0]], "eigenvalue -1 "),
        ([[1.0, 0.0], [0.0, -1.0]], "-1 on its diagonal"),
        ([[1.0, np.nan], [np.nan, 1.0]], "2 NaN or infinite"),
        ([[1.0, 0.0], [0.0, np.inf]], "1 NaN or infinite"),
    ],
)
def test_what_is_no_second_moment_is_refused(matrix: list[list[float]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        whiten(matrix)


def test_asymmetry_is_judged_beside_its_own_row_and_column() -> None:
    """One huge diagonal entry, as outlier neurons have, must not hide a wrong entry among the small ones."""
    matrix = np.diag([1e12, 1.0, 1.0])
    matrix[1, 2] = 0.5
    with pytest.raises(InputError, match=r"entry \[1, 2\] is 0.5 but \[2, 1\] is 0"):
        whiten(matrix)


@pytest.mark.parametrize("ridge", [-0.1, float("nan"), float("inf")])
def test_bad_ridge_is_refused(ridge: float) -> None:
    with pytest.raises(InputError, match="ridge is"):
        whiten(np.eye(2), ridge=ridge)


@pytest.mark.parametrize("method", [Whitening.whiten, Whitening.solve])
def test_keys_of_another_layer_are_refused(method: object) -> None:
    assert callable(method)
    with refused(InputError, what="keys", got=("d_key=3", "d_key=2"), remedy="collect both"):
        method(whiten(np.eye(2)), np.ones((4, 3)))
