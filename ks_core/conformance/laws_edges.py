"""Laws at the edges: nothing to do, the same again, second moments that can hardly or not at all be inverted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from hypothesis import strategies as st
from torch import Tensor

from ks_core.conformance.arrays import Misbehaviour, refused
from ks_core.conformance.editors import Editor
from ks_core.conformance.law import Gap, bits, law
from ks_core.conformance.laws_values import formula_gap
from ks_core.conformance.problems import in_dtype, one_constraint, problems, some_edits
from ks_core.conformance.strategies import (
    EditProblem,
    SecondMomentCase,
    generators,
    orthogonal_matrices,
    symmetric,
    weights,
    white_rows,
)
from ks_core.conformance.tolerances import allowed
from ks_core.theory.traits import DTYPES, Traits

ILL_CONDITION = {"float64": 1e8, "float32": 1e3}


def _hard_problems(traits: Traits) -> st.SearchStrategy[EditProblem]:
    return problems(traits, most=1, condition=ILL_CONDITION[traits.dtype], spectrum="log_spaced")


@law(
    "editor",
    problems,
    formula="edit(W, no keys, no values, C) = W",
    why="An empty batch is met by every loop over batches; it must not crash or move anything.",
    usual_cause="a reduction or a solve that fails on zero rows",
)
def empty_stream_changes_nothing(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """No edits, the same weight to the last bit."""
    yield bits("the weight", editor.edited(some_edits(problem, slice(0))), problem.weight)


@law(
    "editor",
    one_constraint,
    needs=("exact",),
    formula="edit(edit(W, k, v, C), k, v, C) = edit(W, k, v, C)",
    why="A fact that already holds has no residual; if the weight moves again, every retry costs bystanders.",
    usual_cause="the old value forgotten or cached: Λ from v instead of from v − W k",
)
def repeating_an_edit_changes_nothing(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """One edit of a stream, or a joint batch, made twice."""
    root, stream = problem.moment.root, editor.stream()
    once = stream(problem)
    again = replace(problem, weight=once)
    limit = allowed(problem, editor.traits) + allowed(again, editor.traits)
    yield Gap("the values at the text's keys", stream(again) @ root, once @ root, limit)


@law(
    "editor",
    lambda traits: problems(replace(traits, dtype="float32"), most=1),
    formula="|edit in float32 − exact| ≤ 4 d (3 d + 1) u₃₂ κ(C)^{3/2} · size of the values",
    why="Models keep float32 weights; what float32 costs must be rounding, bounded by the condition number.",
    usual_cause="half precision somewhere inside, or sums that cancel",
)
def float32_agrees_with_exact_arithmetic(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """Arrays of float32 give the exact result but for float32's rounding; a float64 editor may refuse them clearly."""
    narrow = editor.with_traits(dtype="float32")
    yield from _right_or_refused(narrow, problem, may_refuse=editor.traits.dtype != "float32")


@law(
    "editor",
    _hard_problems,
    formula="κ(C) up to 1e8 (float32: 1e3):  edit = closed form within rounding, or a clear error",
    why="Second moments of real models have condition numbers up to 1e7; garbage looks like a result.",
    usual_cause="C inverted in float32",
)
def ill_conditioned_second_moments_are_survived(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """Second moments at the limit of the dtype."""
    yield from _right_or_refused(editor, problem, may_refuse=True)


def _right_or_refused(editor: Editor, problem: EditProblem, *, may_refuse: bool) -> Iterator[Gap]:
    try:
        gap = formula_gap("the values at the text's keys", editor, problem)
    except Misbehaviour as finding:
        if not (may_refuse and refused(finding)):
            raise
    else:
        yield gap


@dataclass(frozen=True, eq=False)
class SingularProblem:
    """One edit whose key, like the text's, has no part in the directions that C lacks; and the weight it must give."""

    problem: EditProblem
    expected: Tensor
    scale: float


@st.composite
def _singular_problems(draw: st.DrawFn, traits: Traits) -> SingularProblem:
    rank = draw(st.integers(2, 3))
    dim = draw(st.integers(rank + 1, 5))
    spectrum = torch.linspace(2.0, 1.0, rank, dtype=torch.float64) * 10.0 ** draw(st.integers(-6, 6))
    eigenvalues = torch.cat([spectrum, torch.zeros(dim - rank, dtype=torch.float64)])
    moment = SecondMomentCase(symmetric(basis := draw(orthogonal_matrices(dim)), eigenvalues), eigenvalues, basis)
    # Two orthogonal directions; with protected keys the second is theirs, and the key has a part in both.
    own, other = draw(white_rows(rank, 2, "whitened_orthogonal"))
    key = own + 0.5 * other if traits.protected else own
    to_keys = (basis[:, :rank] * spectrum.sqrt()).T
    d_value = draw(st.integers(1, 4))
    values = torch.from_numpy(draw(generators()).standard_normal((1, d_value)).round(2))
    keys, protected = (row[None, :] @ to_keys for row in (key, other))
    weight = draw(weights(d_value, dim)).round(decimals=2)
    rows_protected = protected if traits.protected else None
    problem = in_dtype(EditProblem(moment, weight, keys, values, keys, rows_protected), traits)
    residual = problem.values[0] - problem.weight @ problem.keys[0]
    direction = basis[:, :rank] @ (own / spectrum.sqrt())  # C⁺ of the free part of the key
    step = torch.outer(residual, direction) / (own.square().sum() + traits.ridge)
    scale = float(torch.linalg.vector_norm(residual) / own.norm() + spectrum[0].sqrt() * torch.linalg.norm(weight))
    return SingularProblem(problem, problem.weight + step, scale)


@law(
    "editor",
    _singular_problems,
    formula="C singular, k in its range:  edit = W + (v − W k)(C⁺k)ᵀ / kᵀC⁺k to half the digits, or a clear error",
    why="With less text than d_key, C has no inverse; a computed one is noise, and the edit with it.",
    usual_cause="torch.inverse of a singular matrix, which rounding lets through",
)
def rank_deficient_second_moments_are_not_inverted(editor: Editor, example: SingularProblem) -> Iterator[Gap]:
    """The answer of the pseudo-inverse (a ridge too small to matter will do), or a clear error; never garbage."""
    moment = example.problem.moment
    everywhere = moment.basis * moment.eigenvalues[0].sqrt()  # the missing directions too, as long as the text's keys
    try:
        got = editor.edited(example.problem)
    except Misbehaviour as finding:
        if not refused(finding):
            raise
        return
    half_the_digits = torch.finfo(DTYPES[editor.traits.dtype]).eps ** 0.5
    limit = half_the_digits * example.scale * moment.dim
    yield Gap("the values in every direction", got @ everywhere, example.expected @ everywhere, limit)
