"""Laws of what an edit must not depend on, or must depend on in one way only: units, coordinates, order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from hypothesis import strategies as st
from torch import Tensor

from ks_core.conformance.editors import Editor
from ks_core.conformance.law import Gap, law
from ks_core.conformance.problems import MAX_CONDITIONS, in_dtype, problems, some_edits
from ks_core.conformance.strategies import EditProblem, SecondMomentCase, invertible_matrices
from ks_core.conformance.tolerances import allowed
from ks_core.theory.traits import Traits

SCALES = (2.0**-16, 2.0**16)
"""Powers of two, which no array's digits notice."""

BASIS_CONDITION = 3.0
"""Of a change of basis A; that of A C Aᵀ is its square times that of C."""


@dataclass(frozen=True, eq=False)
class ChangeOfBasis:
    """A problem, and other coordinates for its keys or values."""

    problem: EditProblem
    change: Tensor


@st.composite
def _value_changes(draw: st.DrawFn, traits: Traits) -> ChangeOfBasis:
    problem = draw(problems(traits))
    return ChangeOfBasis(problem, draw(invertible_matrices(len(problem.weight), BASIS_CONDITION)))


@st.composite
def _key_changes(draw: st.DrawFn, traits: Traits) -> ChangeOfBasis:
    problem = draw(problems(traits, condition=MAX_CONDITIONS[traits.dtype] / BASIS_CONDITION**2))
    return ChangeOfBasis(problem, draw(invertible_matrices(problem.moment.dim, BASIS_CONDITION)))


@law(
    "editor",
    problems,
    needs=("exact",),
    formula="edit(W, K, V, a C) = edit(W, K, V, C)",
    why="Second moments are stored as sums or as means, over any amount of text; results must not depend on which.",
    usual_cause="a constant added to C (1e-3 · I) without regard to its size",
)
def scale_of_the_second_moment_cancels(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """The same weight for every positive multiple of C."""
    root, expected = problem.moment.root, editor.edited(problem)
    for scale in SCALES:
        moment = replace(problem.moment, matrix=problem.moment.matrix * scale)
        got = editor.edited(replace(problem, moment=moment))
        limit = 2 * allowed(problem, editor.traits)
        yield Gap(f"the values at the text's keys, C times {scale:g}", got @ root, expected @ root, limit)


@law(
    "editor",
    _value_changes,
    formula="edit(B W, K, V Bᵀ, C) = B edit(W, K, V, C)",
    why="The residual stream has no preferred axes; an editor that has one treats models differently by accident.",
    usual_cause="values clipped or normalised one coordinate at a time",
)
def change_of_value_basis_carries_over(editor: Editor, example: ChangeOfBasis) -> Iterator[Gap]:
    """Other coordinates of the values give the same edit in those coordinates."""
    problem, change = example.problem, example.change
    there = replace(problem, weight=change @ problem.weight, values=problem.values @ change.T)
    got = editor.edited(in_dtype(there, editor.traits)) @ problem.moment.root
    expected = change @ editor.edited(problem) @ problem.moment.root  # ‖B‖ = 1: rounding does not grow
    yield Gap("the values at the text's keys", got, expected, 3 * allowed(problem, editor.traits))


@law(
    "editor",
    _key_changes,
    formula="edit(W A⁻¹, K Aᵀ, V, A C Aᵀ) = edit(W, K, V, C) A⁻¹",
    why="C⁻¹ is there to undo the coordinates of the keys; if they matter, the whitening is wrong.",
    usual_cause="only the diagonal of C used, or keys normalised or centred before the edit",
)
def change_of_key_basis_carries_over(editor: Editor, example: ChangeOfBasis) -> Iterator[Gap]:
    """Other coordinates of the keys give the same edit in those coordinates."""
    problem, change = example.problem, example.change
    there = in_dtype(_in_basis(problem, change), editor.traits)
    got = editor.edited(there) @ change @ problem.moment.root
    expected = editor.edited(problem) @ problem.moment.root
    limit = sum(2 * allowed(each, editor.traits) for each in (problem, there))
    yield Gap("the values at the text's keys", got, expected, limit)


def _in_basis(problem: EditProblem, change: Tensor) -> EditProblem:
    moved = change @ problem.moment.matrix @ change.T
    eigenvalues, basis = torch.linalg.eigh((moved + moved.T) / 2)
    return EditProblem(
        moment=SecondMomentCase((moved + moved.T) / 2, eigenvalues.flip(0), basis.flip(1)),
        weight=problem.weight @ torch.linalg.inv(change),
        keys=problem.keys @ change.T,
        values=problem.values,
        others=problem.others @ change.T,
        protected=None if problem.protected is None else problem.protected @ change.T,
    )


@law(
    "editor",
    partial(problems, fewest=2),
    needs=("joint",),
    formula="edit(W, π K, π V, C) = edit(W, K, V, C) for a permutation π",
    why="A batch has no order; if it matters, the batch is not edited jointly and some facts win over others.",
    usual_cause="a loop over the batch that updates the weight, or residuals paired with another key's row",
)
def order_of_a_batch_does_not_matter(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """A joint edit is the same for the batch in reverse."""
    root, backwards = problem.moment.root, some_edits(problem, list(range(len(problem.keys)))[::-1])
    got, expected = editor.edited(backwards), editor.edited(problem)
    yield Gap("the values at the text's keys", got @ root, expected @ root, 2 * allowed(problem, editor.traits))


@law(
    "editor",
    partial(problems, kinds=("generic", "duplicates", "clustered"), fewest=2),
    needs=("sequential",),
    formula="edit(edit(W, K_1..i, …), K_i+1..n, …) = edit(W, K_1..n, …)",
    why="Each edit must see the weight that the one before left; else edits overshoot where keys overlap.",
    usual_cause="residuals taken at W_0 instead of at W_{i−1}",
)
def stream_can_be_cut_anywhere(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """A stream in two calls is the stream in one."""
    root, stream = problem.moment.root, editor.stream()
    cut = len(problem.keys) // 2
    half = stream(some_edits(problem, slice(cut)))
    got = stream(replace(some_edits(problem, slice(cut, None)), weight=half))
    limit = 2 * allowed(problem, editor.traits)
    yield Gap("the values at the text's keys", got @ root, editor.edited(problem) @ root, limit)
