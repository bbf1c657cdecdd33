"""Methods of lifelong editing: their defining laws, what they promise to minimise, and that they keep no state.

The laws are functions of an implementation, so that `test_theory_methods_faults.py` can hold a faulty one against them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import theory_laws as laws
import torch
from hypothesis import given
from hypothesis import strategies as st
from methods_oracles import (
    METHODS,
    RIDGE,
    Methods,
    allowed,
    alphaedit_by_batches,
    dependence,
    first_edit,
    least_update_by_kkt,
    made,
    ridged_by_stacking,
    ridged_rounding,
    squeeze,
    start_size,
)
from oracles import assert_close, zca_whitening
from strategies import EditProblem, SecondMomentCase, edit_problems

from ks_core.theory import interference
from ks_core.theory.editing import lifelong_edits
from ks_core.theory.key_spaces import protect
from ks_core.theory.superposition import superposition
from ks_core.theory.whitening import whiten

PACKAGE = Methods()
INDEPENDENT = ("generic", "clustered", "whitened_orthogonal")


# --- every method -----------------------------------------------------------------------------------------------------


def interference_is_predicted(theory: Methods, problem: EditProblem, name: str = "protected_joint") -> None:
    """Δ_o = Σ_i P[i, j] written_i, and Δ_e the same sum less what was wanted, P in the method's own space."""
    method = theory.method(name, problem)
    edit = made(method, problem)
    after, rounding = edit.apply(problem.weight), allowed(problem, edit, method.space)
    written, editors = theory.written(edit, problem.keys), method.space.whiten(problem.keys)
    others = torch.cat([problem.others, problem.moment.root])
    predicted = interference.predicted_original(superposition(editors, method.space.whiten(others)), written)
    assert_close(predicted, interference.measured_original(problem.weight, after, others), rounding)
    wanted = problem.values - laws.values_at(problem.weight, problem.keys)
    predicted = theory.predicted_at_edits(superposition(editors), written, wanted)
    assert_close(predicted, interference.measured_earlier(after, problem.keys, problem.values), rounding)


@pytest.mark.parametrize("name", METHODS)
@given(edit_problems(INDEPENDENT, distinct=True))
def test_interference_of_every_method_is_predicted(name: str, problem: EditProblem) -> None:
    interference_is_predicted(PACKAGE, problem, name)


@pytest.mark.parametrize("name", ["sequential", "ridged"])
@given(edit_problems())
def test_interference_is_predicted_where_keys_repeat(name: str, problem: EditProblem) -> None:
    interference_is_predicted(PACKAGE, problem, name)


def methods_keep_no_state(
    theory: Methods, problem: EditProblem, name: str = "protected_joint", counts: Sequence[int] | None = None
) -> None:
    """Whatever was asked before, a prefix gets the bits that a fresh method gives it; nothing given is written to.

    Counts are the prefixes in the order that they are asked for; each, longest first, when left out.
    """
    arrays = (problem.moment.matrix, problem.weight, problem.keys, problem.values, problem.others)
    before = [array.numpy().tobytes() for array in arrays]
    method = theory.method(name, problem)
    for count in counts or range(len(problem.keys), 0, -1):
        prefix = replace(problem, keys=problem.keys[:count], values=problem.values[:count])
        used, fresh = made(method, prefix), made(theory.method(name, problem), prefix)
        assert_close(used.left, fresh.left, 0.0)
        assert_close(used.right, fresh.right, 0.0)
    assert [array.numpy().tobytes() for array in arrays] == before, "what was given has been written to"


@pytest.mark.parametrize("name", METHODS)
@given(edit_problems(INDEPENDENT, distinct=True), st.data())
def test_methods_keep_no_state(name: str, problem: EditProblem, data: st.DataObject) -> None:
    counts = data.draw(st.permutations(range(1, len(problem.keys) + 1)))
    methods_keep_no_state(PACKAGE, problem, name, counts)


# --- exact and least --------------------------------------------------------------------------------------------------


def every_edit_is_exact_when_made(theory: Methods, problem: EditProblem, name: str = "protected") -> None:
    """W_i k_i = v_i for every prefix of the stream."""
    method = theory.method(name, problem)
    for i, (key, value) in enumerate(zip(problem.keys, problem.values, strict=True), start=1):
        edit = method.edit(problem.weight, problem.keys[:i], problem.values[:i])
        assert_close(edit.apply(problem.weight) @ key, value, allowed(problem, edit, method.space))


def all_edits_are_exact_at_the_end(theory: Methods, problem: EditProblem, name: str = "protected_joint") -> None:
    """W_n k_i = v_i for all i."""
    method = theory.method(name, problem)
    edit = made(method, problem)
    rounding = allowed(problem, edit, method.space) * dependence(problem, constrained(problem, name))
    assert_close(laws.values_at(edit.apply(problem.weight), problem.keys), problem.values, rounding)


