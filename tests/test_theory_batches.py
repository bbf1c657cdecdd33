"""Edits in batches against exact arithmetic, at both ends of the batch size, and with faults planted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from errors import refused
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from methods_oracles import RIDGE, batched_rounding, batches_one_after_another
from oracles import assert_close
from strategies import EditProblem, SecondMomentCase, edit_problems
from torch import Tensor

from ks_core.errors import InputError, RankDeficientError
from ks_core.theory.batches import batched_edit_of
from ks_core.theory.editing import Edit, EditTerms, edit_terms, joint_edit_of, lifelong_edits_of
from ks_core.theory.methods import Batched
from ks_core.theory.whitening import whiten

INDEPENDENT = ("generic", "clustered", "whitened_orthogonal")
SIZES = st.integers(1, 7)
Batches = Callable[..., Edit]


def terms_of(problem: EditProblem) -> EditTerms:
    return edit_terms(problem.weight, problem.keys, problem.values, whiten(problem.moment.matrix))


def batches_are_made_one_after_another(batched: Batches, problem: EditProblem, size: int, ridge: float = 0.0) -> None:
    """After each batch the weight is that of exact arithmetic: the first columns and rows are the batches so far."""
    edit, root = batched(terms_of(problem), size, ridge=ridge), problem.moment.root
    path = batches_one_after_another(problem, size, ridge)
    for number, (expected, allowed) in enumerate(
        zip(path, batched_rounding(problem, size, ridge, path), strict=True), start=1
    ):
        made = Edit(edit.left[:, : number * size], edit.right[: number * size])
        assert_close(made.delta() @ root, (expected - problem.weight) @ root, allowed)


@given(edit_problems(INDEPENDENT, distinct=True), SIZES)
def test_batches_without_ridge_are_made_one_after_another(problem: EditProblem, size: int) -> None:
    batches_are_made_one_after_another(batched_edit_of, problem, size)


@given(edit_problems(), SIZES, st.sampled_from([1e-3, RIDGE, 100.0]))
def test_batches_with_ridge_are_made_one_after_another(problem: EditProblem, size: int, ridge: float) -> None:
    batches_are_made_one_after_another(batched_edit_of, problem, size, ridge)


@given(edit_problems())
def test_batches_of_one_are_the_lifelong_stream(problem: EditProblem) -> None:
    stream, root = lifelong_edits_of(terms_of(problem)).edit, problem.moment.root
    path = batches_one_after_another(problem, 1, 0.0)
    allowed = batched_rounding(problem, 1, 0.0, path)[-1]
    assert_close(batched_edit_of(terms_of(problem), 1).delta() @ root, stream.delta() @ root, 2 * allowed)


@given(edit_problems(INDEPENDENT, distinct=True), st.integers(0, 3), st.sampled_from([0.0, RIDGE]))
def test_one_batch_is_the_joint_edit_to_the_bit(problem: EditProblem, beyond: int, ridge: float) -> None:
    terms = terms_of(problem)
    found, expected = batched_edit_of(terms, len(terms) + beyond, ridge=ridge), joint_edit_of(terms, ridge=ridge)
    assert_close(found.left, expected.left, 0.0)
    assert_close(found.right, expected.right, 0.0)


@given(edit_problems(INDEPENDENT, distinct=True), SIZES)
def test_the_method_is_the_closed_form(problem: EditProblem, size: int) -> None:
    made = Batched(whiten(problem.moment.matrix), size, RIDGE).edit(problem.weight, problem.keys, problem.values)
    assert_close(made.delta(), batched_edit_of(terms_of(problem), size, ridge=RIDGE).delta(), 0.0)


# --- refused ----------------------------------------------------------------------------------------------------------


def repeated() -> EditTerms:
    keys = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    return EditTerms(keys, torch.ones(4, 1, dtype=torch.float64), keys)


def test_a_batch_of_dependent_keys_is_named() -> None:
    with refused(
        RankDeficientError, what="batch 1 (edits 2 to 3)", got="only 1 directions", remedy="one after another"
    ):
        batched_edit_of(repeated(), 2)
    assert batched_edit_of(repeated(), 1).left.shape == (1, 4)
    assert batched_edit_of(repeated(), 2, ridge=1.0).left.shape == (1, 4)


@pytest.mark.parametrize("size", [0, -3, 2.5, "10", True])
def test_a_size_that_is_none_is_refused(size: Any) -> None:
    with refused(InputError, what="the size of a batch", expected="", remedy="how many edits are made at once"):
        batched_edit_of(repeated(), size)


def test_a_negative_ridge_is_refused() -> None:
    with refused(InputError, what="ridge", got="-1", expected="0 or more"):
        batched_edit_of(repeated(), 2, ridge=-1.0)


# --- the oracle, and faults -------------------------------------------------------------------------------------------


def by_batches(residuals_of: Callable[[Tensor, Tensor, Tensor], Tensor], slack: int = 0) -> Batches:
    """Batches whose residuals come from (unedited residuals, moved, moved by the batch before only)."""

    def faulty(terms: EditTerms, size: int, *, ridge: float = 0.0) -> Edit:
        left = torch.zeros(terms.residuals.shape[1], len(terms), dtype=torch.float64)
        for start in range(0, len(terms), size + slack):
            batch = slice(start, start + size + slack)
            reach = terms.keys[batch] @ terms.directions.T
            latest = reach[:, max(0, start - size) : start] @ left[:, max(0, start - size) : start].T
            residuals = residuals_of(terms.residuals[batch], reach @ left.T, latest)
            part = EditTerms(terms.keys[batch], residuals, terms.directions[batch])
            left[:, batch] = joint_edit_of(part, ridge=ridge).left
        return Edit(left, terms.directions)

    return faulty


FAULTS: dict[str, Batches] = {
    "all_at_w0": by_batches(lambda unedited, _, __: unedited),
    "latest_only": by_batches(lambda unedited, _, latest: unedited - latest),
    "sign": by_batches(lambda unedited, moved, _: unedited + moved),
    "one_too_many": by_batches(lambda unedited, moved, _: unedited - moved, slack=1),
    "all_at_once": lambda terms, _, ridge=0.0: joint_edit_of(terms, ridge=ridge),
    "one_by_one": lambda terms, _, ridge=0.0: batched_edit_of(terms, 1, ridge=ridge),
    "ridge_per_edit": lambda terms, size, ridge=0.0: batched_edit_of(terms, size, ridge=size * ridge),
    "ridge_forgotten": lambda terms, size, ridge=0.0: batched_edit_of(terms, size, ridge=0 * ridge),
}


def test_the_right_residuals_are_no_fault() -> None:
    right = by_batches(lambda unedited, moved, _: unedited - moved)
    assert_close(right(repeated(), 2, ridge=1.0).left, batched_edit_of(repeated(), 2, ridge=1.0).left, 1e-15)


@pytest.mark.parametrize("faulty", FAULTS.values(), ids=FAULTS)
def test_planted_fault_is_caught(faulty: Batches) -> None:
    @settings(phases=[Phase.generate], report_multiple_bugs=False)
    @given(edit_problems(INDEPENDENT, distinct=True).filter(lambda problem: len(problem.keys) > 2), st.integers(1, 2))
    def property_test(problem: EditProblem, size: int) -> None:
        batches_are_made_one_after_another(faulty, problem, size, RIDGE)

    with pytest.raises(AssertionError, match="off by up to"):
        property_test()


def test_batches_by_hand() -> None:
    """C = I: W = (2, 0) after one edit; the second at (1, 1) wants 5, has 2, and writes 3 / 2 along both."""
    problem = by_hand([[1.0, 0.0], [1.0, 1.0]], [[2.0], [5.0]])
    assert [w.tolist() for w in batches_one_after_another(problem, 1, 0.0)] == [[[2.0, 0.0]], [[3.5, 1.5]]]
    assert [w.tolist() for w in batches_one_after_another(problem, 2, 0.0)] == [[[2.0, 3.0]]]
    assert [w.tolist() for w in batches_one_after_another(problem, 1, 1.0)] == [[[1.0, 0.0]], [[7 / 3, 4 / 3]]]


def by_hand(keys: list[list[float]], values: list[list[float]]) -> EditProblem:
    rows, targets = (torch.tensor(entries, dtype=torch.float64) for entries in (keys, values))
    moment = SecondMomentCase(torch.eye(2), torch.ones(2), torch.eye(2))
    return EditProblem(moment, torch.zeros(1, 2), rows, targets, rows)
