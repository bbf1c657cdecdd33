"""The laws of the theory as functions of an implementation, so that a faulty one can be held against them too.

Those of what an edited weight does are the conformance suite's; here are the ones that take more than the weight:
residuals, prefixes of a stream, predictions, P. `theory_editors.py` makes editors for that suite of an implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from oracles import (
    assert_close,
    lifelong_step_by_step,
    pca_whitening,
    superposition_by_loops,
    tolerance,
    zca_whitening,
)
from strategies import EditProblem
from torch import Tensor

from ks_core.conformance.tolerances import rounding, value_scale, whitened_norms
from ks_core.theory import editing, interference, superposition, whitening
from ks_core.theory.editing import Edit, LifelongEdits


@dataclass(frozen=True)
class Theory:
    """An implementation of the theory: the package's own unless a part is replaced."""

    whiten: Callable[..., Any] = whitening.whiten
    superposition: Callable[..., Tensor] = superposition.superposition
    single_edit: Callable[..., Any] = editing.single_edit
    lifelong_edits: Callable[..., Any] = editing.lifelong_edits
    joint_edit: Callable[..., Any] = editing.joint_edit
    predicted_original: Callable[..., Tensor] = interference.predicted_original
    predicted_earlier: Callable[..., Tensor] = interference.predicted_earlier

    def lifelong(self, problem: EditProblem) -> Any:
        return self.lifelong_edits(problem.weight, problem.keys, problem.values, self.whiten(problem.moment.matrix))


def values_at(weight: Tensor, keys: Tensor) -> Tensor:
    return keys @ weight.T


# --- lifelong edits ---------------------------------------------------------------------------------------------------


def residuals_predict_interference_at_every_prefix(theory: Theory, problem: EditProblem) -> None:
    """Σ_{i≤n} P[i, j] δ_i, with the δ_i that the stream reports, is the change at key j after its first n edits."""
    stream, whitened = theory.lifelong(problem), theory.whiten(problem.moment.matrix)
    shares = theory.superposition(whitened.whiten(problem.keys), whitened.whiten(problem.others))
    for count in range(1, len(problem.keys) + 1):
        predicted = theory.predicted_original(shares[:count], stream.residuals[:count])
        after = first(stream, count).apply(problem.weight)
        measured = interference.measured_original(problem.weight, after, problem.others)
        assert_close(predicted, measured, rounding(problem) * value_scale(problem))


def earlier_interference_is_the_predicted_sum(theory: Theory, problem: EditProblem) -> None:
    """Δ_e[j] = Σ_{i>j} P[i, j] δ_i equals what has become of the value that edit j wrote."""
    stream, whitened = theory.lifelong(problem), theory.whiten(problem.moment.matrix)
    shares = theory.superposition(whitened.whiten(problem.keys))
    predicted = theory.predicted_earlier(shares, stream.residuals)
    measured = interference.measured_earlier(stream.edit.apply(problem.weight), problem.keys, problem.values)
    assert_close(predicted, measured, rounding(problem) * value_scale(problem))
    assert_close(predicted[-1], torch.zeros_like(predicted[-1]), 0.0)


def exactness(problem: EditProblem) -> float:
    """Relative error with which an edit holds: √κ for κ, as ‖C⁻¹a‖ ‖b‖ ≤ √κ(C) ‖L⁻¹a‖ ‖L⁻¹b‖ bounds each product."""
    return tolerance(problem.moment.condition_number**0.5, problem.moment.dim, len(problem.keys))


def first(stream: LifelongEdits, count: int) -> Edit:
    """The first edits of a stream, W_count − W_0: column i of its left and row i of its right factor are edit i."""
    return Edit(stream.edit.left[:, :count], stream.edit.right[:count])


def triangular_solve_is_step_by_step(theory: Theory, problem: EditProblem) -> None:
    """All W_i and all residuals equal those of editing the weight once for each key."""
    weights, residuals = lifelong_step_by_step(problem.weight, problem.keys, problem.values, problem.moment.matrix)
    stream = theory.lifelong(problem)
    allowed = rounding(problem) * value_scale(problem)
    assert_close(stream.residuals, residuals, allowed)
    everywhere = problem.moment.root  # keys as long as the text's: compares weights in units of values
    for count, expected in enumerate(weights):
        actual = first(stream, count).apply(problem.weight)
        assert_close(values_at(actual, everywhere), values_at(expected, everywhere), allowed)


def every_edit_is_exact_when_made(theory: Theory, problem: EditProblem) -> None:
    """W_i k_i = v_i for every prefix of the stream."""
    stream = theory.lifelong(problem)
    for i, (key, value) in enumerate(zip(problem.keys, problem.values, strict=True), start=1):
        weight = first(stream, i).apply(problem.weight)
        assert_close(weight @ key, value, exactness(problem) * value_scale(problem))


# --- superposition ----------------------------------------------------------------------------------------------------


