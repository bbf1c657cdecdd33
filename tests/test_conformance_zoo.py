"""The suite proves itself: reference editors pass, every mutant is caught by the law that names its fault."""

from __future__ import annotations

from typing import Any

import pytest
from conformance_mutants import SEQUENTIAL, ZOO, edited
from conformance_mutants_claims import CLAIMS_ZOO, IDENTITY, MEMIT, MEMIT_FLOAT32, memit, unwhitened
from conformance_mutants_collectors import COLLECTORS
from conformance_mutants_extractors import EXTRACTORS
from conformance_mutants_joint import JOINT, JOINT_ZOO, jointly
from conformance_mutants_precision import CORRECT, PRECISION_ZOO
from conformance_mutants_streams import REMEMBERS, STREAM_ZOO, UNWHITENED, Remembering, Unwhitened

from ks_core.conformance import Traits, reference
from ks_core.conformance.causes import first_broken, following
from ks_core.conformance.checking import Subject, hold
from ks_core.conformance.collectors import Collector
from ks_core.conformance.editors import Editor
from ks_core.conformance.extractors import Extractor
from ks_core.conformance.registry import LAWS, laws_for
from ks_core.conformance.results import LawResult

FLOAT32 = Traits(dtype="float32")
EDITORS = ZOO | JOINT_ZOO | PRECISION_ZOO | STREAM_ZOO | CLAIMS_ZOO
REFERENCES = [
    reference.sequential,
    reference.joint,
    reference.ridged,
    reference.sequential_float32,
    reference.sequential_numpy,
    reference.sequential_protected,
    reference.joint_protected,
]
SCAFFOLDS = {
    "edited": (edited, SEQUENTIAL),
    "jointly": (jointly, JOINT),
    "memit": (memit, MEMIT),
    "memit_in_float32": (memit, MEMIT_FLOAT32),
    "unwhitened": (unwhitened, IDENTITY),
    "remembering": (Remembering, REMEMBERS),
    "remembering_unwhitened": (Unwhitened, UNWHITENED),
    **CORRECT,
}
MAY_INVERT = "rank_deficient_second_moments_are_not_inverted"  # scaffolds that solve plainly do, and say nothing of it


def held(subject: Subject, *, seed: int = 0, max_examples: int = 20) -> list[LawResult]:
    """All laws of a subject, but those that do not apply."""
    laws = laws_for(subject.subject)
    results = [hold(law, subject, seed=seed, max_examples=max_examples, shrink=False) for law in laws]
    return [result for result in results if result.outcome != "skipped"]


