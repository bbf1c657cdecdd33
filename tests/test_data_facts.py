"""Facts, sets of them, and the files they are read from."""

import copy
import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks_core.data.facts import Fact, FactSet, load_facts, packaged_facts
from ks_core.errors import InputError

plain_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}"), max_size=20)
subjects = plain_text.filter(str.strip)


def fact(case_id=1, subject="Victor Hugo", relation="P103", true="French", new="Dutch", prompt="As a child, {} spoke"):
    return Fact(case_id, subject, relation, prompt, true, new, ("Words of Victor Hugo were in",), ("Voltaire spoke",))


def record(case_id=5, **changes):
    rewrite = {
        "prompt": "As a child, {} spoke",
        "relation_id": "P103",
        "subject": "Victor Hugo",
        "target_new": {"str": "Dutch", "id": "Q7411"},
        "target_true": {"str": "French", "id": "Q150"},
    }
    return {
        "case_id": case_id,
        "requested_rewrite": {**rewrite, **changes},
        "paraphrase_prompts": ["Words of Victor Hugo were in"],
        "neighborhood_prompts": ["Voltaire spoke", "Molière spoke"],
        "attribute_prompts": ["Rembrandt spoke"],
        "generation_prompts": ["Victor Hugo lives in"],
    }


def write(folder, content, name="facts.json"):
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def own_schema(**changes):
    return {"schema": "ks_core/facts/1", "origin": "a test", "licence": "CC0-1.0", "facts": [record()], **changes}


# --- one fact


@given(before=plain_text, subject=subjects, after=plain_text)
def test_subject_span_cuts_the_subject_out_of_the_text(before, subject, after):
    one = fact(subject=subject, prompt=f"{before}{{}}{after}")
    start, end = one.subject_span
    assert one.text == before + subject + after
    assert (one.text[:start], one.text[start:end], one.text[end:]) == (before, subject, after)


def test_subject_span_is_not_the_first_occurrence():
    one = fact(subject="Al", prompt="Also known, {} spoke")
    planted = one.text.find("Al")  # the obvious wrong way
    assert planted != one.subject_span[0]
    assert one.text[slice(*one.subject_span)] == "Al"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": "no place"}, "0 places for the subject; expected exactly one {}"),
        ({"prompt": "{} and {}"}, "2 places for the subject; expected exactly one {}"),
        ({"subject": " "}, "subject is ' '; expected a non-empty text"),
        ({"target_new": "French"}, "target_true and target_new are both 'French'; expected two different objects"),
    ],
)
def test_fact_refuses_what_cannot_be_edited(changes, message):
    with pytest.raises(InputError) as caught:
        replace(fact(), **changes)
    assert message in str(caught.value)


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
    with pytest.raises(InputError, match=r"small has no fact with case_id 77 \(2 of 3 ids are missing\)"):
        small_set().subset([3, 77, 78])


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


# --- files


def test_counterfact_file_gives_its_records(tmp_path):
    path = write(tmp_path, [record(5), record(2, subject="Molière")])
    facts = load_facts(path)
    assert [one.case_id for one in facts] == [5, 2]
    assert facts.facts[1] == Fact(
        case_id=2,
        subject="Molière",
        relation_id="P103",
        prompt="As a child, {} spoke",
        target_true="French",
        target_new="Dutch",
        paraphrase_prompts=("Words of Victor Hugo were in",),
        neighborhood_prompts=("Voltaire spoke", "Molière spoke"),
    )
    assert facts.name == "facts.json"
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_own_schema_gives_the_same_facts_with_an_origin(tmp_path):
    without_ids = record()
    for target in ("target_true", "target_new"):
        del without_ids["requested_rewrite"][target]["id"]
    own = load_facts(write(tmp_path, own_schema(facts=[without_ids]), "own.json"))
    assert own.facts == load_facts(write(tmp_path, [record()])).facts
    assert own.origin == "a test"


def test_byte_order_mark_is_accepted(tmp_path):
    path = tmp_path / "facts.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps([record()]).encode())
    assert len(load_facts(path)) == 1


