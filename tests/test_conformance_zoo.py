"""The suite proves itself: reference editors pass, every mutant is caught by the law that names its fault."""

from __future__ import annotations

from typing import Any

import pytest
from conformance_mutants import SEQUENTIAL, ZOO, edited
from conformance_mutants_extractors import EXTRACTORS
from conformance_mutants_joint import JOINT, JOINT_ZOO, jointly
from conformance_mutants_of_others import COLLECTORS

from ks_core.conformance import Traits, reference
from ks_core.conformance.checking import Subject, hold
from ks_core.conformance.collectors import Collector
from ks_core.conformance.editors import Editor
from ks_core.conformance.extractors import Extractor
from ks_core.conformance.registry import LAWS, laws_for

FLOAT32 = Traits(dtype="float32")
EDITORS = ZOO | JOINT_ZOO
REFERENCES = [
    reference.sequential,
    reference.joint,
    reference.ridged,
    reference.sequential_float32,
    reference.sequential_numpy,
    reference.sequential_protected,
    reference.joint_protected,
]


def broken(subject: Subject, *, seed: int = 0, max_examples: int = 20) -> list[str]:
    """Messages of all laws that a subject breaks."""
    laws = laws_for(subject.subject)
    results = [hold(law, subject, seed=seed, max_examples=max_examples, shrink=False) for law in laws]
    return [result.message for result in results if result.outcome == "failed"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("editor", REFERENCES)
def test_reference_editors_break_no_law_whatever_the_seed(editor: Any, seed: int) -> None:
    """The first example of any seed is the simplest; ten others are drawn."""
    assert broken(Editor.of(editor), seed=seed, max_examples=11) == []


def test_reference_collector_and_extractor_break_no_law() -> None:
    assert broken(Collector.of(reference.collector)) == []
    assert broken(Collector.of(reference.collector, FLOAT32)) == []
    assert broken(Extractor.of(reference.extractor)) == []


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


def test_zoo_is_large_and_its_scaffold_is_sound() -> None:
    """The editors that mutants are made from obey the laws, so that what is caught is the fault."""
    assert len(EDITORS) >= 25
    assert broken(Editor.of(edited, SEQUENTIAL)) == []
    assert broken(Editor.of(jointly, JOINT)) == []


@pytest.mark.parametrize(
    "name", ["weight_modified_in_place", "c_overwritten_by_its_factor", "crashes_on_an_empty_stream"]
)
def test_fault_that_touches_one_law_only_is_named_by_that_law_only(name: str) -> None:
    mutant = ZOO[name]
    subject = Editor.of(mutant.editor, mutant.traits)
    results = [hold(law, subject, max_examples=20, shrink=False) for law in laws_for("editor")]
    assert [result.law for result in results if result.outcome == "failed"] == [mutant.law]
