"""Arguments of the wrong type are named, and numbers of other libraries become Python's."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from ks_core import arguments
from ks_core.errors import InputError


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3), torch.tensor(3)])
def test_whole_numbers_of_any_library_become_pythons(value):
    found = arguments.whole_number("n", value)
    assert (found, type(found)) == (3, int)


@pytest.mark.parametrize(
    "value", [3.0, 3.5, True, np.True_, "3", b"3", None, [3], float("nan"), np.array([1, 2]), torch.tensor(3.5)]
)
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(InputError, match=r"^n is .*; expected a whole number \(--n\)$"):
        arguments.whole_number("n", value, hint=" (--n)")


def test_whole_numbers_out_of_range_are_refused_in_one_short_line():
    with pytest.raises(InputError, match=r"n is 2; expected at least 3"):
        arguments.whole_number("n", 2, 3)
    for huge in (2**63, 10**100, 10**5000):
        with pytest.raises(InputError, match=r"expected at most 9223372036854775807$") as caught:
            arguments.whole_number("n", huge)
        assert len(str(caught.value)) < 120


@pytest.mark.parametrize("value", [2, 2.5, np.float32(2.5), np.int8(2), Fraction(5, 2)])
def test_real_numbers_become_floats(value):
    assert type(arguments.real_number("x", value)) is float


@pytest.mark.parametrize("value", [True, np.False_, "2.5", None, float("nan"), float("inf"), 10**400, 1j, [2.5]])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(InputError, match=r"^x is .*; expected a finite number$"):
        arguments.real_number("x", value)


def test_words_are_texts_and_paths():
    assert arguments.word("model", "gpt2") == "gpt2"
    assert arguments.word("model", Path("a") / "b") == "a/b"
    for bad in ("", " ", "a\0b", 5, None, b"gpt2", ["gpt2"]):
        with pytest.raises(InputError, match=r"model is .*; expected a non-empty text without NUL"):
            arguments.word("model", bad)


@pytest.mark.parametrize("given", [["a", " "], ("a", " "), iter(["a", " "]), (text for text in ["a", " "])])
def test_texts_come_from_any_collection(given):
    assert list(arguments.texts("texts", given)) == ["a", " "]


@pytest.mark.parametrize("bad", ["hello", b"hello", None, 5, {"a": "b"}])
def test_a_text_is_no_collection_of_texts(bad):
    with pytest.raises(InputError, match=r"texts is .*; expected a collection of texts"):
        list(arguments.texts("texts", bad))


@pytest.mark.parametrize("bad", [b"x", 5, None, ["x"], "\ud800"])
def test_what_is_no_text_in_a_collection_is_named_by_its_place(bad):
    with pytest.raises(InputError, match=r"texts\[1\] is .*; expected a text"):
        list(arguments.texts("texts", ["fine", bad]))
