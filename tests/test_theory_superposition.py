"""Superposition P, the Gram matrix Q, and cosines."""

from __future__ import annotations

import math

import numpy as np
import pytest
import theory_laws as laws
import torch
from errors import refused
from hypothesis import given
from hypothesis import strategies as st
from oracles import assert_close, tolerance
from strategies import EditProblem, edit_problems, invertible_matrices
from theory_laws import Theory

from ks_core.errors import InputError
from ks_core.theory.editing import joint_edit, lifelong_edits
from ks_core.theory.superposition import cosines, gram, superposition
from ks_core.theory.whitening import whiten

PACKAGE = Theory()


@given(edit_problems())
def test_superposition_equals_the_double_loop(problem: EditProblem) -> None:
    laws.superposition_is_the_formula(PACKAGE, problem)


@given(edit_problems())
def test_superposition_has_a_unit_diagonal(problem: EditProblem) -> None:
    laws.superposition_has_a_unit_diagonal(PACKAGE, problem)


@given(edit_problems())
def test_superposition_times_its_transpose_is_cos_squared(problem: EditProblem) -> None:
    laws.superposition_times_its_transpose_is_cos_squared(PACKAGE, problem)


@given(edit_problems())
def test_superposition_over_its_transpose_is_the_ratio_of_norms(problem: EditProblem) -> None:
    laws.superposition_over_its_transpose_is_the_ratio_of_norms(PACKAGE, problem)


@given(edit_problems())
def test_superposition_ignores_the_scale_of_the_second_moment(problem: EditProblem) -> None:
    laws.superposition_ignores_the_scale_of_the_second_moment(PACKAGE, problem)


@given(edit_problems())
def test_superposition_ignores_a_common_scale_of_the_keys(problem: EditProblem) -> None:
    laws.superposition_ignores_a_common_scale_of_the_keys(PACKAGE, problem)


@given(edit_problems(), st.data())
def test_superposition_ignores_the_coordinates(problem: EditProblem, data: st.DataObject) -> None:
    laws.superposition_ignores_the_coordinates(PACKAGE, problem, data.draw(invertible_matrices(problem.moment.dim)))


@given(edit_problems())
def test_gram_is_the_same_for_every_whitening(problem: EditProblem) -> None:
    laws.every_whitening_gives_the_same_gram(PACKAGE, problem)


@given(edit_problems(("whitened_orthogonal",)))
def test_superposition_of_orthogonal_keys_is_the_identity(problem: EditProblem) -> None:
    matrix = superposition(whiten(problem.moment.matrix).whiten(problem.keys))
    assert_close(matrix, torch.eye(len(matrix), dtype=torch.float64), laws.entrywise(problem, problem.keys))


def test_superposition_may_exceed_one() -> None:
    assert superposition([[1.0, 0.0], [3.0, 4.0]])[0, 1] == 3.0


def test_superposition_to_others_keeps_editors_in_rows() -> None:
    matrix = superposition([[1.0, 0.0], [0.0, 2.0]], [[5.0, 6.0], [7.0, 8.0], [0.0, 1.0]])
    assert matrix.tolist() == [[5.0, 7.0, 0.0], [3.0, 4.0, 0.5]]


@given(edit_problems())
def test_gram_equals_the_double_loop(problem: EditProblem) -> None:
    keys = problem.keys
    expected = torch.tensor([[math.fsum((a * b).tolist()) for b in keys] for a in keys], dtype=torch.float64)
    norms = torch.linalg.vector_norm(keys, dim=1)
    assert_close(gram(keys), expected, tolerance(1.0, problem.moment.dim) * torch.outer(norms, norms))


@given(edit_problems())
def test_cosines_equal_the_double_loop_and_stay_in_range(problem: EditProblem) -> None:
    keys, matrix = problem.keys, cosines(problem.keys)
    expected = [
        [
            math.fsum((a * b).tolist()) / math.sqrt(math.fsum((a * a).tolist()) * math.fsum((b * b).tolist()))
            for b in keys
        ]
        for a in keys
    ]
    assert_close(matrix, torch.tensor(expected, dtype=torch.float64), tolerance(1.0, problem.moment.dim))
    assert_close(matrix.diagonal(), torch.ones(len(keys), dtype=torch.float64), 0.0)
    assert float(matrix.abs().max()) <= 1.0
    assert not matrix.arccos().isnan().any()


def test_cosines_of_parallel_rows_stay_in_range() -> None:
    """Without clipping, multiples of one row give 1 + eps in one of these pairs, and its angle is not a number."""
    row = np.random.default_rng(0).standard_normal(300)
    rows = np.outer(np.concatenate([np.arange(1, 60), -np.arange(1, 60)]), row)
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert np.abs(units @ units.T).max() > 1  # the danger is real
    matrix = cosines(rows)
    assert float(matrix.max()) == 1.0
    assert float(matrix.min()) == -1.0
    assert not matrix.arccos().isnan().any()


@pytest.mark.parametrize("function", [superposition, cosines])
def test_zero_key_is_refused_by_row(function: object) -> None:
    assert callable(function)
    with pytest.raises(InputError, match=r"row 1 has zero norm \(2 such rows of 3\)"):
        function([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])


def test_superposition_refuses_two_widths() -> None:
    with refused(InputError, what="width", got=("2", "1"), expected="the same"):
        superposition([[1.0, 0.0]], [[1.0]])


@given(edit_problems(), st.lists(st.integers(-900, 900), min_size=12, max_size=12))
def test_shares_and_cosines_of_keys_of_any_length_are_exact(problem: EditProblem, powers: list[int]) -> None:
    """A power of two changes no digit, so every bit must stay, though squares of such keys are beyond float64."""
    lengths = torch.tensor([2.0**power for power in powers], dtype=torch.float64)
    rows, others = problem.keys, problem.others
    one, two = lengths[0], lengths[1]
    ratio = two / one
    if not 2.0**-900 < ratio < 2.0**900:
        two, ratio = one, one / one
    assert torch.equal(superposition(one * rows), superposition(rows))
    assert torch.equal(superposition(one * rows, two * others), ratio * superposition(rows, others))
    assert torch.equal(cosines(lengths[: len(rows), None] * rows), cosines(rows))


@pytest.mark.parametrize("length", [1e200, 1e-200])
def test_keys_of_any_length_are_edited_or_refused_but_never_nan(length: float) -> None:
    keys = length * torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    whitening = whiten([[2.0, 0.5], [0.5, 1.0]])
    expected = superposition(whitening.whiten(keys / length))
    torch.testing.assert_close(superposition(whitening.whiten(keys)), expected, rtol=1e-12, atol=1e-12)
    for make in (
        lambda: gram(keys / length * 1e200),
        lambda: lifelong_edits([[0.0, 0.0]], keys, [[1.0], [2.0]], whitening),
        lambda: joint_edit([[0.0, 0.0]], keys, [[1.0], [2.0]], whitening),
    ):
        with pytest.raises(InputError, match=r"leaves the range of float64|span only"):
            make()


def test_shares_beyond_float64_are_refused() -> None:
    with pytest.raises(InputError, match="superposition leaves the range of float64"):
        superposition([[1e-200, 0.0]], [[1e200, 0.0]])