def superposition_is_the_formula(theory: Theory, problem: EditProblem) -> None:
    """P equals the double loop over the explicit inverse, among the editors and from them to others."""
    whitened = theory.whiten(problem.moment.matrix)
    keys, others, matrix = problem.keys, problem.others, problem.moment.matrix
    among = theory.superposition(whitened.whiten(keys))
    assert_close(among, superposition_by_loops(matrix, keys), entrywise(problem, keys))
    across = theory.superposition(whitened.whiten(keys), whitened.whiten(others))
    assert_close(across, superposition_by_loops(matrix, keys, others), entrywise(problem, others))


def superposition_has_a_unit_diagonal(theory: Theory, problem: EditProblem) -> None:
    """P[i, i] = 1 exactly."""
    matrix = theory.superposition(theory.whiten(problem.moment.matrix).whiten(problem.keys))
    assert_close(matrix.diagonal(), torch.ones(len(matrix), dtype=torch.float64), 0.0)


def superposition_times_its_transpose_is_cos_squared(theory: Theory, problem: EditProblem) -> None:
    """P[i, j] P[j, i] = cos² of the whitened keys, at most 1."""
    rows = theory.whiten(problem.moment.matrix).whiten(problem.keys)
    matrix = theory.superposition(rows)
    # Rounding of d-term sums; the whitened rows are given, so the condition number of C does not enter.
    allowed = tolerance(1.0, problem.moment.dim)
    assert_close(matrix * matrix.T, superposition.cosines(rows).square(), allowed)
    assert float((matrix * matrix.T).max()) <= 1 + allowed


def superposition_over_its_transpose_is_the_ratio_of_norms(theory: Theory, problem: EditProblem) -> None:
    """P[i, j] d_i = P[j, i] d_j with d_i = k_iᵀ C⁻¹ k_i."""
    rows = theory.whiten(problem.moment.matrix).whiten(problem.keys)
    matrix, norms_squared = theory.superposition(rows), rows.square().sum(dim=1)
    products = matrix * norms_squared[:, None]
    assert_close(products, products.T, tolerance(1.0, problem.moment.dim) * float(norms_squared.max()))


def superposition_ignores_the_scale_of_the_second_moment(theory: Theory, problem: EditProblem) -> None:
    """P is the same for C and a C."""
    matrix, keys = problem.moment.matrix, problem.keys
    expected = theory.superposition(theory.whiten(matrix).whiten(keys))
    for scale in (1e-5, 3.0, 1e5):
        actual = theory.superposition(theory.whiten(scale * matrix).whiten(keys))
        assert_close(actual, expected, 2 * entrywise(problem, keys))


def superposition_ignores_a_common_scale_of_the_keys(theory: Theory, problem: EditProblem) -> None:
    """P is the same for K and a K, negative a included."""
    whitened = theory.whiten(problem.moment.matrix)
    expected = theory.superposition(whitened.whiten(problem.keys))
    for scale in (-1.0, 1e-5, 1e5):
        actual = theory.superposition(whitened.whiten(scale * problem.keys))
        assert_close(actual, expected, 2 * entrywise(problem, problem.keys))


def superposition_ignores_the_coordinates(theory: Theory, problem: EditProblem, change: Tensor) -> None:
    """P is the same for k → A k, C → A C Aᵀ with any invertible A."""
    matrix, keys = problem.moment.matrix, problem.keys
    moved = change @ matrix @ change.T
    expected = theory.superposition(theory.whiten(matrix).whiten(keys))
    actual = theory.superposition(theory.whiten((moved + moved.T) / 2).whiten(keys @ change.T))
    # κ(A C Aᵀ) ≤ κ(A)² κ(C); forming it rounds once more.
    assert_close(actual, expected, 4 * float(torch.linalg.cond(change)) ** 2 * entrywise(problem, keys))


def every_whitening_gives_the_same_gram(theory: Theory, problem: EditProblem) -> None:
    """Cholesky, PCA and ZCA whitening differ by a rotation, which inner products do not see."""
    matrix, keys = problem.moment.matrix, problem.keys
    rows = theory.whiten(matrix).whiten(keys)
    norms = whitened_norms(problem, keys)
    allowed = 2 * tolerance(problem.moment.condition_number, problem.moment.dim) * torch.outer(norms, norms)
    for other in (pca_whitening(matrix), zca_whitening(matrix)):
        rotated = keys @ other.T
        assert_close(rows @ rows.T, rotated @ rotated.T, allowed)


def entrywise(problem: EditProblem, disturbed: Tensor) -> Tensor:
    """Rounding of P[i, j]: relative to ‖a_i‖ ‖b_j‖ / ‖a_i‖², with as much again from the norm it is divided by."""
    editors = whitened_norms(problem, problem.keys)
    relative = tolerance(problem.moment.condition_number, problem.moment.dim)
    return 2 * relative * whitened_norms(problem, disturbed)[None, :] / editors[:, None]
