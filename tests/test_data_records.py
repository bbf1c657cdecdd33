"""Typed reading of JSON objects."""

import pytest
from errors import refused

from ks_core.data.records import Record, is_text
from ks_core.errors import InputError
from ks_core.formatting import shown


def test_record_reads_what_has_the_right_type():
    record = Record({"id": 3, "name": "x", "list": ["a", "b"], "inner": {"deep": "y"}}, "file, record 0")
    assert record.integer("id") == 3
    assert record.text("name") == "x"
    assert record.texts("list") == ("a", "b")
    assert record.child("inner").text("deep") == "y"


@pytest.mark.parametrize("value", [None, 3, 2.5, True, "", "  ", ["x"], {"a": 1}, "\ud800"])
def test_record_text_refuses_everything_else(value):
    with refused(InputError, what=("record 0", "inner.name"), expected="a non-empty text"):
        Record({"inner": {"name": value}}, "file, record 0").child("inner").text("name")


@pytest.mark.parametrize("value", [None, True, 2.5, "3", [3]])
def test_record_integer_refuses_everything_else(value):
    with pytest.raises(InputError, match=r"file, record 0: id is .*; expected an integer"):
        Record({"id": value}, "file, record 0").integer("id")


def test_record_texts_names_the_item():
    with pytest.raises(InputError, match=r"list\[1\] is 5; expected a non-empty text"):
        Record({"list": ["a", 5]}, "file, record 0").texts("list")


def test_record_missing_field_is_named_with_its_path():
    with refused(InputError, what=("record 0", "inner.name"), got="missing", expected="a non-empty text"):
        Record({"inner": {}}, "file, record 0").child("inner").text("name")


def test_is_text_refuses_half_a_surrogate_pair():
    assert is_text("\U0001f600")
    assert not is_text("\ud83d")


def test_shown_value_stays_on_one_short_line():
    text = shown(["line\nbreak", "\ud800", "x" * 1000])
    assert "\n" not in text
    assert len(text) <= 60
    text.encode("ascii")
