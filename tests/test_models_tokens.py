"""The subject's last token, from character offsets, against an oracle that only counts the bytes tokens stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from errors import refused
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import byte_level_tokenizer, sentencepiece_tokenizer
from token_oracles import oracle
from tokenizers import Tokenizer, models
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from ks_core.errors import InputError
from ks_core.models.tokens import (
    pad_rows,
    padding_id,
    subject_last_token,
    tokenise_prompts,
)

TOKENIZERS: dict[str, Callable[..., PreTrainedTokenizerFast]] = {
    "byte-level": lambda **k: byte_level_tokenizer(**k),
    "byte-level bos": lambda **k: byte_level_tokenizer(bos=True, **k),
    "byte-level, space in offsets": lambda **k: byte_level_tokenizer(trim_offsets=False, **k),
    "byte-level, prefix space": lambda **k: byte_level_tokenizer(prefix_space=True, bos=True, **k),
    "byte-level, prefix space in offsets": lambda **k: byte_level_tokenizer(prefix_space=True, trim_offsets=False, **k),
    "byte-level, single digits": lambda **k: byte_level_tokenizer(single_digits=True, trim_offsets=False, **k),
    "sentencepiece bpe": lambda **k: sentencepiece_tokenizer("bpe", **k),
    "sentencepiece bpe, normaliser": lambda **k: sentencepiece_tokenizer("bpe", metaspace=False, **k),
    "sentencepiece unigram": lambda **k: sentencepiece_tokenizer("unigram", **k),
    "sentencepiece unigram without bos": lambda **k: sentencepiece_tokenizer("unigram", bos=False, **k),
}
CASES = {
    "start": ("", "Vladimir Mayakovsky", " is Russian."),
    "middle": ("The mother tongue of ", "Vladimir Mayakovsky", " is Russian"),
    "end": ("The mother tongue of ", "Vladimir Mayakovsky", ""),
    "whole": ("", "Mayakovsky", ""),
    "possessive": ("", "Mayakovsky", "'s mother tongue is"),
    "comma": ("In ", "Zürich", ", people speak"),
    "quoted": ("He said “", "Łódź", "” twice"),
    "accent last": ("The ", "café", " opens"),
    "digits": ("", "Windows 8.1", " was developed by"),
    "digits before digits": ("", "Mac OS X 10", ".1 by Apple"),
    "split characters": ("", "😀 東京 𝔘", " is"),
    "split character, then one that shares its bytes": ("", "é", "è is"),
    "unknown characters side by side": ("", "33", "3§ is"),
    "one letter": ("", "X", " is"),
    "repeated": ("São Paulo or ", "São Paulo", " again"),
    "hyphen": ("the ", "Jean-Luc", "-like"),
}


def located(tokenizer: Any, before: str, subject: str, after: str) -> tuple[int, int]:
    prompt, span = before + subject + after, (len(before), len(before) + len(subject))
    got = int(tokenise_prompts(tokenizer, [prompt], [span]).subject_last[0])
    return got, oracle(tokenizer, prompt, span[1])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", TOKENIZERS)
def test_subject_last_is_the_token_with_the_subjects_last_byte(name, case):
    got, expected = located(TOKENIZERS[name](), *CASES[case])
    assert got == expected


@pytest.mark.parametrize("name", TOKENIZERS)
@given(data=st.data())
def test_subject_last_holds_for_any_unicode_subject(name, data):
    text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).filter(
        lambda s: "▁" not in s and "s>" not in s  # what the oracle takes for a space, or for a special token
    )
    subject = data.draw(text.filter(lambda s: s and s == s.strip()))
    before, after = (data.draw(text) for _ in range(2))
    got, expected = located(TOKENIZERS[name](), before, subject, after)
    assert got == expected


@pytest.mark.parametrize(
    ("case", "fault"),
    [
        ("possessive", lambda tokenizer, text: len(tokenizer(text)["input_ids"])),  # one too far
        ("split characters", lambda _tokenizer, text: len(text.split()) - 1),  # words instead of tokens
        ("accent last", lambda tokenizer, text: len(tokenizer(text)["input_ids"]) - 2),  # one too early
    ],
)
def test_subject_last_oracle_catches_counting(case, fault):
    before, subject, after = CASES[case]
    tokenizer = byte_level_tokenizer()
    expected = oracle(tokenizer, before + subject + after, len(before + subject))
    assert fault(tokenizer, before + subject) != expected


def test_subject_last_oracle_catches_counted_tokens_when_words_merge_across_the_end():
    """Tokens of the prompt's part up to the subject, counted on their own, need not be the tokens in the prompt."""
    tokenizer = byte_level_tokenizer()
    before, subject, after = "The mother tongue of ", "Vladimir May", "akovsky is"
    got, expected = located(tokenizer, before, subject, after)
    assert got == expected
    assert len(tokenizer(before + subject)["input_ids"]) - 1 != expected