def the_update_is_the_least(theory: Methods, problem: EditProblem, name: str = "protected_joint") -> None:
    """Of all updates with these values, and with the protected ones as they were, none has a smaller ‖ΔW C^½‖.

    The minimum moves by the condition number of the constraints, and a solve with their Gram matrix costs its square.
    """
    protected = problem.others if name.startswith("protected") else None
    expected = least_update_by_kkt(problem, protected) @ problem.moment.root
    size = float(expected.norm()) + start_size(problem)
    rounding = laws.rounding(problem) * dependence(problem, constrained(problem, name)) * size
    assert_close(made(theory.method(name, problem), problem).delta() @ problem.moment.root, expected, rounding)


def constrained(problem: EditProblem, name: str) -> torch.Tensor:
    """All keys whose values a method sets or keeps."""
    return torch.cat([problem.keys, problem.others]) if name.startswith("protected") else problem.keys


def a_ridge_is_a_stacked_least_squares(theory: Methods, problem: EditProblem, name: str = "ridged") -> None:
    """‖ΔW Kᵀ − Rᵀ‖² + ridge ‖ΔW C^½‖² is least; in a null space ‖ΔW‖² for ‖ΔW C^½‖², with ΔW inside it."""
    method = theory.method(name, problem)
    delta = made(method, problem).delta()
    residuals = problem.values - laws.values_at(problem.weight, problem.keys)
    if name == "null_space":
        basis = method.space.basis
        expected = ridged_by_stacking(problem.keys @ basis.T, residuals, ridge=1.0) @ basis
        assert_close(delta, expected, ridged_rounding(problem, problem.keys, ridge=1.0))
    else:
        rows, root = problem.keys @ zca_whitening(problem.moment.matrix), problem.moment.root
        rounding = ridged_rounding(problem, rows, RIDGE, problem.moment.condition_number)
        assert_close(delta @ root, ridged_by_stacking(rows, residuals, RIDGE), rounding)


@given(edit_problems(INDEPENDENT, distinct=True))
def test_protected_edits_are_exact_when_made(problem: EditProblem) -> None:
    every_edit_is_exact_when_made(PACKAGE, problem)


@pytest.mark.parametrize("name", ["joint", "protected_joint"])
@given(edit_problems(INDEPENDENT, distinct=True))
def test_joint_edits_are_exact_at_the_end(name: str, problem: EditProblem) -> None:
    all_edits_are_exact_at_the_end(PACKAGE, problem, name)


@pytest.mark.parametrize("name", ["joint", "protected_joint"])
@given(edit_problems(INDEPENDENT, distinct=True))
def test_joint_edits_are_the_least(name: str, problem: EditProblem) -> None:
    the_update_is_the_least(PACKAGE, problem, name)


@pytest.mark.parametrize("name", ["sequential", "protected"])
@given(edit_problems(INDEPENDENT, distinct=True))
def test_single_edits_are_the_least(name: str, problem: EditProblem) -> None:
    the_update_is_the_least(PACKAGE, first_edit(problem), name)


@given(edit_problems())
def test_joint_with_ridge_is_a_stacked_least_squares(problem: EditProblem) -> None:
    a_ridge_is_a_stacked_least_squares(PACKAGE, problem)


@given(edit_problems(INDEPENDENT, distinct=True))
def test_null_space_with_ridge_is_a_stacked_least_squares(problem: EditProblem) -> None:
    a_ridge_is_a_stacked_least_squares(PACKAGE, problem, "null_space")


# --- one after another, and all at once -------------------------------------------------------------------------------


def protecting_one_after_another_is_joint(theory: Methods, problem: EditProblem) -> None:
    """Each edit made where it sees none of those before it: Gram-Schmidt, which ends at the joint edit.

    Its steps are orthogonal in ‖ΔW C^½‖, so that none is longer than their sum.
    """
    whitening, weight = whiten(problem.moment.matrix), problem.weight
    for i in range(len(problem.keys)):
        space = theory.protect(whitening, torch.cat([problem.others, problem.keys[:i]]))
        weight = theory.sequential(space).edit(weight, problem.keys[i : i + 1], problem.values[i : i + 1]).apply(weight)
    root = problem.moment.root
    joint = made(theory.method("protected_joint", problem), problem).delta() @ root
    rounding = laws.rounding(problem) * dependence(problem, constrained(problem, "protected"))
    assert_close((weight - problem.weight) @ root, joint, rounding * (float(joint.norm()) + start_size(problem)))


def alphaedit_is_joint_in_the_null_space(
    theory: Methods, problem: EditProblem, ends: Sequence[int] | None = None, ridge: float = 1.0
) -> None:
    """After every batch of the published recursion W is the joint edit of all edits so far, ridge its L2.

    Batches are whatever lies between the ends; one edit each when left out.
    """
    ends = ends or tuple(range(1, len(problem.keys) + 1))
    method = theory.joint(theory.null(problem), ridge=ridge)
    projector = method.space.basis.T @ method.space.basis
    rounding = ridged_rounding(problem, problem.keys, ridge)
    path = alphaedit_by_batches(problem, (projector + projector.T) / 2, ends, ridge)
    for end, expected in zip(ends, path, strict=True):
        edit = method.edit(problem.weight, problem.keys[:end], problem.values[:end])
        assert_close(edit.apply(problem.weight), expected, rounding)


