"""Files of facts: both formats, white space, and what is refused by file, record and field."""

import copy
import hashlib
import json

import pytest
from errors import refused, says

from ks_core.data.facts import Fact, load_facts, packaged_facts
from ks_core.errors import InputError


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


def test_white_space_is_normalised_at_the_door_and_the_origin_says_so(tmp_path):
    clean = load_facts(write(tmp_path, [record(5), record(2)], "clean.json"))
    untidy = record(5, prompt=" As a child,  {} spoke ", target_true={"str": " French\u00a0"}, subject="Victor\tHugo")
    untidy["paraphrase_prompts"] = ["Words of Victor Hugo were in "]
    loaded = load_facts(write(tmp_path, [untidy, record(2, target_new={"str": "Dutch\n"})], "untidy.json"))
    assert loaded.facts == clean.facts
    assert loaded.fingerprint == clean.fingerprint
    assert loaded.objects("P103") == ("French",)
    assert clean.origin == "clean.json, in CounterFact's format"
    assert loaded.origin == (
        "untidy.json, in CounterFact's format; white space was normalised in 5 texts of 2 of the 2 records"
    )
    own = load_facts(write(tmp_path, own_schema(facts=[untidy]), "own.json"))
    assert own.origin == "a test; white space was normalised in 4 texts of 1 of the 1 records"


def test_objects_that_differ_in_white_space_alone_are_one(tmp_path):
    with refused(InputError, what=("record 0", "case_id 5", "target_true", "target_new"), got="'French'"):
        load_facts(write(tmp_path, [record(5, target_new={"str": "French "})]))


def test_an_id_of_more_than_64_bits_is_refused_in_one_short_line(tmp_path):
    with refused(InputError, what=("record 0", "case_id"), got=("1000", "..."), expected="at most"):
        load_facts(write(tmp_path, [record(10**100)]))


@pytest.mark.parametrize("path", ["a\0b.json", "", " ", 5, None, b"facts.json"])
def test_what_is_no_path_is_refused(path):
    with refused(InputError, what="facts", got=" is ", expected=("", "a")):
        load_facts(path)


def test_over_long_paths_and_values_are_shortened(tmp_path):
    for bad in ("x" * 25_000, "two\nlines.json"):
        with pytest.raises(InputError) as caught:
            load_facts(bad)
        assert len(str(caught.value)) < 600
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError) as caught:
        load_facts(write(tmp_path, own_schema(schema="x" * 25_000)))
    assert len(str(caught.value)) < 600


def test_packaged_facts_have_a_name():
    assert load_facts("packaged") == packaged_facts()
    assert [load_facts(name).name for name in ("everyday", "insertions")] == ["everyday", "insertions"]


BAD_BYTES = [
    (b"", {"got": "empty", "expected": "a JSON list"}),
    (b" \n", {"got": "empty", "expected": "a JSON list"}),
    (b"{not json", {"got": ("not JSON", "line 1")}),
    (b'{"case_id": 1}\n{"case_id": 2}\n', {"got": ("not JSON", "line 2")}),
    (b'["caf\xe9"]', {"got": ("not UTF-8", "byte 5")}),
    (b"[" * 100_000, {"got": ("not JSON", "deep")}),
    (b'[{"case_id": 1, "case_id": 2}]', {"got": ("not JSON", "'case_id'", "twice")}),
    (b'[{"case_id": NaN}]', {"got": ("not JSON", "NaN")}),
    (b'[{"case_id": -Infinity}]', {"got": ("not JSON", "-Infinity")}),
    (b'[{"case_id": ' + b"9" * 5000 + b"}]", {"got": ("not JSON", "integer", "digits")}),
    (b"[]", {"got": "empty", "expected": "at least one fact"}),
    (b"3", {"what": "records", "got": "3", "expected": "a JSON list"}),
    (b'["x"]', {"what": "record 0", "got": "'x'", "expected": "an object"}),
    (b"{}", {"what": "schema", "got": "missing", "expected": "a non-empty text"}),
]


@pytest.mark.parametrize(("raw", "parts"), BAD_BYTES)
def test_bad_file_is_refused_with_its_name(tmp_path, raw, parts):
    path = tmp_path / "bad.json"
    path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        load_facts(path)
    says(caught.value, what=str(path))
    says(caught.value, **parts)


def test_a_fact_needs_no_other_prompts_than_its_own(tmp_path):
    bare = record(7)
    del bare["paraphrase_prompts"], bare["neighborhood_prompts"]
    (fact,) = load_facts(write(tmp_path, [bare])).facts
    assert (fact.paraphrase_prompts, fact.neighborhood_prompts) == ((), ())


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
    ((REWRITE,), None, "missing", "an object"),
    ((REWRITE,), "x", "'x'", "an object"),
    ((REWRITE, "prompt"), None, "missing", "a non-empty text"),
    ((REWRITE, "prompt"), "{} {}", ("'{} {}'", "2 places"), "exactly one {}"),
    ((REWRITE, "prompt"), "none", ("'none'", "0 places"), "exactly one {}"),
    ((REWRITE, "subject"), "", "''", "a non-empty text"),
    ((REWRITE, "relation_id"), 103, "103", "a non-empty text"),
    ((REWRITE, "target_true"), "French", "'French'", "an object"),
    ((REWRITE, "target_true", "str"), None, "missing", "a non-empty text"),
    ((REWRITE, "subject"), "A\0B", "'A\\x00B'", "without NUL"),
    ((REWRITE, "subject"), "\u200b", "'\\u200b'", "a non-empty text"),
    ((REWRITE, "target_new", "str"), "French", "'French'", "two different objects"),
    (("paraphrase_prompts",), "one text", "'one text'", "a list of texts"),
    (("neighborhood_prompts",), ["fine", 4], ("[1]", "4"), "a non-empty text"),
]


@pytest.mark.parametrize(("path", "value", "got", "expected"), BAD_FIELDS)
def test_bad_field_is_named_with_file_record_and_id(tmp_path, path, value, got, expected):
    bad = copy.deepcopy(record(77))
    holder = bad
    for key in path[:-1]:
        holder = holder[key]
    if value is None:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    file = write(tmp_path, [record(5), bad])
    field = path[-2 if path[-1] == "str" else -1]
    with refused(InputError, what=(f"{file}, record 1", "77", field), got=got, expected=expected):
        load_facts(file)


@pytest.mark.parametrize("case_id", ["5", True, 5.0])
def test_bad_case_id_is_named_with_its_record(tmp_path, case_id):
    with pytest.raises(InputError, match=r"record 0: case_id is .*; expected an integer"):
        load_facts(write(tmp_path, [record(case_id)]))


def test_duplicate_ids_are_refused(tmp_path):
    with refused(InputError, what=("facts.json", "case_id 5"), got="2 times", expected="distinct"):
        load_facts(write(tmp_path, [record(5), record(6), record(5)]))
