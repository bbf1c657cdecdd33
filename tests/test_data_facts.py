"""Facts, sets of them, and the files they are read from."""

from dataclasses import replace

import numpy as np
import pytest
from errors import refused, says
from hypothesis import assume, given
from hypothesis import strategies as st

from ks_core.data.facts import Fact, FactSet, as_facts, same_text
from ks_core.data.white_space import tidy_name, tidy_prompt
from ks_core.errors import InputError

plain_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}\0"), max_size=20)
subjects = plain_text.filter(str.strip)


def fact(case_id=1, subject="Victor Hugo", relation="P103", true="French", new="Dutch", prompt="As a child, {} spoke"):
    return Fact(case_id, subject, relation, prompt, true, new, ("Words of Victor Hugo were in",), ("Voltaire spoke",))


# --- one fact


@given(before=plain_text, subject=subjects, after=plain_text)
def test_subject_span_cuts_the_subject_out_of_the_text(before, subject, after):
    prompt, subject = tidy_prompt(f"{before}{{}}{after}"), tidy_name(subject)
    assume(subject)
    before, after = prompt.split("{}")
    one = fact(subject=subject, prompt=prompt)
    start, end = one.subject_span
    assert one.text == before + subject + after
    assert (one.text[:start], one.text[start:end], one.text[end:]) == (before, subject, after)


def test_subject_span_is_not_the_first_occurrence():
    one = fact(subject="Al", prompt="Also known, {} spoke")
    planted = one.text.find("Al")  # the obvious wrong way
    assert planted != one.subject_span[0]
    assert one.text[slice(*one.subject_span)] == "Al"


UNTIDY = [
    ({"target_true": " French"}, "' French'", "'French'"),
    ({"target_true": "French "}, "'French '", "'French'"),
    ({"target_new": "Dutch\n"}, "'Dutch\\n'", "'Dutch'"),
    ({"target_new": "Low\tGerman"}, "'Low\\tGerman'", "'Low German'"),
    ({"subject": "Victor\u00a0Hugo"}, "'Victor\\xa0Hugo'", "'Victor Hugo'"),
    ({"subject": "Victor  Hugo"}, "'Victor  Hugo'", "'Victor Hugo'"),
    ({"subject": "Victor Hugo\u200b"}, "'Victor Hugo\\u200b'", "'Victor Hugo'"),
    ({"relation_id": "P103 "}, "'P103 '", "'P103'"),
    ({"prompt": "{} spoke "}, "'{} spoke '", "'{} spoke'"),
    ({"prompt": " {} spoke"}, "' {} spoke'", "'{} spoke'"),
    ({"prompt": "As a child,  {}  spoke"}, "'As a child,  {}  spoke'", "'As a child, {} spoke'"),
    ({"paraphrase_prompts": ("fine", "His language was ")}, ("[1]", "'His language was '"), "'His language was'"),
    ({"neighborhood_prompts": (" Voltaire spoke",)}, ("[0]", "' Voltaire spoke'"), "'Voltaire spoke'"),
]


@pytest.mark.parametrize(("changes", "got", "expected"), UNTIDY)
def test_fact_refuses_white_space_that_means_nothing_and_says_what_to_write(changes, got, expected):
    with refused(InputError, what=tuple(changes), got=got, expected=expected):
        replace(fact(), **changes)


WRONG = [
    ({"prompt": "no place"}, "0 places", "exactly one {}"),
    ({"prompt": "{} and {}"}, "2 places", "exactly one {}"),
    ({"subject": " "}, "' '", "a non-empty text"),
    ({"target_new": "French"}, "'French'", "two different objects"),
    ({"subject": "A\0B"}, "'A\\x00B'", "without NUL"),
    ({"prompt": "{} spoke\0"}, "'{} spoke\\x00'", "without NUL"),
    ({"target_new": "\ud800"}, "'\\ud800'", "half surrogate pairs"),
    ({"prompt": "{} \udfff"}, "'{} \\udfff'", "half surrogate pairs"),
    ({"paraphrase_prompts": ("\ud800",)}, ("[0]", "'\\ud800'"), "a text"),
    ({"subject": 5}, "5", "a text"),
    ({"target_true": None}, "None", "a text"),
    ({"paraphrase_prompts": "abc"}, "'abc'", "a collection of texts"),
    ({"neighborhood_prompts": (b"abc",)}, ("[0]", "b'abc'"), "a text"),
    ({"paraphrase_prompts": ("{} wrote in",)}, "'{} wrote in'", "its subject in the place of {}"),
    ({"case_id": "7"}, "'7'", "a whole number"),
    ({"case_id": True}, "True", "a whole number"),
    ({"case_id": 7.0}, "7.0", "a whole number"),
    ({"case_id": 10**5000}, "type int", "at most 9223372036854775807"),
    ({"target_true": "Caf\u00e9", "target_new": "Cafe\u0301"}, "'Caf", "two different objects"),
]