def broken(subject: Subject, *, seed: int = 0, max_examples: int = 20) -> list[str]:
    """Messages of all laws that a subject breaks, and names of those that could not decide."""
    results = held(subject, seed=seed, max_examples=max_examples)
    return [result.message or result.law for result in results if result.outcome != "passed"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("editor", REFERENCES)
def test_reference_editors_break_no_law_whatever_the_seed(editor: Any, seed: int) -> None:
    """The first example of any seed is the simplest; ten others are drawn."""
    assert broken(Editor.of(editor), seed=seed, max_examples=11) == []


def test_reference_collector_and_extractor_break_no_law() -> None:
    assert broken(Collector.of(reference.collector)) == []
    assert broken(Collector.of(reference.collector, FLOAT32)) == []
    assert broken(Extractor.of(reference.extractor)) == []


@pytest.mark.parametrize("name", SCAFFOLDS)
def test_scaffold_of_the_mutants_is_sound(name: str) -> None:
    """The editors that mutants are made from obey the laws, so that what is caught is the fault."""
    results = held(Editor.of(*SCAFFOLDS[name]))
    assert [result.message for result in results if result.outcome == "failed" and result.law != MAY_INVERT] == []


@pytest.mark.parametrize("name", EDITORS)
def test_mutant_editor_is_caught_by_the_law_that_names_its_fault(name: str) -> None:
    mutant = EDITORS[name]
    result = hold(LAWS[mutant.law], Editor.of(mutant.editor, mutant.traits), shrink=False)
    assert result.outcome == "failed"


@pytest.mark.parametrize("name", COLLECTORS)
def test_mutant_collector_is_caught_by_the_law_that_names_its_fault(name: str) -> None:
    collector, law = COLLECTORS[name]
    assert hold(LAWS[law], Collector.of(collector), shrink=False).outcome == "failed"


@pytest.mark.parametrize("name", EXTRACTORS)
def test_mutant_extractor_is_caught_by_the_law_that_names_its_fault(name: str) -> None:
    extractor, law = EXTRACTORS[name]
    assert hold(LAWS[law], Extractor.of(extractor, FLOAT32), shrink=False).outcome == "failed"


def test_every_law_has_a_mutant() -> None:
    named = {mutant.law for mutant in EDITORS.values()}
    named |= {law for table in (COLLECTORS, EXTRACTORS) for _, law in table.values()}
    assert named == set(LAWS)


def test_no_two_mutants_have_one_name() -> None:
    assert len(EDITORS) == sum(map(len, (ZOO, JOINT_ZOO, PRECISION_ZOO, STREAM_ZOO, CLAIMS_ZOO))) >= 80


ONE_LAW_ONLY = [
    "weight_modified_in_place",
    "c_overwritten_by_its_factor",
    "crashes_on_an_empty_stream",
    "transposed_if_square",
    "transposed_if_square_in_memit",
    "keys_of_the_last_call_only",
    "keys_kept_twice",
    "keys_never_kept",
]


@pytest.mark.parametrize("name", ONE_LAW_ONLY)
def test_fault_that_touches_one_law_only_is_named_by_that_law_only(name: str) -> None:
    mutant = EDITORS[name]
    results = held(Editor.of(mutant.editor, mutant.traits))
    assert {result.law for result in results if result.outcome == "failed"} - {MAY_INVERT} == {mutant.law}


def test_weight_that_is_not_finite_is_called_so_by_every_law() -> None:
    """NaN is not equal to itself, and is not for that a random result, a state or a change of the inputs."""
    mutant = EDITORS["never_a_number"]
    results = [result for result in held(Editor.of(mutant.editor, mutant.traits)) if result.outcome == "failed"]
    assert results[0].law == "result_is_a_weight"
    assert {result.law for result in results if "not finite" not in result.usual_cause} == set()


GROSS = {
    "single_edit_is_the_formula",
    "closed_form_ridge",
    "square_weights_are_not_transposed",
    "interference_is_as_predicted",
    "disturbance_is_least",
    "ill_conditioned_second_moments_are_survived",
    "calls_of_a_stream_follow_each_other",
}
"""Laws that compare an update with the formula, each in its own way."""


@pytest.mark.parametrize(
    "name",
    [
        "unchanged_in_float64",
        "unchanged_in_float32",
        "c_replaced_by_its_size",
        "c_replaced_by_its_size_in_float32",
    ],
)
def test_gross_fault_is_seen_by_every_law_of_the_formula_at_memits_ridge(name: str) -> None:
    """Where a fault's effect is not compared with the tolerance, W itself passes for an edit in float32."""
    mutant = EDITORS[name]
    found = {result.law for result in held(Editor.of(mutant.editor, mutant.traits)) if result.outcome == "failed"}
    assert found >= GROSS


@pytest.mark.parametrize("name", ["keys_kept_in_the_class", "keys_remembered_in_the_class"])
def test_what_a_shared_memory_breaks_besides_may_follow_from_it(name: str) -> None:
    mutant = EDITORS[name]
    results = [result for result in held(Editor.of(mutant.editor, mutant.traits)) if result.outcome == "failed"]
    causes = first_broken([(result.law, result.outcome) for result in results])
    assert causes[0] == mutant.law == "no_state_between_streams"
    assert {following(result, causes).may_follow_from for result in results[1:]} == {mutant.law}


@pytest.mark.parametrize("name", ["c_ignored", "whitened_by_half", "c_replaced_by_its_size", "a_little_of_c_used"])
def test_wrong_direction_is_not_taken_for_rounding(name: str) -> None:
    """Where C is all but the identity, a fault in the use of C is as small as a float32's."""
    mutant = EDITORS[name]
    editor = Editor.of(mutant.editor, mutant.traits)
    outcomes = {hold(LAWS["arithmetic_is_as_precise_as_claimed"], editor, seed=s, shrink=False).outcome for s in (0, 1)}
    assert "failed" not in outcomes


@pytest.mark.parametrize("name", ["nothing_returned", "another_layout_returned", "keys_taken_for_columns"])
def test_what_is_no_weight_breaks_laws_and_not_the_suite(name: str) -> None:
    mutant = EDITORS[name]
    results = held(Editor.of(mutant.editor, mutant.traits), max_examples=3)
    assert (results[0].law, results[0].outcome) == (mutant.law, "failed")