@given(edit_problems(INDEPENDENT, distinct=True))
def test_protecting_one_after_another_is_joint(problem: EditProblem) -> None:
    protecting_one_after_another_is_joint(PACKAGE, problem)


@given(edit_problems(INDEPENDENT, distinct=True))
def test_protecting_only_one_another_is_joint(problem: EditProblem) -> None:
    """The same without any other protected key: the first edit is made in all of key space."""
    whitening, root = whiten(problem.moment.matrix), problem.moment.root
    weight = problem.weight
    for i in range(len(problem.keys)):
        space = protect(whitening, problem.keys[:i]) if i else whitening
        edit = PACKAGE.sequential(space).edit(weight, problem.keys[i : i + 1], problem.values[i : i + 1])
        weight = edit.apply(weight)
    joint = made(PACKAGE.method("joint", problem), problem).delta() @ root
    rounding = laws.rounding(problem) * dependence(problem, problem.keys)
    assert_close((weight - problem.weight) @ root, joint, rounding * (float(joint.norm()) + start_size(problem)))


@pytest.mark.parametrize("ridge", [0.1, 1.0, 10.0])
@given(edit_problems(("generic", "duplicates", "clustered")).filter(lambda problem: problem.moment.dim > 1), st.data())
def test_alphaedit_in_any_batches_is_joint_in_the_null_space(
    ridge: float, problem: EditProblem, data: st.DataObject
) -> None:
    """Its L2 is 1 in the paper and 10 in its code."""
    count = len(problem.keys)
    cuts = data.draw(st.sets(st.integers(1, count)))
    alphaedit_is_joint_in_the_null_space(PACKAGE, problem, tuple(sorted(cuts | {count})), ridge)


@given(edit_problems(("generic", "duplicates", "clustered")).filter(lambda problem: problem.moment.dim > 1), st.data())
def test_alphaedit_does_not_depend_on_the_order(problem: EditProblem, data: st.DataObject) -> None:
    order = torch.tensor(data.draw(st.permutations(range(len(problem.keys)))))
    method = PACKAGE.method("null_space", problem)
    reordered = method.edit(problem.weight, problem.keys[order], problem.values[order])
    rounding = ridged_rounding(problem, problem.keys, ridge=1.0)
    assert_close(reordered.delta(), made(method, problem).delta(), 2 * rounding)


# --- what an edit writes ----------------------------------------------------------------------------------------------


def lifelong_edits_write_their_residuals(theory: Methods, problem: EditProblem) -> None:
    """left_i ⟨right_i, k_i⟩ = δ_i in every space: divided by the norm and multiplied with it again."""
    for space in (whiten(problem.moment.matrix), theory.protected(problem), theory.null(problem)):
        stream = lifelong_edits(problem.weight, problem.keys, problem.values, space)
        relative = laws.exactness(problem) * squeeze(space, problem.keys)
        bounds = relative * torch.linalg.vector_norm(stream.residuals, dim=1, keepdim=True)
        assert_close(theory.written(stream.edit, problem.keys), stream.residuals, bounds)


@given(edit_problems(INDEPENDENT, distinct=True))
def test_lifelong_edits_write_their_residuals_in_every_space(problem: EditProblem) -> None:
    lifelong_edits_write_their_residuals(PACKAGE, problem)


# --- the oracles ------------------------------------------------------------------------------------------------------


def by_hand(moment: list[list[float]], keys: list[list[float]], values: list[list[float]]) -> EditProblem:
    """From W = 0; only what the exact oracles read is filled in."""
    matrix, rows, targets = (torch.tensor(entries, dtype=torch.float64) for entries in (moment, keys, values))
    return EditProblem(SecondMomentCase(matrix, torch.ones(2), torch.eye(2)), torch.zeros(1, 2), rows, targets, rows)


def test_least_update_by_hand() -> None:
    """C⁻¹ = [[1, −1], [−1, 2]]: along C⁻¹k, and along what is left of it when (0, 1) is protected."""
    problem = by_hand([[2.0, 1.0], [1.0, 1.0]], [[1.0, 0.0]], [[3.0]])
    assert least_update_by_kkt(problem).tolist() == [[3.0, -3.0]]
    assert least_update_by_kkt(problem, torch.tensor([[0.0, 1.0]])).tolist() == [[3.0, 0.0]]


def test_alphaedit_by_hand() -> None:
    """The same edit twice with P = diag(0, 1): 4 · 1 / (1 + 1), and then 8 / (2 + 1), in one batch or two."""
    problem = by_hand([[1.0, 0.0], [0.0, 1.0]], [[5.0, 1.0], [5.0, 1.0]], [[4.0], [4.0]])
    projector = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    assert [w.tolist() for w in alphaedit_by_batches(problem, projector, [1, 2])] == [[[0.0, 2.0]], [[0.0, 8 / 3]]]
    assert [w.tolist() for w in alphaedit_by_batches(problem, projector, [2])] == [[[0.0, 8 / 3]]]
