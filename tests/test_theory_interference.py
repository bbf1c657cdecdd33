"""Predicted interference equals measured interference, and how far apart two matrices are."""

from __future__ import annotations

import numpy as np
import pytest
import theory_laws as laws
import torch
from errors import refused
from hypothesis import given
from oracles import assert_close
from strategies import EditProblem, edit_problems
from theory_laws import Theory

from ks_core.errors import InputError
from ks_core.theory.editing import Edit
from ks_core.theory.interference import (
    measured_earlier,
    measured_original,
    predicted_at_edits,
    predicted_earlier,
    predicted_original,
    relative_difference,
)
from ks_core.theory.superposition import superposition
from ks_core.theory.whitening import whiten

PACKAGE = Theory()


@given(edit_problems())
def test_residuals_predict_interference_at_every_prefix(problem: EditProblem) -> None:
    laws.residuals_predict_interference_at_every_prefix(PACKAGE, problem)


@given(edit_problems())
def test_earlier_interference_is_the_predicted_sum(problem: EditProblem) -> None:
    laws.earlier_interference_is_the_predicted_sum(PACKAGE, problem)


@given(edit_problems(("whitened_orthogonal",)))
def test_prediction_for_orthogonal_keys_is_zero(problem: EditProblem) -> None:
    whitening, stream = whiten(problem.moment.matrix), PACKAGE.lifelong(problem)
    editors, others = whitening.whiten(problem.keys), whitening.whiten(problem.others)
    allowed = laws.rounding(problem) * laws.value_scale(problem)
    original = predicted_original(superposition(editors, others), stream.residuals)
    earlier = predicted_earlier(superposition(editors), stream.residuals)
    assert_close(original, torch.zeros_like(original), allowed)
    assert_close(earlier, torch.zeros_like(earlier), allowed)


@given(edit_problems())
def test_lifelong_edits_write_their_residuals(problem: EditProblem) -> None:
    """left_i ⟨right_i, k_i⟩ = δ_i: divided by kᵀC⁻¹k and multiplied with it again."""
    stream = PACKAGE.lifelong(problem)
    bounds = laws.exactness(problem) * torch.linalg.vector_norm(stream.residuals, dim=1, keepdim=True)
    assert_close(stream.edit.written(problem.keys), stream.residuals, bounds)


@given(edit_problems())
def test_prediction_at_lifelong_edits_is_that_of_the_later_ones(problem: EditProblem) -> None:
    """Σ_{i≤j} P[i, j] δ_i = v_j − W_0 k_j, so that only i > j is left."""
    stream, shares = PACKAGE.lifelong(problem), superposition(whiten(problem.moment.matrix).whiten(problem.keys))
    wanted = problem.values - laws.values_at(problem.weight, problem.keys)
    actual = predicted_at_edits(shares, stream.edit.written(problem.keys), wanted)
    expected = predicted_earlier(shares, stream.residuals)
    assert_close(actual, expected, laws.rounding(problem) * laws.value_scale(problem))


def test_prediction_by_hand() -> None:
    """Three edits, two other keys, one-dimensional values: the sums of the paper, written out."""
    shares = [[1.0, 0.5, 0.25], [2.0, 1.0, 0.5], [3.0, 4.0, 1.0]]
    residuals = [[10.0], [100.0], [1000.0]]
    assert predicted_earlier(shares, residuals).tolist() == [[3200.0], [4000.0], [0.0]]
    to_others = [[0.5, 1.0], [0.25, 0.0], [0.125, 2.0]]
    assert predicted_original(to_others, residuals).tolist() == [[155.0], [2010.0]]


def test_prediction_at_edits_by_hand() -> None:
    shares, written, wanted = [[1.0, 0.5], [2.0, 1.0]], [[10.0], [100.0]], [[9.0], [8.0]]
    assert predicted_at_edits(shares, written, wanted).tolist() == [[201.0], [97.0]]


def test_written_by_hand() -> None:
    """Two edits, two-dimensional values: ⟨right_i, k_i⟩ is 2 and −1."""
    edit = Edit(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    assert edit.written([[0.5, 1.5, 7.0], [5.0, 5.0, -1.0]]).tolist() == [[2.0, 6.0], [-2.0, -4.0]]


def test_measurement_by_hand() -> None:
    before, after, keys = [[1.0, 0.0]], [[3.0, 1.0]], [[1.0, 1.0], [0.0, 2.0]]
    assert measured_original(before, after, keys).tolist() == [[3.0], [2.0]]
    assert measured_earlier(after, keys, [[4.0], [5.0]]).tolist() == [[0.0], [-3.0]]


def test_relative_difference_is_symmetric_and_bounded() -> None:
    one, other, zero = [[3.0], [4.0]], [[0.0], [10.0]], [[0.0], [0.0]]
    assert relative_difference(one, other) == relative_difference(other, one) == np.sqrt(9 + 36) / 10
    assert relative_difference(one, one) == 0
    assert relative_difference(zero, zero) == 0
    assert relative_difference(one, zero) == relative_difference(zero, one) == 1
    assert relative_difference(one, [[-3.0], [-4.0]]) == 2


def test_interference_refuses_shapes_that_do_not_fit() -> None:
    with refused(InputError, what="superposition", got=("2 rows", "1 residuals")):
        predicted_original(np.eye(2), [[1.0]])
    with refused(InputError, what="superposition", got="(1, 2)", expected="(n, n)"):
        predicted_earlier([[1.0, 2.0]], [[1.0]])
    with refused(InputError, what="weight_before", got=("(1, 2)", "weight_after", "(2, 1)")):
        measured_original([[1.0, 2.0]], [[1.0], [2.0]], [[1.0, 1.0]])
    with pytest.raises(InputError, match="transpose the weight"):
        measured_original(np.ones((2, 3)), np.zeros((2, 3)), [[1.0, 1.0]])
    with refused(InputError, what="values", got="(1, 2)", expected="(1, 1)"):
        measured_earlier([[1.0]], [[1.0]], [[1.0, 2.0]])
    with refused(InputError, what="predicted", got=("(1, 1)", "measured", "(2, 1)")):
        relative_difference([[1.0]], [[1.0], [2.0]])
    with refused(InputError, what="wanted", got="(2, 2)", expected="(2, 1)"):
        predicted_at_edits(np.eye(2), np.ones((2, 1)), np.ones((2, 2)))
    with refused(InputError, what="superposition", got=("2 rows", "1 residuals")):
        predicted_at_edits(np.eye(2), [[1.0]], [[1.0]])
    with refused(InputError, what="keys", got="(1, 3)", expected="(2, 3)"):
        Edit(torch.zeros(1, 2), torch.zeros(2, 3)).written(np.ones((1, 3)))
