"""Problems for an editor with given traits: what it claims to handle, in its dtype, and hard enough to tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import torch
from hypothesis import strategies as st
from torch import Tensor

from ks_core.conformance.strategies import (
    KEY_KINDS,
    MIN_CONDITION,
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

MAX_CONDITIONS = {"float64": 1e6, "float32": 1e2, "bfloat16": 4.0, "float16": 1e1}
"""With these the relative rounding error of one edit (4 d (3 d + 1) u κ^{3/2}; of halves, summed in float32, 3 u κ^½)
stays below 3 %; most faults change values by their own size."""

MOST_EDITS = {"float64": MAX_WIDTH, "float32": MAX_WIDTH, "bfloat16": 2, "float16": MAX_WIDTH}
"""Each may round once more, and bfloat16 has two digits."""

MAGNITUDES = {"float64": 6, "float32": 6, "bfloat16": 6, "float16": 1}
"""Powers of ten that C may be large or small by; float16 has no numbers above 65,504 and few below 1e-5."""


@dataclass(frozen=True)
class Spectra:
    """Which second moments are drawn.

    Attributes:
        condition: number, at most.
        least_condition: at least.
        kind: one of `SPECTRUM_KINDS`; drawn where None.
        magnitude: powers of ten that C may be large or small by, if the dtype has them.
    """

    condition: float
    least_condition: float = MIN_CONDITION
    kind: str | None = None
    magnitude: int = 6


LONGEST_HALF = 1e3
"""Times keys of length 2, a root of C of 3.2 and a weight of 2 is a fifth of float16's largest number."""

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
    height: str = "low",
    spectra: Spectra | None = None,
    width: int | None = None,
) -> EditProblem:
    """A weight, edits and other keys, all of them numbers of the editor's dtype.

    With a ridge, keys are √ridge times as long, so that what an edit writes and what the ridge keeps it from are alike.

    Args:
        draw: given by hypothesis.
        traits: with protected keys, some are drawn, and every edited key has a part outside their span. Exact joint
            edits get keys that do not depend on each other.
        kinds: of keys, see `white_rows`.
        fewest: edits at least, where so many independent keys fit.
        most: edits at most.
        height: of the weight, d_value: "low" (4 at most) or "high" (above d_key), never d_key itself, so that a
            transposition cannot be taken for a weight; or "square".
        spectra: of C; of any kind within the dtype's bounds where left out.
        width: d_key; drawn where left out.
    """
    joint_and_exact = traits.order == "joint" and not traits.ridge
    kind = draw(st.sampled_from(tuple(k for k in kinds if k in INDEPENDENT) if joint_and_exact else kinds))
    width = width or draw(st.integers(3, MAX_WIDTH))
    moment, unused = draw(_metrics(width, traits, spectra or Spectra(MAX_CONDITIONS[traits.dtype])))
    spanned = draw(st.integers(1, moment.dim - 2)) if traits.protected else 0
    room = moment.dim - spanned
    fits = joint_and_exact or kind == "whitened_orthogonal"
    independent = room - 1 if kind == "whitened_orthogonal" else room if fits else most
    most = min(most, MOST_EDITS[traits.dtype], independent)
    count = draw(st.integers(min(fewest, most), most))
    others = draw(st.integers(1, room - count if kind == "whitened_orthogonal" else 3))
    white, protected = draw(_split_rows(moment.dim, spanned, count + others, kind))
    size = key_size(traits)
    rows = size * white @ moment.root
    d_value = draw(heights(width, height))
    values = size * torch.from_numpy(draw(generators()).standard_normal((count, d_value)).round(2))
    weight = draw(weights(d_value, moment.dim)).round(decimals=2)
    protected_rows = protected @ moment.root if traits.protected else None
    problem = EditProblem(moment, weight, rows[:count], values, rows[count:], protected_rows, unused)
    return in_dtype(problem, traits)


