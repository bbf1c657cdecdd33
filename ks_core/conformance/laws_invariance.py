"""Laws of what an edit must not depend on, or must depend on in one way only: units, coordinates, order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from hypothesis import strategies as st
from torch import Tensor

from ks_core.conformance.editors import Editor
from ks_core.conformance.law import Gap, law
from ks_core.conformance.problems import MAX_CONDITIONS, Spectra, in_dtype, problems, spectrum_of
from ks_core.conformance.strategies import EditProblem, invertible_matrices
from ks_core.conformance.tolerances import allowed, effect
from ks_core.theory.traits import Traits

SCALES = {"float64": 2.0**16, "float32": 2.0**16, "bfloat16": 2.0**16, "float16": 2.0**4}
"""Powers of two, which no array's digits notice; float16 has room for small ones only."""

LENGTHS = 2.0**4
"""Of keys, from layer to layer or model to model, and within what float16 has room for."""

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
    problem = draw(problems(traits, spectra=Spectra(MAX_CONDITIONS[traits.dtype] / BASIS_CONDITION**2)))
    return ChangeOfBasis(problem, draw(invertible_matrices(problem.moment.dim, BASIS_CONDITION)))


@law(
    "editor",
    problems,
    needs=("exact", "whitened"),
    formula="edit(W, K, V, a C) = edit(W, K, V, C)",
    why="Second moments are stored as sums or as means, over any amount of text; results must not depend on which.",
    usual_cause="a constant added to C (1e-3 · I) without regard to its size",
)
def scale_of_the_second_moment_cancels(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """The same weight for every positive multiple of C."""
    root, expected = problem.moment.root, editor.edited(problem)
    for scale in (1 / SCALES[editor.traits.dtype], SCALES[editor.traits.dtype]):
        moment = replace(problem.moment, matrix=problem.moment.matrix * scale)
        got = editor.edited(replace(problem, moment=moment))
        limit, change = 2 * allowed(problem, editor.traits), effect(problem, editor.traits)
        yield Gap(f"the values at the text's keys, C times {scale:g}", got @ root, expected @ root, limit, change)


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
    limit = 3 * allowed(problem, editor.traits)
    yield Gap("the values at the text's keys", got, expected, limit, effect(problem, editor.traits))


@law(
    "editor",
    _key_changes,
    needs=("whitened",),
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
    yield Gap("the values at the text's keys", got, expected, limit, effect(problem, editor.traits))


def _in_basis(problem: EditProblem, change: Tensor) -> EditProblem:
    moved = change @ problem.moment.matrix @ change.T
    return EditProblem(
        moment=spectrum_of((moved + moved.T) / 2),
        weight=problem.weight @ torch.linalg.inv(change),
        keys=problem.keys @ change.T,
        values=problem.values,
        others=problem.others @ change.T,
        protected=None if problem.protected is None else problem.protected @ change.T,
    )


@law(
    "editor",
    problems,
    needs=("protected",),
    formula="edit(…, a K₀) = edit(…, K₀)",
    why="Protected is a span: keys of a quieter layer or model are as much to be kept as those of a loud one.",
    usual_cause="directions of K₀ᵀK₀ cut at a constant eigenvalue, whatever the size of the keys",
)
def scale_of_protected_keys_cancels(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """The same edit whatever the length of the protected keys."""
    if problem.protected is None:
        return
    root, expected = problem.moment.root, editor.edited(problem)
    limit, change = 2 * allowed(problem, editor.traits), effect(problem, editor.traits)
    for scale in (1 / LENGTHS, LENGTHS):
        got = editor.edited(replace(problem, protected=scale * problem.protected))
        what = f"the values at the text's keys, protected keys times {scale:g}"
        yield Gap(what, got @ root, expected @ root, limit, change)
