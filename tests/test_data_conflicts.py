"""Edits that say two things of one subject, or one thing twice."""

from dataclasses import replace

import pytest

from ks_core.data.conflicts import conflicts, warn_of_conflicts
from ks_core.data.facts import Fact

HUGO = Fact(7, "Victor Hugo", "P103", "As a child, {} spoke", "French", "Dutch")
OTHERS = (
    replace(HUGO, case_id=8, subject="Émile Zola"),
    replace(HUGO, case_id=9, relation_id="P27"),
    replace(HUGO, case_id=10, subject="Victor Hugo Jr"),
)


def test_edits_of_different_subjects_or_relations_do_not_conflict():
    assert conflicts([HUGO, *OTHERS]) == []
    assert conflicts([]) == []


def test_the_same_edit_twice_is_a_duplicate_whatever_its_wording():
    again = replace(HUGO, case_id=11, prompt="{} grew up with")
    assert conflicts([HUGO, *OTHERS, again]) == ["edits 7 and 11 are duplicates: 'Victor Hugo' (P103) is to be 'Dutch'"]


def test_two_objects_of_one_subject_contradict_each_other_in_the_order_given():
    other = replace(HUGO, case_id=3, target_new="Polish")
    assert conflicts([HUGO, *OTHERS, other]) == [
        "edits 7 and 3 contradict each other: 'Victor Hugo' (P103) is to be 'Dutch' and 'Polish'"
    ]
    assert conflicts([other, HUGO]) == [
        "edits 3 and 7 contradict each other: 'Victor Hugo' (P103) is to be 'Polish' and 'Dutch'"
    ]


def test_of_three_edits_of_one_subject_each_later_one_is_held_against_the_first():
    later = [replace(HUGO, case_id=11, target_new="Polish"), replace(HUGO, case_id=12)]
    found = conflicts([HUGO, *later])
    assert [sentence.split(":")[0] for sentence in found] == [
        "edits 7 and 11 contradict each other",
        "edits 7 and 12 are duplicates",
    ]


def test_true_objects_and_paraphrases_make_no_conflict():
    assert len(conflicts([HUGO, replace(HUGO, case_id=8, target_true="Latin", paraphrase_prompts=("Hugo said",))])) == 1
    assert conflicts([HUGO, replace(OTHERS[0], target_true="Dutch", target_new="French")]) == []


def test_each_conflict_is_one_warning_that_names_the_edits():
    edits = [HUGO, replace(HUGO, case_id=11, target_new="Polish"), *OTHERS, replace(HUGO, case_id=12)]
    with pytest.warns(UserWarning, match="edits 7 and") as caught:
        warn_of_conflicts(edits)
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 2
    assert messages[0].startswith("edits 7 and 11 contradict each other: 'Victor Hugo' (P103)")
    assert messages[1].startswith("edits 7 and 12 are duplicates")
    assert all("the last holds" in message for message in messages)
    assert all(warning.filename == __file__ for warning in caught), "a warning should point at the caller"


def test_edits_without_conflicts_give_no_warning(recwarn):
    warn_of_conflicts([HUGO, *OTHERS])
    assert len(recwarn) == 0
