"""Laws of what an edit writes: the values that keys have afterwards, and the closed form as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from ks_core.conformance.editors import Editor
from ks_core.conformance.law import Gap, law
from ks_core.conformance.oracles import closed_form
from ks_core.conformance.problems import problems
from ks_core.conformance.strategies import EditProblem
from ks_core.conformance.tolerances import allowed, at_keys, effect, free_rows


def formula_gap(what: str, editor: Editor, problem: EditProblem) -> Gap:
    """The editor against the closed form, as values at the text's keys: W' C^½ has the units of values."""
    expected = closed_form(problem, editor.traits)
    root = problem.moment.root
    limit, change = allowed(problem, editor.traits), effect(problem, editor.traits)
    return Gap(what, editor.edited(problem) @ root, expected @ root, limit, change)


@law(
    "editor",
    problems,
    needs=("exact",),
    formula="W' k_n = v_n",
    why="The fact that was just edited is not what the model now says.",
    usual_cause="the key of another token or row, a missing division by kᵀC⁻¹k, or the last edit left out",
)
def last_edit_is_exact(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """The last key of a stream has its value."""
    got = problem.keys[-1] @ editor.edited(problem).T
    limit, change = at_keys(problem, editor.traits)
    yield Gap("the value at the last key", got, problem.values[-1], limit, change)


@law(
    "editor",
    problems,
    needs=("joint", "exact"),
    formula="W' k_i = v_i for every i",
    why="A batch of edits overwrites some of its own facts.",
    usual_cause="edits added up or made one after another instead of solved together (G⁻¹), or a ridge left in",
)
def every_edit_holds(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """All keys of a joint edit have their values."""
    got = problem.keys @ editor.edited(problem).T
    limit, change = at_keys(problem, editor.traits)
    yield Gap("the values at the keys", got, problem.values, limit, change)


@law(
    "editor",
    partial(problems, most=1),
    formula="W' = W + share · (v − W k) uᵀ / (ridge + uᵀk),  u = C⁻¹k (metric identity: u = k)",
    why="The simplest case, where all editors agree: what is wrong here is wrong everywhere.",
    usual_cause="a sign, a missing norm, or one key handled as a vector where the code expects rows",
)
def single_edit_is_the_formula(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """One edit is the closed form (with protected keys, u is C⁻¹k without its part along theirs)."""
    yield formula_gap("the values at the text's keys", editor, problem)


@law(
    "editor",
    partial(problems, most=1),
    needs=("share",),
    formula="(W' − W) k = share · (v − W k) · kᵀu / (ridge + kᵀu)",
    why="An edit that is spread over L layers writes a part in each; with another the layers' sum misses the fact.",
    usual_cause="1/√L for 1/L, layers counted from the wrong end, or the share not applied at all",
)
def share_of_the_residual_is_as_claimed(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """How far one edit goes towards its value."""
    traits, start = editor.traits, problem.values - problem.keys @ problem.weight.T
    size = float(free_rows(problem).square().sum())
    moved = problem.keys @ (editor.edited(problem) - problem.weight).T
    limit, change = at_keys(problem, traits)
    yield Gap("the change at the key", moved, traits.share * start * size / (size + traits.ridge), limit, change)


@law(
    "editor",
    problems,
    needs=("sequential",),
    formula="W_i = W_{i−1} + share · (v_i − W_{i−1} k_i) u_iᵀ / (ridge + u_iᵀk_i),  u_i = C⁻¹k_i",
    why="Results of lifelong editing are compared between papers; another update is another method.",
    usual_cause="residuals taken at W_0, edits in another order, or repeated keys dropped",
)
def closed_form_sequential(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """A stream is the formula applied once for each edit, in exact arithmetic."""
    yield formula_gap("the values at the text's keys", editor, problem)


@law(
    "editor",
    problems,
    needs=("joint", "exact or unridged"),
    formula="W' = W + share · Rᵀ (K C⁻¹ Kᵀ)⁻¹ K C⁻¹,  R = V − K Wᵀ",
    why="Many updates give all keys their values; only this one moves the rest of the text least.",
    usual_cause="(K Kᵀ)⁻¹ for (K C⁻¹ Kᵀ)⁻¹, so that C cancels or enters once",
)
def closed_form_joint(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """A joint edit without a ridge is the closed form, in exact arithmetic."""
    yield formula_gap("the values at the text's keys", editor, problem)


@law(
    "editor",
    problems,
    needs=("joint", "ridge"),
    formula="W' = W + share · Rᵀ K (ridge · C + Kᵀ K)⁻¹ = W + share · Rᵀ (ridge · I + K C⁻¹ Kᵀ)⁻¹ K C⁻¹",
    why="The ridge decides how far edits give way to the text; another one is another trade.",
    usual_cause="the ridge added to C or to K Kᵀ instead of to G, squared, divided by n, or ignored",
)
def closed_form_ridge(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """A regularised joint edit is MEMIT's normal equations on one layer, in exact arithmetic."""
    yield formula_gap("the values at the text's keys", editor, problem)


@law(
    "editor",
    partial(problems, height="square", most=1),
    formula="edit(W, …) = closed form, for W with d_value = d_key",
    why="A square weight fools code that guesses the layout from shapes, and the wrong matrix is edited in silence.",
    usual_cause="the weight transposed by a guess from its shape",
)
def square_weights_are_not_transposed(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """A weight is (d_value, d_key) also where both are the same."""
    yield formula_gap("the values at the text's keys", editor, problem)


@law(
    "editor",
    problems,
    needs=("protected",),
    formula="W' k = W k for every protected key k",
    why="Protected facts have moved.",
    usual_cause="keys not made orthogonal to the protected ones in the whitened space, or only to some of them",
)
def protected_keys_are_untouched(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """Protected keys keep their values."""
    if problem.protected is None:
        return
    before, after = (problem.protected @ weight.T for weight in (problem.weight, editor.edited(problem)))
    limit, change = at_keys(replace(problem, others=problem.protected), editor.traits)
    yield Gap("the values at the protected keys", after, before, limit, change)
