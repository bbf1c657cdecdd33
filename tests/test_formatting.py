"""Other people's names on a terminal: nothing in them is obeyed, hidden or taken for another line."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks_core.formatting import LINE, one_line, printable, shortened


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\r\tc\x00\x7f", "a\\nb\\r\\tc\\x00\\x7f"),
        ("\x9b2J\x85", "\\x9b2J\\x85"),  # C1: a terminal takes 0x9b for ESC [
        ("a\u2028b\u2029c\x0bd\x0ce\x1cf", "a\\u2028b\\u2029c\\x0bd\\x0ce\\x1cf"),
        ("\u202egpj.exe\u2066\u200f", "\\u202egpj.exe\\u2066\\u200f"),
        ("Pa\u200bris\ufeff\u2060\u00ad", "Pa\\u200bris\\ufeff\\u2060\\xad"),
        ("\U000e0041\U000f0000", "\\U000e0041\\U000f0000"),  # tags, private use
        ("\u3164\u115f\u2800", "\\u3164\\u115f\\u2800"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_printable_escapes_what_does_not_show(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    "text", ["Zoë", "e\u0301", "東京\u3000都", "नमस्ते", "مرحبا", "ไทย", "5\u00a0€", "‖Δ‖ ± → …", "👍", "C:\\new", ""]
)
def test_printable_leaves_every_script_as_it_is(text):
    assert printable(text) == text


@given(st.text(st.characters(codec=None)))
def test_printable_text_is_one_line_that_can_be_encoded_and_stays_as_it_is(text):
    shown = printable(text)
    assert len(f"{shown}.".splitlines()) == 1
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    shown.encode("utf-8")
    assert printable(shown) == shown


@given(st.text(), st.integers(1, 20))
def test_shortened_keeps_both_ends_and_the_length(text, length):
    cut = shortened(text, length)
    assert len(cut) == min(len(text), length)
    if len(text) > length:
        head, tail = cut.split("…", 1) if "…" not in text else (cut[: (length) // 2], "")
        assert text.startswith(head)
        assert text.endswith(tail)


def test_an_error_is_one_line_whatever_it_echoes():
    said = one_line(ValueError("layer is " + "9" * 25_000 + "\n; expected 0 to 11"))
    assert len(said) == LINE
    assert said.startswith("layer is 99")
    assert said.endswith("99\\n; expected 0 to 11")
