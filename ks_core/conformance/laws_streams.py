"""Laws of several edits and calls: a batch has no order, a stream has one, and a call follows those before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from ks_core.conformance.editors import Editor
from ks_core.conformance.law import Gap, law
from ks_core.conformance.oracles import closed_form
from ks_core.conformance.problems import (
    after_earlier,
    another_metric,
    in_dtype,
    key_size,
    one_constraint,
    problems,
    some_edits,
)
from ks_core.conformance.strategies import EditProblem
from ks_core.conformance.tolerances import allowed, effect

QUIET = {"float64": 1e-30, "float32": 1e-15, "bfloat16": 1e-15, "float16": 1e-3}
"""Times a key, whose square is then below the digits of another's."""

CALLS = 4
"""of a stream at least, where so many keys are independent: a memory of the last two or three is found"""


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
    yield Gap("the values at the text's keys", stream(again) @ root, once @ root, limit, effect(problem, editor.traits))


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
    limit, change = 2 * allowed(problem, editor.traits), effect(problem, editor.traits)
    yield Gap("the values at the text's keys", got @ root, expected @ root, limit, change)


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
    limit, change = 2 * allowed(problem, editor.traits), effect(problem, editor.traits)
    yield Gap("the values at the text's keys", got @ root, editor.edited(problem) @ root, limit, change)


@law(
    "editor",
    partial(problems, fewest=CALLS),
    needs=("joint",),
    formula="call by call:  W_t = closed form at W_{t−1};  an editor that remembers counts K_1 … K_{t−1} as text",
    why="Lifelong editing is many calls; a memory that forgets, or one that nobody claimed, changes all but the first.",
    usual_cause="K_pK_pᵀ not added up, added before it is used, cleared between calls, or kept unclaimed",
)
def calls_of_a_stream_follow_each_other(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """A call of two keys, one for each other, and one for another value of the first, each against the closed form."""
    stream, weight, seen = editor.stream(), problem.weight, problem.keys[:0]
    size = key_size(editor.traits)
    first, edits = some_edits(problem, [0]), range(len(problem.keys))
    calls = [some_edits(problem, chosen) for chosen in ([*edits[:2]], *([i] for i in edits[2:]))]
    for number, edit in enumerate([*calls, replace(first, values=size - first.values)], start=1):
        call = in_dtype(replace(edit, weight=weight), editor.traits)
        weight = stream(call)
        yield _as_alone(f"after call {number}", editor, call, seen, weight)
        seen = torch.cat([seen, call.keys])


@law(
    "editor",
    partial(problems, most=2),
    formula="a later call of a stream edits the W that it is given, with the C that it is given",
    why="Streams are gone back on, weights are edited by others, and other layers have another C.",
    usual_cause="the weight of the call before kept and gone on with, or C inverted once for all calls",
)
def calls_use_what_they_are_given(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """A second call, with another weight and, where it is used, another C.

    What is remembered is another law's matter: keys of the first call are then too small to count beside the second's.
    """
    stream, moment, remembers = editor.stream(), problem.moment, editor.traits.remembers
    first = replace(problem, keys=QUIET[editor.traits.dtype] * problem.keys) if remembers else problem
    stream(in_dtype(first, editor.traits))
    if problem.unused is None and not remembers:
        moment = another_metric(moment)
    call = in_dtype(replace(problem, weight=-problem.weight.flip(1), moment=moment), editor.traits)
    yield _as_alone("after the second call", editor, call, first.keys, stream(call))


def _as_alone(when: str, editor: Editor, call: EditProblem, earlier: Tensor, weight: Tensor) -> Gap:
    """What a call made of its weight, against the closed form with what is remembered."""
    alone, claims = after_earlier(call, editor.traits, earlier)
    expected, root = closed_form(alone, claims), alone.moment.root
    limit, change = allowed(alone, claims), effect(alone, claims)
    return Gap(f"the values at the text's keys {when}", weight @ root, expected @ root, limit, change)