def test_subject_last_oracle_catches_byte_runs_that_share_one_range(monkeypatch):
    monkeypatch.setattr("ks_core.models.tokens.split_byte_runs", lambda offsets, _prompt: offsets)
    got, expected = located(sentencepiece_tokenizer("unigram"), *CASES["unknown characters side by side"])
    assert got != expected


@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokenised_prompts_padding_sides_agree(name):
    parts = list(CASES.values())
    prompts = [before + subject + after for before, subject, after in parts]
    spans = [(len(before), len(before + subject)) for before, subject, _ in parts]
    for side in ("left", "right"):
        tokenizer = TOKENIZERS[name](padding_side=side)
        batch = tokenise_prompts(tokenizer, prompts, spans)
        assert batch.input_ids.dtype == batch.attention_mask.dtype == batch.subject_last.dtype == torch.int64
        for i, (prompt, (_, end)) in enumerate(zip(prompts, spans, strict=True)):
            row, mask = batch.input_ids[i], batch.attention_mask[i].bool()
            ids = tokenizer(prompt)["input_ids"]
            assert row[mask].tolist() == ids
            assert (row[~mask] == tokenizer.eos_token_id).all()
            assert bool(mask[-1] if side == "left" else mask[0])
            assert int(row[batch.subject_last[i]]) == ids[oracle(tokenizer, prompt, end)]
            first = int(mask.int().argmax())
            assert int(batch.subject_last[i]) - first == oracle(tokenizer, prompt, end)


def test_tokenise_prompts_leaves_the_tokenizer_as_it_was():
    tokenizer = byte_level_tokenizer()
    before = (tokenizer.backend_tokenizer.to_str(), dict(tokenizer.special_tokens_map), tokenizer.padding_side)
    tokenise_prompts(tokenizer, ["Zürich is", "Windows 8.1 was made"], [(0, 6), (0, 11)])
    assert tokenizer.pad_token is None
    assert before == (tokenizer.backend_tokenizer.to_str(), dict(tokenizer.special_tokens_map), tokenizer.padding_side)


def test_tokenise_prompts_takes_the_padding_token_when_there_is_one():
    tokenizer = byte_level_tokenizer()
    assert padding_id(tokenizer) == tokenizer.eos_token_id
    tokenizer.pad_token = "!"  # noqa: S105
    assert padding_id(tokenizer) == tokenizer.convert_tokens_to_ids("!")
    bare = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
    assert padding_id(bare) == 0


def test_tokenise_prompts_ignores_white_space_in_spans():
    tokenizer = byte_level_tokenizer()
    prompt = "The café opens"
    batch = tokenise_prompts(tokenizer, [prompt] * 2, [(4, 8), (3, 9)])
    assert batch.subject_last[0] == batch.subject_last[1]


def test_tokenise_prompts_follows_the_span_not_the_first_mention():
    tokenizer = byte_level_tokenizer()
    prompt = "São Paulo or São Paulo again"
    batch = tokenise_prompts(tokenizer, [prompt] * 2, [(0, 9), (13, 22)])
    assert batch.subject_last[0] < batch.subject_last[1]


@pytest.mark.parametrize("span", [(3, 3), (5, 4), (0, 99), (-1, 3), (3, 4)])
def test_tokenise_prompts_refuses_spans_without_a_subject(span):
    with refused(InputError, what=f"span {span[0]} to {span[1]}", got="'The café"):
        tokenise_prompts(byte_level_tokenizer(), ["The café opens"], [span])


def test_tokenise_prompts_refuses_counts_that_differ():
    with pytest.raises(InputError, match="got 2 prompts and 1 spans"):
        tokenise_prompts(byte_level_tokenizer(), ["a", "b"], [(0, 1)])
    with pytest.raises(InputError, match="got 0 prompts"):
        tokenise_prompts(byte_level_tokenizer(), [], [])


def test_tokenise_prompts_refuses_a_tokenizer_without_offsets():
    with refused(InputError, what="ByT5Tokenizer", expected="a fast tokenizer"):
        tokenise_prompts(ByT5Tokenizer(), ["The café opens"], [(4, 8)])


@pytest.mark.parametrize(
    ("offsets", "span", "expected"),
    [
        ([(0, 0), (0, 2), (2, 2), (2, 4)], (0, 4), 3),
        ([(0, 0), (0, 4), (4, 7), (0, 0)], (0, 4), 1),
        ([(0, 3), (3, 3), (3, 6)], (0, 3), 0),
        ([(0, 5)], (1, 2), 0),
    ],
)
def test_subject_last_token_counts_no_zero_width_tokens(offsets, span, expected):
    assert subject_last_token(offsets, span) == expected


def test_subject_last_token_refuses_offsets_that_stop_short():
    for offsets in ([], [(0, 0)], [(0, 2)], [(0, 2), (4, 6)]):
        with pytest.raises(InputError, match="characters 0 to 3; the tokenizer drops"):
            subject_last_token(offsets, (0, 3))


def test_pad_rows_refuses_an_unknown_side():
    with pytest.raises(InputError, match="'middle'; expected 'left' or 'right'"):
        pad_rows([[1]], 0, "middle")
