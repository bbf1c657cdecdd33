"""What stands between a prompt and its object, for the scripts and the punctuation that there are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks_core.data.joining import join, separator

SPACED = [
    ("The capital of France is", "Paris"),
    ("Столица Франции", "Париж"),
    ("عاصمة فرنسا هي", "باريس"),
    ("프랑스의 수도는", "파리"),
    ("Thủ đô của Pháp là", "Paris"),
    ("फ़्रांस की राजधानी है", "पेरिस"),
    ("It opened in 1984", "twice"),
    ("The answer is:", "42"),
    ("Is it (Paris)", "or"),
    ("He said “yes”", "twice"),
    ('He said "yes"', "twice"),
    ("the boys'", "school"),
    ("Les Misérables'", "author"),
    ("It is 6'", "tall"),
    ("The word 'chat'", "is"),
    ("the letter 'x'", "is"),
    ("Paris -", "Lyon"),
    ("Paris –", "Lyon"),
    ("either /", "or"),
    ("People in 東京", "live"),
    ("The capital of China is", "北京"),
    ("他的母语是", "French"),
    ("3 + 4 =", "7"),
    ("😀", "smile"),
    ("", "Paris"),
]
JOINED = [
    ("法国的首都是", "巴黎"),
    ("フランスの首都は", "パリ"),
    ("フランスノシュトハ", "ﾊﾟﾘ"),
    ("เมืองหลวงของฝรั่งเศสคือ", "ปารีส"),
    ("ນະຄອນຫຼວງຂອງຝຣັ່ງແມ່ນ", "ປາຣີ"),
    ("រដ្ឋធានីរបស់បារាំងគឺ", "ប៉ារីស"),
    ("ပြင်သစ်နိုင်ငံ၏မြို့တော်မှာ", "ပါရီ"),
    ("ཕ་རན་སིའི་རྒྱལ་ས་ནི་", "པ་རི"),
    ("它成立于1984", "年"),
    ("它成立于", "1984"),
    ("他说", "“好”"),
    ("首都:", "巴黎"),
    ("首都：", "巴黎"),
    ("Answer：", "Paris"),
    ("他说「", "Paris"),
    ("He said “", "yes"),
    ("He said «", "oui"),
    ('He said "', "yes"),
    ('("', "yes"),
    ("the word '", "chat"),
    ("He lives in (", "Paris"),
    ("see [", "Paris"),
    ("the Franco-", "German"),
    ("the Franco\u2010", "German"),
    ("1939–", "1945"),
    ("He is—", "was"),
    ("and/", "or"),
    ("la capitale de l'", "Italie"),
    ("la capitale de l’", "Italie"),
    ("il dit qu'", "elle"),
    ("il dit qu’", "elle"),
    ("la capitale dell'", "Austria"),
    ("aujourd'hui, il s'", "appelle"),
    ("\U00020000", "\U00020001"),
]


@pytest.mark.parametrize(("text", "continuation"), SPACED)
def test_a_space_stands_between_words_of_scripts_with_spaces(text, continuation):
    assert separator(text, continuation) == " "
    assert join(text, continuation) == f"{text} {continuation}"


@pytest.mark.parametrize(("text", "continuation"), JOINED)
def test_nothing_stands_where_nobody_writes_a_space(text, continuation):
    assert separator(text, continuation) == ""
    assert join(text, continuation) == text + continuation


@given(st.text(max_size=20), st.text(max_size=5))
def test_joining_any_two_texts_keeps_both(text, continuation):
    assert join(text, continuation) in (text + continuation, f"{text} {continuation}")


@given(st.text(st.characters(categories=["L"], max_codepoint=0x24F), min_size=1), st.text(min_size=1))
def test_a_latin_word_is_always_followed_by_a_space(word, continuation):
    assert separator(f"is {word}", continuation) == " "
