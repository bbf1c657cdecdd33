"""Laws of numbers: the dtype that is returned, what the arithmetic rounds to, second moments at the limit of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from hypothesis import strategies as st

from ks_core.conformance.arrays import Misbehaviour, called, refused, returned
from ks_core.conformance.editors import Editor
from ks_core.conformance.law import POWER, Gap, bits, clear_error, law
from ks_core.conformance.laws_values import formula_gap
from ks_core.conformance.problems import Spectra, problems, spectrum_of
from ks_core.conformance.strategies import EditProblem, SecondMomentCase
from ks_core.conformance.tolerances import effect, weight_scale
from ks_core.theory.traits import DTYPES, Traits

COARSE_ROUNDINGS = 8
"""Of one edit at d_key 5 and a condition of 4 at most, in units of u · weight scale. Of 1,000 edits each in float32 the
worst was off by 1.9 with ROME's inverse, by 4.7 with MEMIT's solve."""

MILD = Spectra(condition=4.0, least_condition=2.0, kind="log_spaced", magnitude=0)
"""With which no arithmetic has trouble: a constant that is added to C shows at this size as what it is."""

WORST_CONDITION = 1e8
"""Of second moments of real layers: 1e4 to 1e7, and more with less text."""

SHARE_LOST = 0.01
"""What an ill-conditioned C may cost, of the edit's own size. An inverse in float32 loses about this much at 1e7."""


@law(
    "editor",
    problems,
    first=True,
    formula="dtype of edit(…) = dtype of the arguments, or what `returns` claims",
    why="A weight that comes back narrower has lost digits of every entry, also of those that no edit was for.",
    usual_cause=".float() or .half() inside, or a float32 factory such as torch.zeros without a dtype",
)
def result_has_the_claimed_dtype(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """What is returned is as wide as is said."""
    edited = called(editor.instance(), "the editor", *editor.arrays(problem))
    returned(edited, "the editor", tuple(problem.weight.shape))  # None and lists have no dtype
    got = torch.as_tensor(edited).dtype
    claimed = editor.traits.result
    same = torch.tensor([float(got == claimed)])
    yield bits(f"the result is {_name(got)}, where {_name(claimed)} was claimed: agreement", same, torch.ones(1))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


@law(
    "editor",
    partial(problems, most=1, spectra=MILD),
    needs=("float64", "computes float64"),
    first=True,
    formula="|edit − exact| ≤ rounding of float64, where float64 is claimed, and not that of float32",
    why="An editor that computes in float32 and takes float64 loses digits silently, and the more the worse C is.",
    usual_cause="float32 inside where float64 is claimed: say computes='float32', or widen C before it is inverted",
)
def arithmetic_is_as_precise_as_claimed(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """One edit with a C that no arithmetic has trouble with: an error of float32's size is float32's.

    Errors that are larger have another cause, and are for other laws to name.
    """
    gap = formula_gap("the values at the text's keys", editor, problem)
    limit = COARSE_ROUNDINGS * torch.finfo(torch.float32).eps / 2 * weight_scale(problem)
    if gap.size <= min(limit, POWER * gap.effect):
        yield replace(gap, effect=limit)


@law(
    "editor",
    lambda traits: problems(replace(traits, dtype="float32"), most=1),
    needs=("float64 or float32",),
    formula="|edit in float32 − exact| ≤ 4 d (3 d + 1) u₃₂ κ(C)^{3/2} · size of the values",
    why="Models keep float32 weights; what float32 costs must be rounding, bounded by the condition number.",
    usual_cause="half precision somewhere inside, or sums that cancel",
)
def float32_agrees_with_exact_arithmetic(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """Arrays of float32 give the exact result but for float32's rounding.

    A float64 editor may refuse them clearly, which says nothing; one that refuses all is not judged.
    """
    narrow = editor.with_traits(dtype="float32")
    gap = _right_or_refused(narrow, problem, may_refuse=editor.traits.dtype != "float32")
    if gap:
        yield gap


@st.composite
def _hard_problems(draw: st.DrawFn, traits: Traits) -> EditProblem:
    condition = draw(st.sampled_from((WORST_CONDITION, 1e7, 1e6, 1e5)))
    problem = draw(problems(traits, most=1, spectra=Spectra(condition, condition / 3, "log_spaced")))
    return replace(problem, moment=_positive(problem.moment, DTYPES[traits.dtype]))


def _positive(moment: SecondMomentCase, dtype: torch.dtype) -> SecondMomentCase:
    """The second moment, its diagonal raised by as little as helps where rounding made it indefinite or worse."""
    while not 0 < moment.eigenvalues[0] <= moment.eigenvalues[-1] * WORST_CONDITION * 1.01:
        step = torch.finfo(dtype).eps / 2 * moment.eigenvalues[0] * torch.eye(moment.dim, dtype=torch.float64)
        moment = spectrum_of((moment.matrix + step).to(dtype).double())
    return moment


@law(
    "editor",
    _hard_problems,
    needs=("whitened", "float64 or float32"),
    formula="κ(C) up to 1e8:  |edit − closed form| ≤ 1 % of the edit, or a clear error",
    why="Second moments of real models have condition numbers up to 1e7; garbage looks like a result.",
    usual_cause="C inverted in float32: solve in float64, or refuse what float32 cannot invert",
)
def ill_conditioned_second_moments_are_survived(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """Whatever the dtype of the arrays, their exact edit is asked for, to a share that a user would not notice."""
    gap = _right_or_refused(editor, problem, may_refuse=True)
    if not gap:
        yield clear_error()
    else:
        yield replace(gap, allowed=SHARE_LOST * effect(problem, editor.traits), allowance="that are 1 % of the edit")


def _right_or_refused(editor: Editor, problem: EditProblem, *, may_refuse: bool) -> Gap | None:
    try:
        return formula_gap("the values at the text's keys", editor, problem)
    except Misbehaviour as finding:
        if not (may_refuse and refused(finding)):
            raise
        return None
