"""The oracle of the conformance suite against the tests' own ones, and the problems it is asked about."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import assert_close, joint_by_normal_equations, lifelong_step_by_step
from strategies import EditProblem, edit_problems

from ks_core.conformance.oracles import closed_form
from ks_core.conformance.problems import MAX_CONDITIONS, in_dtype, problems
from ks_core.conformance.rational import exact, inverse, rounded
from ks_core.conformance.tolerances import allowed, free_rows, tolerance, whitened, whitened_norms
from ks_core.theory.traits import Traits

KINDS = st.builds(
    Traits,
    order=st.sampled_from(["sequential", "joint"]),
    ridge=st.sampled_from([0.0, 0.5]),
    protected=st.booleans(),
    dtype=st.sampled_from(["float64", "float32"]),
)


@settings(max_examples=20)
@given(edit_problems())
def test_sequential_closed_form_is_the_step_by_step_oracle(problem: EditProblem) -> None:
    weights, _ = lifelong_step_by_step(problem.weight, problem.keys, problem.values, problem.moment.matrix)
    assert torch.equal(closed_form(problem, Traits()), weights[-1])


@settings(max_examples=20)
@given(edit_problems(), st.sampled_from([0.25, 0.5, 3.0]))
def test_ridged_closed_form_is_the_normal_equations(problem: EditProblem, ridge: float) -> None:
    """G-form against MEMIT's form, both exact: only the last rounding of W + ΔW may differ."""
    expected = joint_by_normal_equations(problem.weight, problem.keys, problem.values, problem.moment.matrix, ridge)
    got = closed_form(problem, Traits(order="joint", ridge=ridge)) - problem.weight
    scale = float(torch.maximum(problem.weight.abs().max(), expected.abs().max()))
    assert_close(got, expected, 4 * torch.finfo(torch.float64).eps * scale)


@settings(max_examples=20)
@given(edit_problems(("generic",), distinct=True))
def test_joint_closed_form_meets_every_value_exactly(problem: EditProblem) -> None:
    got = exact(closed_form(problem, Traits(order="joint")))
    products = [[sum(w * k for w, k in zip(row, key, strict=True)) for row in got] for key in exact(problem.keys)]
    assert_close(rounded(products), problem.values, 1e-9 * float(problem.values.abs().max() + 1))


@settings(max_examples=20)
@given(problems(Traits(protected=True)))
def test_protected_closed_form_leaves_protected_keys_and_meets_the_last_value(problem: EditProblem) -> None:
    after, limit = closed_form(problem, Traits(protected=True)), allowed(problem, Traits(protected=True))
    assert problem.protected is not None
    longest = float(whitened_norms(problem, problem.protected).max() / whitened_norms(problem, problem.keys).max())
    assert_close(problem.protected @ after.T, problem.protected @ problem.weight.T, limit * max(1.0, longest))
    assert_close(problem.keys[-1] @ after.T, problem.values[-1], limit)


@given(st.data(), KINDS)
def test_problems_fit_their_traits(data: st.DataObject, traits: Traits) -> None:
    problem = data.draw(problems(traits))
    assert (problem.protected is not None) == traits.protected
    assert problem.moment.condition_number <= MAX_CONDITIONS[traits.dtype] * (1 + 1e-12)
    again = in_dtype(problem, traits)
    for name in ("weight", "keys", "values", "others"):
        assert torch.equal(getattr(again, name), getattr(problem, name))
    rows = free_rows(problem)
    assert float(torch.linalg.vector_norm(rows, dim=1).min()) > 0.1, "every key has a part that can be edited"
    if traits.order == "joint" and not traits.ridge:
        assert int(torch.linalg.matrix_rank(rows)) == len(rows)


@given(problems(Traits(protected=True), kinds=("generic",)))
def test_edited_keys_lie_partly_in_the_protected_span(problem: EditProblem) -> None:
    """Else protection would be free, and an editor that ignores it would pass."""
    inside = whitened(problem.moment, problem.keys) - free_rows(problem)
    assert float(torch.linalg.vector_norm(inside, dim=1).min()) > 0.4


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_tolerance_of_one_edit_stays_below_two_percent(dtype: str) -> None:
    unit_roundoff = torch.finfo(getattr(torch, dtype)).eps / 2
    assert tolerance(MAX_CONDITIONS[dtype] ** 1.5, 5, 1, unit_roundoff) < 0.02


def test_inverse_of_a_singular_matrix_is_refused() -> None:
    with pytest.raises(ZeroDivisionError, match="singular"):
        inverse(exact(torch.ones(2, 2)))
