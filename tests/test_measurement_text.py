"""Text is cut to exact numbers of tokens, and batches cover it without loss."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks_core.errors import InputError
from ks_core.measurement.moments.text import batches, segments, take_tokens

texts = st.lists(st.integers(1, 30), min_size=1, max_size=30).map(
    lambda lengths: [np.arange(length, dtype=np.int32) + 100 * row for row, length in enumerate(lengths)]
)


class Words:
    """A tokenizer of one token a word, enough for what `take_tokens` asks of one."""

    def __call__(self, texts, truncation, max_length):
        assert truncation
        return {"input_ids": [[len(word) for word in text.split()][:max_length] for text in texts]}


@given(texts, st.data())
def test_segments_keep_every_token_in_order_and_end_where_asked(texts, data):
    total = sum(map(len, texts))
    inner = data.draw(st.lists(st.integers(1, total), unique=True, max_size=5))
    boundaries = sorted({*inner, total})
    found = list(segments(texts, boundaries))
    assert [sum(piece.counted for piece in segment) for segment in found] == np.diff([0, *boundaries]).tolist()
    joined = np.concatenate([piece.ids[piece.start :] for segment in found for piece in segment])
    np.testing.assert_array_equal(joined, np.concatenate(texts))


@given(texts, st.data())
def test_no_piece_of_a_segment_lacks_the_beginning_of_its_text(texts, data):
    total = sum(map(len, texts))
    boundaries = sorted({*data.draw(st.lists(st.integers(1, total), unique=True, max_size=5)), total})
    begins = {int(text[0]): text for text in texts}  # each text's tokens begin at a number of its own
    for segment in segments(texts, boundaries):
        for piece in segment:
            np.testing.assert_array_equal(piece.ids, begins[int(piece.ids[0])][: len(piece)])
            assert 0 < piece.counted <= len(piece)


@given(texts, st.integers(1, 100))
def test_batches_hold_every_text_once_and_stay_within_bounds(texts, batch_tokens):
    found = list(batches(texts, batch_tokens))
    assert sorted(id(text) for batch in found for text in batch) == sorted(map(id, texts))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(map(len, batch)) <= batch_tokens


def test_batches_of_equal_lengths_have_no_padding():
    lengths = [3, 5, 3, 5, 3, 5]
    for batch in batches([np.zeros(length, dtype=np.int32) for length in lengths], 9):
        assert len({len(text) for text in batch}) == 1


@given(st.lists(st.integers(1, 20), min_size=1, max_size=20), st.integers(1, 12), st.data())
def test_taken_tokens_are_exactly_as_many_as_asked(lengths, longest, data):
    available = sum(min(length, longest) for length in lengths)
    tokens = data.draw(st.integers(1, available))
    taken = take_tokens((" ".join(["word"] * length) for length in lengths), Words(), tokens, longest)
    assert sum(map(len, taken)) == tokens
    assert max(map(len, taken)) <= longest


def test_too_little_text_is_refused_with_the_number_there_is():
    with pytest.raises(InputError, match="has 3 tokens; expected 4"):
        take_tokens(["one two", "three"], Words(), 4, 10)