@pytest.mark.parametrize(("changes", "got", "expected"), WRONG)
def test_fact_refuses_what_is_no_fact(changes, got, expected):
    with pytest.raises(InputError) as caught:
        replace(fact(), **changes)
    says(caught.value, what=tuple(changes), got=got, expected=expected)
    assert len(str(caught.value)) < 300


def test_fact_keeps_what_is_text_though_odd():
    """Control characters other than NUL pass, joiners and decomposed characters too: nothing is changed silently."""
    for subject in ("\x1b[2J", "Cafe\u0301", "👩\u200d👩\u200d", "\u0645\u06cc\u200c"):
        assert fact(subject=subject).subject == subject
    assert fact(prompt="Q: {}?\nA:").prompt == "Q: {}?\nA:"


def test_fact_takes_numbers_of_numpy_and_lists_as_what_they_are():
    one = replace(fact(), case_id=np.int64(7), paraphrase_prompts=["Hugo wrote in"])
    assert type(one.case_id) is int
    assert one == replace(fact(7), paraphrase_prompts=("Hugo wrote in",))
    assert hash(one)


def test_separators_of_a_fact_follow_from_prompt_and_object():
    assert fact().separators == (" ", " ")
    japanese = Fact(1, "フランス", "P36", "{}の首都は", "パリ", "London")
    assert (japanese.separators, japanese.statement) == (("", " "), "フランスの首都はパリ")


# --- sets of facts


def small_set():
    facts = (fact(3), fact(1, "Dante", true="Italian"), fact(2, "France", "P36", "Paris", "Rome"), fact(9, "Voltaire"))
    return FactSet(facts, "small", "0" * 64, "a test")


def test_fact_set_groups_relations_and_objects():
    facts = small_set()
    assert len(facts) == 4
    assert [one.case_id for one in facts] == [3, 1, 2, 9]
    assert facts.relations == ("P103", "P36")
    assert facts.objects("P103") == ("French", "Italian")
    assert facts.objects("P999") == ()


def test_subset_keeps_the_order_of_the_ids():
    part = small_set().subset([9, 3])
    assert [one.case_id for one in part] == [9, 3]
    assert part.sha256 == small_set().sha256


def test_subset_refuses_ids_that_are_not_there():
    with refused(InputError, what="small", got=("77", "2 of 3")):
        small_set().subset([3, 77, 78])


@pytest.mark.parametrize("ids", ["39", b"3", 3, None, ["3"], [3.0], [True], {3: 3}])
def test_subset_refuses_what_are_no_ids(ids):
    with pytest.raises(InputError, match=r"expected a (whole number|collection of case ids)"):
        small_set().subset(ids)


@pytest.mark.parametrize("facts", ["abc", b"abc", None, fact(), {"a": fact()}, ["facts.json"], [fact(), None]])
def test_what_is_no_collection_of_facts_is_refused(facts):
    with refused(InputError, what="facts", got=" is ", expected="Fact"):
        as_facts(facts)
    with pytest.raises(InputError, match="expected a"):
        FactSet(facts, "wrong", "0" * 64, "a test")


def test_objects_counts_two_spellings_of_one_object_once():
    facts = (fact(1, true="Café"), fact(2, "Dante", true="Cafe\u0301"), fact(3, "Kant", true="German"))
    assert [same_text("Café", name) for name in FactSet(facts, "x", "0" * 64, "a test").objects("P103")] == [
        True,
        False,
    ]


@pytest.mark.parametrize("ids", [[], [3, 3]])
def test_subset_refuses_none_and_twice(ids):
    with pytest.raises(InputError):
        small_set().subset(ids)


def test_fingerprint_changes_with_any_content_and_with_order():
    facts = small_set()
    other = replace(facts, facts=(replace(facts.facts[0], target_new="Polish"), *facts.facts[1:]))
    prints = {facts.fingerprint, other.fingerprint, facts.subset([1, 3]).fingerprint, facts.subset([3, 1]).fingerprint}
    assert len(prints) == 4
    assert facts.fingerprint == replace(facts, name="renamed").fingerprint
