"""White space has one form, and bringing it there changes nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks_core.data.white_space import tidy_name, tidy_prompt

texts = st.text(st.sampled_from("ab{}\u00e9 \t\n\r\u000b\u00a0\u3000\u2028\u200b\ufeff\u200d"), max_size=15)


@given(texts)
def test_tidying_twice_changes_nothing(text):
    for tidy in (tidy_name, tidy_prompt):
        assert tidy(tidy(text)) == tidy(text)


@given(texts)
def test_tidying_keeps_all_that_is_no_white_space_in_order(text):
    blank = "\u200b\ufeff"
    kept = [c for c in text if not c.isspace() and c not in blank]
    for tidy in (tidy_name, tidy_prompt):
        assert [c for c in tidy(text) if not c.isspace() and c not in blank] == kept


@given(texts)
def test_tidy_texts_have_single_spaces_inside_and_none_at_the_ends(text):
    name, prompt = tidy_name(text), tidy_prompt(text)
    assert name.split(" ") == name.split() or name == ""
    assert all(line.split(" ") == line.split() for line in prompt.split("\n") if line)
    for tidied in (name, prompt):
        assert tidied == tidied.strip().strip("\u200b\ufeff")


@pytest.mark.parametrize(
    "blank", [" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", " \u200b", "\ufeff", "\u200e"]
)
def test_names_that_look_the_same_are_the_same(blank):
    assert tidy_name("French" + blank) == tidy_name(blank + "French") == "French"


@pytest.mark.parametrize("blank", ["  ", "\t", "\n", "\u00a0", " \r\n "])
def test_white_space_inside_a_name_is_one_space(blank):
    assert tidy_name(f"New{blank}York") == "New York"


def test_line_breaks_stay_in_prompts_and_joiners_everywhere():
    assert tidy_prompt("Q: {} ?\r\n\r\n A:\n") == "Q: {} ?\n\nA:"
    assert tidy_name("\U0001f469\u200d") == "\U0001f469\u200d"
    assert tidy_name("Fr\u200bench") == "Fr\u200bench", "between Khmer words it means something"
