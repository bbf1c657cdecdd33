"""Laws at the edges: nothing to do, the same again, second moments that can hardly or not at all be inverted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from ks_core.conformance.arrays import Misbehaviour, refused
from ks_core.conformance.editors import Editor
from ks_core.conformance.law import Gap, bits, clear_error, law
from ks_core.conformance.problems import heights, in_dtype, key_size, problems, some_edits
from ks_core.conformance.strategies import (
    EditProblem,
    SecondMomentCase,
    generators,
    orthogonal_matrices,
    symmetric,
    weights,
    white_rows,
)
from ks_core.theory.traits import DTYPES, Traits


@law(
    "editor",
    problems,
    formula="edit(W, no keys, no values, C) = W",
    why="An empty batch is met by every loop over batches; it must not crash or move anything.",
    usual_cause="a reduction or a solve that fails on zero rows",
)
def empty_stream_changes_nothing(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """No edits, the same weight to the last bit that is returned."""
    expected = problem.weight.to(editor.traits.result).double()
    yield bits("the weight", editor.edited(some_edits(problem, slice(0))), expected)


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
    d_value = draw(heights(dim))
    values = torch.from_numpy(draw(generators()).standard_normal((1, d_value)).round(2))
    size = key_size(traits)
    own, key = size * own, size * key
    keys, protected = (row[None, :] @ to_keys for row in (key, other))
    weight = draw(weights(d_value, dim)).round(decimals=2)
    rows_protected = protected if traits.protected else None
    problem = in_dtype(EditProblem(moment, weight, keys, values, keys, rows_protected), traits)
    residual = problem.values[0] - problem.weight @ problem.keys[0]
    direction = basis[:, :rank] @ (own / spectrum.sqrt())  # C⁺ of the free part of the key
    step = traits.share * torch.outer(residual, direction) / (own.square().sum() + traits.ridge)
    scale = float(torch.linalg.vector_norm(residual) / own.norm() + spectrum[0].sqrt() * torch.linalg.norm(weight))
    return SingularProblem(problem, problem.weight + step, scale)


@law(
    "editor",
    _singular_problems,
    needs=("whitened", "float64 or float32"),
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
        yield clear_error()
        return
    widths = (DTYPES[editor.traits.dtype], editor.traits.arithmetic, editor.traits.result)
    half_the_digits = max(torch.finfo(dtype).eps for dtype in widths) ** 0.5
    limit = half_the_digits * example.scale * moment.dim
    change = float(((example.expected - example.problem.weight) @ everywhere).abs().max())
    expected = example.expected @ everywhere
    yield Gap("the values in every direction", got @ everywhere, expected, limit, change, "that half the digits leave")
