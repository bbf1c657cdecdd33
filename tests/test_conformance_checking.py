"""Results and messages: the smallest counterexample, clear findings, expected failures, bad input."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from conformance_mutants import ZOO, edited
from errors import Parts, refused

from ks_core.conformance import (
    BoundLaw,
    LawResult,
    Traits,
    check_collector,
    check_editor,
    check_extractor,
    reference,
    traits,
)
from ks_core.conformance.checking import hold
from ks_core.conformance.editors import Editor
from ks_core.conformance.law import Gap, bits
from ks_core.conformance.registry import LAWS, laws_for
from ks_core.conformance.results import OUTCOMES
from ks_core.errors import InputError
from ks_core.theory.traits import traits_of


def result_of(editor: Any, law: str, claims: Traits | None = None) -> LawResult:
    return hold(LAWS[law], Editor.of(editor, claims))


def test_failure_names_law_size_tolerance_counterexample_and_cause() -> None:
    result = result_of(ZOO["sign"].editor, "single_edit_is_the_formula")
    assert result.outcome == "failed"
    assert result.violation > result.tolerance > 0
    law = LAWS["single_edit_is_the_formula"]
    for part in (law.name, law.formula, law.why, law.usual_cause, "that rounding allows", "second_moment (3, 3)"):
        assert part in result.message
    assert result.usual_cause == law.usual_cause


def test_counterexample_is_the_smallest() -> None:
    """Width 3 is the least that is drawn; the identity, one edit and one value are the simplest."""
    found = result_of(ZOO["sign"].editor, "single_edit_is_the_formula").counterexample
    assert found["second_moment"] == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    assert [len(found[name]) for name in ("weight", "keys", "values")] == [1, 1, 1]


def test_failure_that_does_not_repeat_is_reported_and_not_raised() -> None:
    calls = []

    def first_call_differs(weight: Any, keys: Any, values: Any, second_moment: Any) -> Any:
        calls.append(1)
        return edited(weight, keys, values, second_moment) + (1.0 if len(calls) == 3 else 0.0)

    result = result_of(first_call_differs, "single_edit_is_the_formula")
    assert result.outcome == "failed"
    assert "single_edit_is_the_formula" in result.message


@pytest.mark.parametrize(
    ("editor", "message"),
    [
        (lambda *_: None, "the editor returned a NoneType; expected an array"),
        (lambda w, *_: w.T, r"the editor returned shape \(3, 1\); expected \(1, 3\)"),
        (lambda w, *_: w * float("nan"), "the editor returned 3 NaN or infinite entries of 3"),
        (lambda w, *_: w * 1j, "the editor returned complex numbers"),
        (lambda *_: 1 / 0, "the editor raised ZeroDivisionError: division by zero"),
        (lambda w: w, "the editor raised TypeError: "),
    ],
)
def test_editor_that_cannot_be_measured_is_a_clear_finding(editor: Any, message: str) -> None:
    result = result_of(editor, "last_edit_is_exact")
    assert result.outcome == "failed"
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(result.message)


def test_factory_that_fails_or_makes_no_editor_is_a_clear_finding() -> None:
    stateful = Traits(stateful=True)
    assert "the factory returned a int" in result_of(lambda: 1, "last_edit_is_exact", stateful).message
    assert "the factory raised" in result_of(lambda: [][1], "last_edit_is_exact", stateful).message


def test_refusal_is_accepted_only_with_a_message() -> None:
    def silent(*_: Any) -> Any:
        raise ValueError

    def said(*_: Any) -> Any:
        raise ValueError("the second moment is singular")

    law = "rank_deficient_second_moments_are_not_inverted"
    assert result_of(silent, law).outcome == "failed"
    assert result_of(said, law).outcome == "passed"
    assert result_of(said, "last_edit_is_exact").outcome == "failed"


def test_check_editor_gives_one_result_for_each_law() -> None:
    results = check_editor(reference.joint, max_examples=3)
    assert [result.law for result in results] == [law.name for law in laws_for("editor")]
    assert {result.outcome for result in results} == {"passed", "skipped"}
    skipped = {result.law: result.reason for result in results if result.outcome == "skipped"}
    assert skipped["stream_can_be_cut_anywhere"] == "applies to sequential editors only"


def test_check_editor_takes_expected_failures_and_skips() -> None:
    results = check_editor(
        ZOO["residuals_at_w0"].editor,
        xfails={"stream_can_be_cut_anywhere": "by design", "empty_stream_changes_nothing": "once"},
        skips=["last_edit_is_exact"],
        max_examples=20,
    )
    found = {result.law: result for result in results}
    assert found["stream_can_be_cut_anywhere"].outcome == "xfailed"
    assert found["stream_can_be_cut_anywhere"].reason == "by design"
    assert found["empty_stream_changes_nothing"].outcome == "xpassed"
    assert found["last_edit_is_exact"].outcome == "skipped"
    assert {result.outcome for result in results} <= set(OUTCOMES)


def test_results_are_json() -> None:
    """Of laws that hold, that do not apply, and that are broken by numbers that JSON has not."""
    few = {"every_edit_holds", "inputs_are_not_modified", "last_edit_is_exact"}
    skips = [law.name for law in laws_for("editor") if law.name not in few]
    results = check_editor(ZOO["divides_by_zero"].editor, max_examples=2, skips=skips)
    assert {result.outcome for result in results} == {"passed", "failed", "skipped"}
    for result in results:
        assert json.loads(json.dumps(result.as_dict(), allow_nan=False))["law"] == result.law


def test_same_seed_gives_the_same_result() -> None:
    first, second = (check_editor(reference.sequential, max_examples=4, seed=5) for _ in range(2))
    assert first == second
    assert first != check_editor(reference.sequential, max_examples=4, seed=6)


def test_check_refuses_what_it_cannot_use() -> None:
    with pytest.raises(InputError, match="the editor is a int; expected a function edit"):
        check_editor(3)
    with pytest.raises(InputError, match="the collector is a int; expected a function collect"):
        check_collector(3)
    with pytest.raises(InputError, match="the extractor is a int; expected a function"):
        check_extractor(3)
    with pytest.raises(InputError, match="traits are a dict"):
        check_editor(edited, {"order": "joint"})  # type: ignore[arg-type]
    with refused(InputError, what="'nonsense'", expected="last_edit_is_exact"):
        check_editor(edited, skips=["nonsense"])
    with pytest.raises(InputError, match="max_examples is 0"):
        check_editor(edited, max_examples=0)


def test_numpy_editor_gets_numpy_arrays_of_its_dtype() -> None:
    seen = []

    @traits(array="numpy", dtype="float32")
    def spy(*arrays: Any) -> Any:
        seen.extend(arrays)
        return arrays[0]

    hold(LAWS["empty_stream_changes_nothing"], Editor.of(spy), max_examples=1)
    assert all(isinstance(array, np.ndarray) and array.dtype == np.float32 for array in seen)


@pytest.mark.parametrize(
    ("claims", "what", "got", "expected"),
    [
        ({"order": "random"}, "order", "'random'", ("'sequential'", "'joint'")),
        ({"dtype": "int8"}, "dtype", "'int8'", ("'float64'", "'float32'")),
        ({"array": "jax"}, "array", "'jax'", ("'torch'", "'numpy'")),
        ({"ridge": -1.0}, "ridge", "-1.0", ("finite number", "0 for exact edits")),
        ({"ridge": "much"}, "ridge", "'much'", "a finite number"),
        ({"protected": 1}, "protected", "1", "True or False"),
        ({"share": 0.0}, "share", "0.0", ("above 0", "1 for all of it")),
        ({"share": 2}, "share", "2", "at most 1"),
        ({"metric": "C"}, "metric", "'C'", ("'second_moment'", "'identity'")),
        ({"computes": "float16"}, "computes", "'float16'", ("'float64'", "'float32'")),
        ({"returns": "int8"}, "returns", "'int8'", "'bfloat16'"),
        ({"accumulates": "bfloat16"}, "accumulates", "'bfloat16'", "'float32'"),
        ({"families": ("bert",)}, "families", "('bert',)", ("'llama'", "'gpt2'")),
        ({"families": ()}, "families", "()", "a tuple of some"),
        ({"families": (["llama"],)}, "families", "(['llama'],)", "a tuple of some"),
        ({"dtype": ["float64"]}, "dtype", "['float64']", "'float64'"),
        ({"share": float("nan")}, "share", "nan", "at most 1"),
        ({"remembers": True}, "remembers", "True", ("order='joint'", "a ridge", "stateful=True")),
        ({"dtype": "bfloat16", "array": "numpy"}, "array", "'numpy'", "'torch'"),
        ({"exact": True}, "unknown", "'exact'", ("order", "ridge", "protected")),
    ],
)
def test_unknown_traits_are_refused(claims: dict[str, Any], what: str, got: str, expected: Parts) -> None:
    with refused(InputError, what=what, got=got, expected=expected):
        traits(**claims)


def test_traits_are_read_from_the_editor() -> None:
    assert traits_of(reference.ridged) == Traits(order="joint", ridge=reference.RIDGE)
    assert traits_of(len) == Traits()

    def odd() -> None: ...

    odd.ks_traits = "joint"  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="ks_traits is a str; expected Traits"):
        traits_of(odd)


def test_gap_measures_what_is_off() -> None:
    one = torch.ones(2)
    assert Gap("x", one, one).ratio == 0
    assert Gap("x", one + 0.5, one, allowed=0.25).ratio == 2
    assert Gap("x", one * float("nan"), one, allowed=1.0).ratio == float("inf")
    assert Gap("x", torch.empty(0), torch.empty(0)).size == 0
    assert bits("x", torch.ones(3), one).ratio == float("inf")
    assert bits("x", one, one.clone()).ratio == 0


def test_every_law_says_what_holds_why_it_matters_and_what_breaks_it() -> None:
    for law in LAWS.values():
        assert all((law.formula, law.why, law.usual_cause)), law.name
        assert law.check.__doc__, law.name
    assert len(laws_for("editor")) == 36
    assert len(laws_for("collector")) == 10
    assert len(laws_for("extractor")) == 8


def test_law_that_is_broken_fails_the_test_with_its_message() -> None:
    bound = BoundLaw(LAWS["last_edit_is_exact"], Editor.of(ZOO["sign"].editor))
    with pytest.raises(pytest.fail.Exception, match="breaks the law last_edit_is_exact"):
        bound()
    skipped = BoundLaw(LAWS["every_edit_holds"], Editor.of(edited))
    with pytest.raises(pytest.skip.Exception, match="applies to joint and exact editors only"):
        skipped()
