"""What a law may conclude: nothing where its tolerance is too large, and what may follow from another law's failure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from conformance_mutants import ZOO
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import assert_close

from ks_core.conformance import BoundLaw, Traits, check_editor, reference
from ks_core.conformance.causes import cause_of, first_broken
from ks_core.conformance.checking import hold
from ks_core.conformance.editors import Editor
from ks_core.conformance.law import POWER, Gap, Law
from ks_core.conformance.oracles import closed_form
from ks_core.conformance.problems import after_earlier, problems, some_edits
from ks_core.conformance.reference_claims import editor_claiming
from ks_core.conformance.registry import LAWS, laws_for
from ks_core.conformance.report import table, with_causes
from ks_core.conformance.strategies import EditProblem
from ks_core.conformance.tolerances import effect, update_of_values
from ks_core.theory.traits import FAMILIES

RIGHT = Editor.of(reference.sequential)
CLAIMS = st.builds(
    Traits,
    order=st.sampled_from(["sequential", "joint"]),
    ridge=st.sampled_from([0.0, 0.5, 15_000.0]),
    share=st.sampled_from([0.2, 1.0]),
    metric=st.sampled_from(["second_moment", "identity"]),
    protected=st.booleans(),
)
MEMORY = Traits(order="joint", ridge=10.0, stateful=True, remembers=True)


def test_noise_is_not_taken_for_state_and_generators_are_left_alone() -> None:
    editor = Editor.of(ZOO["noise_without_a_seed"].editor)
    before = torch.random.get_rng_state()
    assert hold(LAWS["no_state_between_streams"], Editor.of(reference.sequential), max_examples=3).outcome == "passed"
    assert torch.equal(torch.random.get_rng_state(), before)
    assert hold(LAWS["no_state_between_streams"], editor, max_examples=10).outcome == "passed"
    assert hold(LAWS["same_input_gives_the_same_output"], editor, max_examples=10).outcome == "failed"


def law_with(*gaps: Gap, first: bool = False) -> Law:
    """A law of one example whose gaps are these."""

    def check(_editor: Any, _example: Any) -> Iterator[Gap]:
        yield from gaps

    return Law("planted", "editor", "f", "w", "c", (), problems, check, first)


def gap(size: float, allowed: float, effect: float) -> Gap:
    return Gap("x", torch.full((1,), size), torch.zeros(1), allowed, effect)


@pytest.mark.parametrize(
    ("gaps", "outcome"),
    [
        ([gap(0.0, 0.05, 1.0)], "passed"),
        ([gap(0.0, 0.2, 1.0)], "undecided"),
        ([gap(0.5, 0.2, 1.0)], "failed"),  # more than rounding is a fault, however little power there is
        ([gap(0.0, 0.05, 1.0), gap(0.0, 0.2, 1.0)], "undecided"),  # both are what the law says
        ([gap(0.0, 0.0, 0.0)], "passed"),  # bits
        ([gap(0.0, 1e-20, 0.0)], "undecided"),  # no effect to look for
    ],
)
def test_law_refuses_to_judge_where_rounding_is_not_little(gaps: list[Gap], outcome: str) -> None:
    result = hold(law_with(*gaps), RIGHT, max_examples=1)
    assert result.outcome == outcome
    assert (result.examples > 0, result.unjudged) == ((False, 1) if outcome == "undecided" else (True, 0))
    if outcome == "undecided":
        assert result.reason.startswith("0 of 1 examples could be judged: rounding may do ")
        assert f"at most {POWER:g} of that" in result.reason


@pytest.mark.parametrize(("judged", "outcome"), [(1, "undecided"), (2, "passed")])
def test_few_examples_that_can_be_judged_are_not_enough(judged: int, outcome: str) -> None:
    tried: list[Any] = []

    def check(_editor: Any, example: Any) -> Iterator[Gap]:
        tried.append(example)
        yield gap(0.0, 0.05 if len(tried) <= judged else 0.2, 1.0)

    law = replace(law_with(), check=check)
    result = hold(law, RIGHT, max_examples=10)
    assert (result.outcome, result.examples, result.unjudged) == (outcome, judged, 10 - judged)


def test_undecided_law_is_skipped_by_pytest_and_called_undecided_in_the_table() -> None:
    bound = BoundLaw(law_with(gap(0.0, 1.0, 1.0)), RIGHT)
    with pytest.raises(pytest.skip.Exception, match=r"0 of \d+ examples could be judged"):
        bound()
    assert bound.result is not None
    row = {"subject": "editor", "implementation": "x", **replace(bound.result, law="last_edit_is_exact").as_dict()}
    lines = table([row])
    assert "undecided" in lines[2]
    assert lines[-1] == "  1 undecided"


def test_arithmetic_cannot_be_judged_through_a_narrower_result() -> None:
    """Float64 inside and float32 returned: which of both rounded cannot be told, and nothing is passed."""
    editor = Editor.of(editor_claiming(returns="float32"))
    result = hold(LAWS["arithmetic_is_as_precise_as_claimed"], editor, max_examples=10)
    assert (result.outcome, result.examples) == ("undecided", 0)


@pytest.mark.parametrize("ridge", [1e-6, 10.0, 15_000.0, 1e9])
def test_most_examples_are_judged_whatever_the_ridge(ridge: float) -> None:
    """Keys are as long as the ridge is large: in float32 what is written is beside it neither little nor all."""
    editor = Editor.of(editor_claiming(order="joint", ridge=ridge, dtype="float32"))
    result = hold(LAWS["closed_form_ridge"], editor, max_examples=20)
    assert result.outcome == "passed"
    assert result.examples >= 10


def test_who_refuses_everything_passes_only_where_a_clear_error_is_an_answer() -> None:
    def refuse(*_: Any) -> Any:
        raise ValueError("no edits today")

    results = {result.law: result for result in check_editor(refuse, max_examples=3)}
    assert results["result_is_a_weight"].outcome == "failed"
    assert {name for name, result in results.items() if result.outcome == "passed"} == {
        "ill_conditioned_second_moments_are_survived",
        "rank_deficient_second_moments_are_not_inverted",
    }
    law = results["float32_agrees_with_exact_arithmetic"]
    assert (law.outcome, law.examples) == ("undecided", 0)
    assert law.reason == (
        "0 of 3 examples could be judged: on the others it was refused, or what was wrong is for another law to name"
    )


def test_error_that_is_no_rounding_is_left_to_the_law_that_names_it() -> None:
    result = hold(LAWS["arithmetic_is_as_precise_as_claimed"], Editor.of(ZOO["sign"].editor), max_examples=10)
    assert (result.outcome, result.examples) == ("undecided", 0)


def test_torch_is_as_it_was_for_the_next_law() -> None:
    editor = Editor.of(ZOO["gradients_switched_off"].editor)
    hold(LAWS["last_edit_is_exact"], editor, max_examples=2)
    assert torch.is_grad_enabled()
    result = hold(LAWS["process_is_left_as_it_was"], editor, max_examples=2)
    assert "what changed of the default dtype, the gradient mode," in result.message


def test_float16_with_a_large_ridge_is_not_blamed_for_what_it_cannot_hold() -> None:
    editor = editor_claiming(order="joint", ridge=1e9, dtype="float16")
    assert [result.law for result in check_editor(editor, max_examples=5) if result.outcome == "failed"] == []


# --- first causes first -----------------------------------------------------------------------------------------------


def test_laws_that_others_rest_on_stand_first() -> None:
    names = [law.name for law in laws_for("editor")]
    first = [law.name for law in laws_for("editor") if law.first]
    assert names[: len(first)] == first
    assert first[:4] == [
        "result_is_a_weight",
        "inputs_are_not_modified",
        "no_state_between_streams",
        "process_is_left_as_it_was",
    ]


def test_later_failures_say_from_what_they_may_follow() -> None:
    results = {
        result.law: result for result in check_editor(ZOO["keys_remembered_in_the_module"].editor, max_examples=10)
    }
    cause = "no_state_between_streams"
    failed = [result for result in results.values() if result.outcome == "failed"]
    assert results[cause].may_follow_from == ""
    assert "may follow" not in results[cause].message
    assert len(failed) > 1
    for result in failed[1:]:
        assert result.may_follow_from == cause
        assert result.message.endswith(f"may follow from {cause}, which is broken too: mend that first")
    rows = [{"subject": "editor", "implementation": "x", **result.as_dict()} for result in results.values()]
    rows = [row | {"may_follow_from": ""} for row in reversed(rows)]  # as other processes leave them
    assert {row["law"]: row["may_follow_from"] for row in with_causes(rows)} == {
        name: result.may_follow_from for name, result in results.items()
    }
    assert f"may follow from {cause}" in "\n".join(table(rows))


def test_no_failure_follows_from_a_later_law_or_from_one_that_holds() -> None:
    assert first_broken([("inputs_are_not_modified", "passed"), ("last_edit_is_exact", "failed")]) == ()
    assert cause_of("result_is_a_weight", ["inputs_are_not_modified"]) == ""
    assert cause_of("last_edit_is_exact", ["inputs_are_not_modified"]) == "inputs_are_not_modified"


def test_expected_failures_are_causes_too() -> None:
    known = {"no_state_between_streams": "by design"}
    results = check_editor(ZOO["keys_remembered_in_the_module"].editor, xfails=known, max_examples=10)
    failed = [result for result in results if result.outcome == "failed"]
    assert {result.may_follow_from for result in failed} == set(known)


def test_not_finite_is_called_so_whichever_law_finds_it() -> None:
    results = check_editor(ZOO["divides_by_zero"].editor, max_examples=3)
    causes = {result.law: result.usual_cause for result in results if result.outcome == "failed"}
    assert "same_input_gives_the_same_output" in causes
    assert all(cause.startswith("not finite: ") for cause in causes.values())


# --- what laws compare with -------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.data(), CLAIMS)
def test_update_of_values_is_the_closed_form(data: st.DataObject, claims: Traits) -> None:
    """The quick one in float64 against exact arithmetic: the effect need only be right to a digit."""
    problem = data.draw(problems(claims))
    expected = (closed_form(problem, claims) - problem.weight) @ problem.moment.root
    got = update_of_values(problem, claims) @ problem.moment.basis.T
    assert_close(got, expected, 1e-3 * float(expected.abs().max()) + 1e-12)
    assert effect(problem, claims) == pytest.approx(float(expected.abs().max()), rel=2e-3)


@settings(max_examples=30)
@given(problems(MEMORY, fewest=2))
def test_calls_with_a_memory_are_one_call_with_all_edits(problem: EditProblem) -> None:
    """Recursive least squares: a batch after another, the earlier keys as text, ends where all at once do."""
    cut = len(problem.keys) // 2
    first, second = some_edits(problem, slice(cut)), some_edits(problem, slice(cut, None))
    after = closed_form(first, MEMORY)
    later, claims = after_earlier(replace(second, weight=after), MEMORY, first.keys)
    got, expected = closed_form(later, claims), closed_form(problem, MEMORY)
    root = later.moment.root
    # `after_earlier` rounds A once, and its spectrum; both weigh as much as the smallest eigenvalue of A lets them.
    relative = 1e3 * torch.finfo(torch.float64).eps * later.moment.condition_number
    assert_close(got @ root, expected @ root, relative * float((expected @ root).norm() + (after @ root).norm()))


@pytest.mark.parametrize("remembers", [False, True])
def test_memory_that_is_not_claimed_and_one_that_is_claimed_and_not_kept_are_both_found(remembers: bool) -> None:
    claims = {"order": "joint", "ridge": 10.0, "stateful": True}
    editor = Editor.of(editor_claiming(**claims, remembers=remembers)).with_traits(remembers=not remembers)
    assert hold(LAWS["calls_of_a_stream_follow_each_other"], editor, shrink=False).outcome == "failed"


@pytest.mark.parametrize(
    "claims",
    [
        {"order": "joint", "ridge": 10.0, "metric": "identity", "protected": True, "stateful": True, "remembers": True},
        {"order": "joint", "ridge": 15_000.0, "share": 0.2, "dtype": "float32"},
        {"order": "joint", "share": 0.5**0.5},
        {"metric": "identity", "dtype": "float32", "computes": "float64"},
        {"share": 0.5, "ridge": 3.0, "returns": "float32"},
        {"dtype": "bfloat16"},
        {"dtype": "float16", "order": "joint", "ridge": 1.0},
    ],
)
def test_editor_that_is_what_it_claims_breaks_no_law(claims: dict[str, Any]) -> None:
    results = check_editor(editor_claiming(**claims), max_examples=10)
    assert [result.message for result in results if result.outcome == "failed"] == []
    assert sum(result.outcome == "passed" for result in results) >= 15


def test_families_have_a_default_of_all() -> None:
    assert Traits().families == FAMILIES
