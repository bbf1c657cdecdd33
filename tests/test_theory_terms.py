"""Edits that join a stream or leave it: the closed form of what is known of them is that of all made at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from errors import refused
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from methods_oracles import Methods, allowed, squares
from oracles import assert_close
from strategies import EditProblem, edit_problems

from ks_core.errors import InputError
from ks_core.theory.editing import Edit, EditTerms, edit_terms
from ks_core.theory.methods import FORMS, METHODS
from ks_core.theory.whitening import whiten

Form = Callable[[EditTerms], Edit]


def space_of(name: str, problem: EditProblem) -> Any:
    spaces = {"null-space": Methods().null, "protected": Methods().protected}
    return spaces[name](problem) if name in spaces else whiten(problem.moment.matrix)


def rounding(problem: EditProblem, edit: Edit, space: Any) -> float:
    """Of the values at any key: `allowed`, times what a solve with the Gram matrix of the edits' keys costs."""
    white = space.whiten(problem.keys)
    return allowed(problem, edit, space) * float(torch.linalg.cond(white / squares(white).sqrt()[:, None])) ** 2


def streams_go_on(name: str, problem: EditProblem, cut: int, form: Form) -> None:
    """Edits made in two parts are the edits made at once."""
    space = space_of(name, problem)
    parts = [
        edit_terms(problem.weight, problem.keys[part], problem.values[part], space)
        for part in (slice(cut), slice(cut, None))
    ]
    at_once = METHODS[name](space).edit(problem.weight, problem.keys, problem.values)
    read = torch.cat([problem.keys, problem.others, problem.moment.root])
    found, expected = (read @ edit.delta().T for edit in (form(parts[0].then(parts[1])), at_once))
    assert_close(found, expected, rounding(problem, at_once, space))


def edits_can_leave(name: str, problem: EditProblem, gone: int, form: Form) -> None:
    """Edits without one of them are those that never had it."""
    space = space_of(name, problem)
    rest = [place for place in range(len(problem.keys)) if place != gone]
    at_once = METHODS[name](space).edit(problem.weight, problem.keys[rest], problem.values[rest])
    terms = edit_terms(problem.weight, problem.keys, problem.values, space)
    read = torch.cat([problem.keys, problem.others, problem.moment.root])
    found, expected = (read @ edit.delta().T for edit in (form(terms.at(rest)), at_once))
    assert_close(found, expected, rounding(problem, at_once, space))


several = edit_problems(("generic", "clustered", "whitened_orthogonal"), distinct=True).filter(
    lambda problem: len(problem.keys) > 1
)


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=20)
@given(several, st.data())
def test_terms_of_a_stream_go_on_as_if_all_edits_were_made_at_once(
    name: str, problem: EditProblem, data: st.DataObject
) -> None:
    streams_go_on(name, problem, data.draw(st.integers(1, len(problem.keys) - 1)), FORMS[name])


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=20)
@given(several, st.data())
def test_terms_without_an_edit_are_as_if_it_never_was(name: str, problem: EditProblem, data: st.DataObject) -> None:
    edits_can_leave(name, problem, data.draw(st.integers(0, len(problem.keys) - 1)), FORMS[name])


@pytest.mark.parametrize("law", [streams_go_on, edits_can_leave])
@pytest.mark.parametrize("name", ["sequential", "joint"])
def test_a_sum_of_separate_edits_is_caught(name: str, law: Callable[..., None]) -> None:
    """The fault of a history of deltas: each edit as if the others were not there."""

    def apart(terms: EditTerms) -> Edit:
        made = [FORMS[name](terms.at([place])) for place in range(len(terms))]
        return Edit(torch.cat([edit.left for edit in made], dim=1), torch.cat([edit.right for edit in made]))

    @settings(max_examples=10, phases=[Phase.generate])
    @given(several)
    def check(problem: EditProblem) -> None:
        law(name, problem, 1, apart)

    with pytest.raises(AssertionError):
        check()


def test_terms_of_different_counts_are_refused() -> None:
    rows = torch.ones(2, 3, dtype=torch.float64)
    with refused(InputError, what="keys, residuals and directions", got="(2, 3), (1, 3)", expected="(n, d_key)"):
        EditTerms(rows, rows[:1], rows)
