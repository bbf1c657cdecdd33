"""Problems for an editor with given traits: what it claims to handle, in its dtype, and hard enough to tell."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch
from hypothesis import strategies as st
from torch import Tensor

from ks_core.conformance.strategies import (
    KEY_KINDS,
    EditProblem,
    SecondMomentCase,
    generators,
    orthogonal_matrices,
    second_moments,
    weights,
    white_rows,
)
from ks_core.theory.traits import DTYPES, Traits

MAX_WIDTH = 5
"""d_key; wider ones show no other faults, and the exact oracle's cost grows with the fourth power"""

MAX_CONDITIONS = {"float64": 1e6, "float32": 1e2}
"""With these the relative rounding error of one edit (4 d (3 d + 1) u κ^{3/2}) stays below 2 %; most faults change
values by their own size."""

INDEPENDENT = ("generic", "clustered", "whitened_orthogonal")


@cache
@st.composite
def problems(
    draw: st.DrawFn,
    traits: Traits,
    *,
    kinds: tuple[str, ...] = KEY_KINDS,
    fewest: int = 1,
    most: int = MAX_WIDTH,
    square: bool = False,
    condition: float | None = None,
    spectrum: str | None = None,
) -> EditProblem:
    """A weight, edits and other keys, all of them numbers of the editor's dtype.

    Args:
        draw: given by hypothesis.
        traits: with protected keys, some are drawn, and every edited key has a part outside their span. Exact joint
            edits get keys that do not depend on each other.
        kinds: of keys, see `white_rows`.
        fewest: edits at least, where so many independent keys fit.
        most: edits at most.
        square: d_value = d_key, a weight whose shape does not say which side is which.
        condition: bound on the condition number of C; that of the dtype where left out.
        spectrum: of C, one of `SPECTRUM_KINDS`; drawn where left out.
    """
    joint_and_exact = traits.order == "joint" and not traits.ridge
    kind = draw(st.sampled_from(tuple(k for k in kinds if k in INDEPENDENT) if joint_and_exact else kinds))
    width = draw(st.integers(3, MAX_WIDTH))
    moment = draw(second_moments(width, spectrum, condition or MAX_CONDITIONS[traits.dtype]))
    spanned = draw(st.integers(1, moment.dim - 2)) if traits.protected else 0
    room = moment.dim - spanned
    fits = joint_and_exact or kind == "whitened_orthogonal"
    most = min(most, room - 1) if fits else most
    count = draw(st.integers(min(fewest, most), most))
    others = draw(st.integers(1, room - count if fits else 3))
    white, protected = draw(_split_rows(moment.dim, spanned, count + others, kind))
    rows = white @ moment.root
    d_value = moment.dim if square else draw(st.integers(1, 4))
    values = torch.from_numpy(draw(generators()).standard_normal((count, d_value)).round(2))
    weight = draw(weights(d_value, moment.dim)).round(decimals=2)
    protected_rows = protected @ moment.root if traits.protected else None
    return in_dtype(EditProblem(moment, weight, rows[:count], values, rows[count:], protected_rows), traits)


@st.composite
def _split_rows(draw: st.DrawFn, dim: int, spanned: int, count: int, kind: str) -> tuple[Tensor, Tensor]:
    """Whitened keys, and protected ones of `spanned` directions; keys have a part in that span and one outside."""
    free = draw(white_rows(dim - spanned, count, kind))
    if kind != "whitened_orthogonal":
        free = free.round(decimals=2)  # counterexamples that can be read; lengths change by 2 %
    if not spanned:
        return free, torch.empty(0, dim, dtype=torch.float64)
    basis = draw(orthogonal_matrices(dim))
    inside = draw(white_rows(spanned, count, "generic")).round(decimals=2) @ basis[:spanned]
    return free @ basis[spanned:] + inside, draw(weights(spanned, spanned)) @ basis[:spanned]


def in_dtype(problem: EditProblem, traits: Traits) -> EditProblem:
    """The same problem with every number rounded to the editor's dtype, held in float64."""

    def rounded(array: Tensor) -> Tensor:
        return array.to(DTYPES[traits.dtype]).double()

    moment = problem.moment
    return EditProblem(
        moment=SecondMomentCase(rounded(moment.matrix), moment.eigenvalues, moment.basis),
        weight=rounded(problem.weight),
        keys=rounded(problem.keys),
        values=rounded(problem.values),
        others=rounded(problem.others),
        protected=None if problem.protected is None else rounded(problem.protected),
    )


def some_edits(problem: EditProblem, chosen: slice | list[int]) -> EditProblem:
    """The problem with only these edits, in this order; a list may repeat some."""
    return replace(problem, keys=problem.keys[chosen], values=problem.values[chosen])


def one_constraint(traits: Traits) -> st.SearchStrategy[EditProblem]:
    """Edits that are one least-squares problem: a joint batch, or a single one of a stream."""
    return problems(traits, most=1 if traits.order == "sequential" else MAX_WIDTH)
