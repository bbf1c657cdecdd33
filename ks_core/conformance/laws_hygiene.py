"""Laws that any function of arrays should obey: it leaves its inputs alone, remembers nothing and does not guess."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from ks_core.conformance.arrays import called
from ks_core.conformance.editors import Editor
from ks_core.conformance.law import POWER, Gap, bits, law
from ks_core.conformance.problems import another_metric, in_dtype, problems
from ks_core.conformance.process_state import GENERATORS, SETTINGS, seeded, settings, states
from ks_core.conformance.strategies import EditProblem
from ks_core.conformance.tolerances import allowed, update_of_values

ONE_WIDTH = 3
"""d_key before state is looked for: what stumbles over what another width left is state, and would be named else."""

ARGUMENTS = ("weight", "keys", "values", "second_moment", "protected")


@law(
    "editor",
    partial(problems, kinds=("generic",), most=1, width=ONE_WIDTH),
    first=True,
    formula="edit(…) is an array of finite numbers, (d_value, d_key)",
    why="Everything else is said of this weight; a NaN in it is a NaN in every answer of the model.",
    usual_cause="an error in the editor itself, or in how it is wrapped",
)
def result_is_a_weight(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """What comes back can be measured."""
    edited = editor.edited(problem)
    yield bits("how many entries are finite", torch.isfinite(edited).sum(), torch.tensor(edited.numel()))


@law(
    "editor",
    partial(problems, width=ONE_WIDTH),
    first=True,
    formula="weight, keys, values and C are after the call what they were before",
    why="The unedited weight is needed to measure, to compare and to go back; C is shared by all edits.",
    usual_cause="weight += update, keys /= norm, or a ridge added to the diagonal of C in place",
)
def inputs_are_not_modified(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """Every argument keeps its bits."""
    arrays = editor.arrays(problem)
    before = [torch.as_tensor(array).clone() for array in arrays]
    called(editor.instance(), "the editor", *arrays)
    for name, was, array in zip(ARGUMENTS, before, arrays, strict=False):
        yield bits(name, torch.as_tensor(array), was)


@law(
    "editor",
    problems,
    first=True,
    formula="edit(problem) is the same before and after a stream of other edits",
    why="Experiments in one process change each other's results, and no run can be repeated alone.",
    usual_cause="keys, weights or an inverse kept in a module, a class or a default argument",
)
def no_state_between_streams(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """A stream does not see the streams before it; all draw the same random numbers, which are another law's matter."""
    with seeded() as reseed:
        alone = editor.edited(problem)
        editor.edited(_another(problem))
        reseed(0)
        again = editor.edited(problem)
    yield bits("the weight", again, alone)


def _another(problem: EditProblem) -> EditProblem:
    """Another problem of the same shapes: a cache that goes by shape takes it for the same."""
    return replace(
        problem,
        moment=another_metric(problem.moment),
        weight=-problem.weight.flip(1),
        keys=problem.keys.flip(1),
        values=-problem.values,
        protected=None if problem.protected is None else problem.protected.flip(1),
        unused=None if problem.unused is None else problem.unused.flip(0, 1),
    )


@law(
    "editor",
    problems,
    first=True,
    formula="torch's default dtype and gradient mode are after the call what they were; no global generator is seeded",
    why="What is set for the process is set for the user's training and sampling too, and for the next experiment.",
    usual_cause="torch.manual_seed, set_default_dtype or set_grad_enabled inside, and not taken back",
)
def process_is_left_as_it_was(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """Nothing global is set. To draw from a generator is no fault; to leave it in one state, whatever it was in, is."""

    def watched() -> tuple[list[bool], list[Any]]:
        edit, arrays, before = editor.instance(), editor.arrays(problem), settings()
        edit(*arrays)
        return [was != now for was, now in zip(before, settings(), strict=True)], states()

    with seeded() as reseed:
        reseed(1)
        changed, ends = called(watched, "the editor")
        reseed(2)
        _, others = called(watched, "the editor")
    found = [*changed, *(end == other for end, other in zip(ends, others, strict=True))]
    named = dict(zip((*SETTINGS, *GENERATORS), found, strict=True))
    what = f"what was set of the process ({', '.join(name for name in named if named[name]) or 'nothing'}): how many"
    yield bits(what, torch.tensor(sum(found)), torch.tensor(0))


@law(
    "editor",
    problems,
    first=True,
    formula="edit(problem) = edit(problem), to the last bit",
    why="A result that cannot be repeated cannot be compared.",
    usual_cause="random initialisation or noise without a seed of its own",
)
def same_input_gives_the_same_output(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """Two runs of one stream agree bit for bit."""
    yield bits("the weight", editor.edited(problem), editor.edited(problem))


@law(
    "editor",
    partial(problems, kinds=("generic",), fewest=2, most=3),
    first=True,
    formula="edit(W, K, V, C) changes with every v_i",
    why="Facts that were asked for are silently not written; with one fact a call nobody notices.",
    usual_cause="only the first request of a call is edited, or only the last: call once for each fact",
)
def no_edit_of_a_call_is_left_out(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """The weight is another one where any one of the values is, if rounding has room for what that value changes."""
    together, left_out = editor.edited(problem), []
    for i, value in enumerate(problem.values):
        values = problem.values.clone()
        values[i] = 2 * value + problem.values.abs().max() + 1
        other = in_dtype(replace(problem, values=values), editor.traits)
        change = update_of_values(other, editor.traits) - update_of_values(problem, editor.traits)
        if allowed(other, editor.traits) <= POWER * float(change.abs().max()):
            left_out.append(float(torch.equal(editor.edited(other), together)))
    if left_out:
        yield bits(
            "edits that leave no trace in the weight (1: one)", torch.tensor(left_out), torch.zeros(len(left_out))
        )