def key_size(traits: Traits) -> float:
    """√ridge, or 1 without one: how long keys are; as long as float16 has room for products of them with W."""
    wanted = traits.ridge**0.5 or 1.0
    return min(wanted, LONGEST_HALF) if traits.dtype == "float16" else wanted


@cache
def heights(width: int, height: str = "low") -> st.SearchStrategy[int]:
    """d_value for a width d_key: see `problems`."""
    known = {"low": [d for d in range(1, 5) if d != width], "high": [width + 1, width + 2], "square": [width]}
    return st.sampled_from(known[height])


@st.composite
def _metrics(draw: st.DrawFn, width: int, traits: Traits, wanted: Spectra) -> tuple[SecondMomentCase, Tensor | None]:
    """What edits are least in, and what stands in C's place where C is not used."""
    magnitude = min(wanted.magnitude, MAGNITUDES[traits.dtype])
    text = draw(second_moments(width, wanted.kind, wanted.condition, magnitude, wanted.least_condition))
    return (text, None) if traits.metric == "second_moment" else (plain_metric(width), text.matrix)


def plain_metric(width: int) -> SecondMomentCase:
    """The identity, as a second moment."""
    identity = torch.eye(width, dtype=torch.float64)
    return SecondMomentCase(identity, torch.ones(width, dtype=torch.float64), identity)


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
    dtype = DTYPES[traits.dtype]

    def rounded(array: Tensor) -> Tensor:
        return array.to(dtype).double()

    return EditProblem(
        moment=_rounded_moment(problem.moment, dtype),
        weight=rounded(problem.weight),
        keys=rounded(problem.keys),
        values=rounded(problem.values),
        others=rounded(problem.others),
        protected=None if problem.protected is None else rounded(problem.protected),
        unused=None if problem.unused is None else rounded(problem.unused),
    )


def _rounded_moment(moment: SecondMomentCase, dtype: torch.dtype) -> SecondMomentCase:
    """C in the dtype, with the spectrum that it then has."""
    matrix = moment.matrix.to(dtype).double()
    return moment if torch.equal(matrix, moment.matrix) else spectrum_of(matrix)


def another_metric(moment: SecondMomentCase) -> SecondMomentCase:
    """A second moment of the same spectrum and another basis: the axes of key space in reverse."""
    return SecondMomentCase(moment.matrix.flip(0, 1), moment.eigenvalues, moment.basis.flip(0))


def spectrum_of(matrix: Tensor) -> SecondMomentCase:
    """A second moment that is known by its entries only."""
    eigenvalues, basis = torch.linalg.eigh(matrix)
    return SecondMomentCase(matrix, eigenvalues.flip(0), basis.flip(1))


def after_earlier(problem: EditProblem, traits: Traits, earlier: Tensor) -> tuple[EditProblem, Traits]:
    """The problem, and the claims, that a later call of an editor that remembers is to solve without a memory.

    With a ridge, earlier keys count as text: A = ridge · C + K_pᵀK_p stands for ridge · C, with the ridge 1. As the
    first call's W_1 is a minimum, ‖(W − W_1) K_pᵀ‖² + ridge ‖(W − W_1) C^½‖² is the first objective but for a constant,
    and two calls are one call with all edits, where all of the residual is written.

    Args:
        problem: of the later call.
        traits: of the editor.
        earlier: (p, d_key), keys of its stream's calls so far.
    """
    if not (traits.remembers and len(earlier)):
        return problem, traits
    system = traits.ridge * problem.moment.matrix + earlier.T @ earlier
    return replace(problem, moment=spectrum_of((system + system.T) / 2)), replace(traits, ridge=1.0)


def some_edits(problem: EditProblem, chosen: slice | list[int]) -> EditProblem:
    """The problem with only these edits, in this order; a list may repeat some."""
    return replace(problem, keys=problem.keys[chosen], values=problem.values[chosen])


def one_constraint(traits: Traits) -> st.SearchStrategy[EditProblem]:
    """Edits that are one least-squares problem: a joint batch, or a single one of a stream."""
    return problems(traits, most=1 if traits.order == "sequential" else MAX_WIDTH)