def test_packaged_facts_have_a_name():
    assert load_facts("packaged") == packaged_facts()


BAD_BYTES = [
    (b"", "is empty; expected a JSON list"),
    (b" \n", "is empty; expected a JSON list"),
    (b"{not json", "is not JSON: Expecting property name enclosed in double quotes at line 1"),
    (b'{"case_id": 1}\n{"case_id": 2}\n', "is not JSON: Extra data at line 2"),
    (b'["caf\xe9"]', "is not UTF-8 (byte 5)"),
    (b"[" * 100_000, "is nested too deeply"),
    (b"[]", "the list of records is empty; expected at least one fact"),
    (b"3", "the records are 3; expected a JSON list"),
    (b'["x"]', "record 0: the record is 'x'; expected an object"),
    (b"{}", "schema is missing; expected a non-empty text"),
]


@pytest.mark.parametrize(("raw", "message"), BAD_BYTES)
def test_bad_file_is_refused_with_its_name(tmp_path, raw, message):
    path = tmp_path / "bad.json"
    path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        load_facts(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_missing_file_is_refused_with_the_packaged_name(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.json cannot be read: No such file.*'packaged'"):
        load_facts(tmp_path / "nowhere.json")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        load_facts(tmp_path)


def test_unknown_schema_is_refused(tmp_path):
    with pytest.raises(InputError, match="schema is 'other/2'; expected 'ks_core/facts/1'"):
        load_facts(write(tmp_path, own_schema(schema="other/2")))


def test_own_schema_without_facts_is_refused(tmp_path):
    content = own_schema()
    del content["facts"]
    with pytest.raises(InputError, match="facts is missing; expected a JSON list of records"):
        load_facts(write(tmp_path, content))


REWRITE = "requested_rewrite"
BAD_FIELDS = [
    ((REWRITE,), None, "requested_rewrite is missing; expected an object"),
    ((REWRITE,), "x", "requested_rewrite is 'x'; expected an object"),
    ((REWRITE, "prompt"), None, "requested_rewrite.prompt is missing; expected a non-empty text"),
    ((REWRITE, "prompt"), "{} {}", "prompt is '{} {}' with 2 places for the subject; expected exactly one {}"),
    ((REWRITE, "prompt"), "none", "prompt is 'none' with 0 places for the subject; expected exactly one {}"),
    ((REWRITE, "subject"), "", "requested_rewrite.subject is ''; expected a non-empty text"),
    ((REWRITE, "relation_id"), 103, "requested_rewrite.relation_id is 103; expected a non-empty text"),
    ((REWRITE, "target_true"), "French", "requested_rewrite.target_true is 'French'; expected an object"),
    ((REWRITE, "target_true", "str"), None, "requested_rewrite.target_true.str is missing; expected a non-empty text"),
    ((REWRITE, "target_new", "str"), "French", "target_true and target_new are both 'French'"),
    (("paraphrase_prompts",), "one text", "paraphrase_prompts is 'one text'; expected a list of texts"),
    (("neighborhood_prompts",), ["fine", 4], "neighborhood_prompts[1] is 4; expected a non-empty text"),
]


@pytest.mark.parametrize(("path", "value", "message"), BAD_FIELDS)
def test_bad_field_is_named_with_file_record_and_id(tmp_path, path, value, message):
    bad = copy.deepcopy(record(77))
    holder = bad
    for key in path[:-1]:
        holder = holder[key]
    if value is None:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    file = write(tmp_path, [record(5), bad])
    with pytest.raises(InputError) as caught:
        load_facts(file)
    assert str(caught.value).startswith(f"{file}, record 1 (case_id 77): {message}")


@pytest.mark.parametrize("case_id", ["5", True, 5.0])
def test_bad_case_id_is_named_with_its_record(tmp_path, case_id):
    with pytest.raises(InputError, match=r"record 0: case_id is .*; expected an integer"):
        load_facts(write(tmp_path, [record(case_id)]))


def test_duplicate_ids_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"facts\.json: case_id 5 occurs 2 times; expected distinct ids"):
        load_facts(write(tmp_path, [record(5), record(6), record(5)]))
