"""JSON that means one thing, and is refused in a few words where it does not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks_core.strict_json import JsonError, parse_json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(values)
def test_what_was_written_is_read_again(value):
    assert parse_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 1}', "key 'a' comes twice in one object"),
        ('[{"b": {"a": 1, "b": 2, "a": 3}}]', "key 'a' comes twice"),
        ('{"\\u0061": 1, "a": 2}', "key 'a' comes twice"),
        ("NaN", "NaN is no JSON number"),
        ('{"a": [1, -Infinity]}', "-Infinity is no JSON number"),
        ("9" * 4301, "more digits than can be read"),
        ("-" + "9" * 100_000, "more digits than can be read"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"a": 1}\n{"a": 2}', "Extra data at line 2"),
        ("", "Expecting value at line 1"),
    ],
)
def test_what_means_two_things_or_nothing_is_refused_in_a_few_words(text, reason):
    with pytest.raises(JsonError, match=reason) as caught:
        parse_json(text)
    assert len(str(caught.value)) < 120


def test_one_key_in_two_objects_is_fine():
    assert parse_json('[{"a": 1}, {"a": {"a": 2}}]') == [{"a": 1}, {"a": {"a": 2}}]
