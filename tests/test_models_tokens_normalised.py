"""The subject's last token where the tokenizer composes, changes or deletes characters."""

from __future__ import annotations

from typing import Any

import pytest
from errors import refused
from tiny_models import byte_level_tokenizer
from token_oracles import bytes_of
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from ks_core.errors import InputError
from ks_core.models.tokens import (
    NormalisedReading,
    NoSubject,
    subject_places,
    tokenise_prompts,
)


def words_without(character: str, *, normalise: bool) -> PreTrainedTokenizerFast:
    """Whole words, from which a character is removed by the normaliser or behind it."""
    backend = Tokenizer(models.WordLevel({"word": 0, "<unk>": 1}, unk_token="<unk>"))  # noqa: S106
    words = pre_tokenizers.WhitespaceSplit()
    if normalise:
        backend.normalizer = normalizers.Replace(character, "")
        backend.pre_tokenizer = words
    else:
        backend.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.Split(character, "removed")])
    return PreTrainedTokenizerFast(tokenizer_object=backend)


def test_tokenise_prompts_refuses_a_tokenizer_that_drops_the_subjects_end():
    with refused(InputError, what="'word! word'", got="0 to 5"):
        tokenise_prompts(words_without("!", normalise=False), ["word! word"], [(0, 5)])


# --- what a tokenizer's normaliser composes, takes apart, changes or deletes

NORMALISERS = {
    "NFC": normalizers.NFC(),
    "NFD": normalizers.NFD(),
    "NFKC": normalizers.NFKC(),
    "lower case": normalizers.Lowercase(),
    "without accents": normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]),
    "BERT": normalizers.BertNormalizer(),
    "deletes": normalizers.Replace("!", ""),
    "SentencePiece on NFC": normalizers.Sequence(
        [normalizers.NFC(), normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    ),
}
SUBJECTS = {
    "decomposed": "Cafe\u0301",
    "Jamo": "\u1112\u1161\u11ab",
    "ligature": "o\ufb03",
    "capital with dot": "İ",
    "two marks in the other order": "a\u0301\u0323",
    "two marks, one composes": "a\u0323\u0301",
    "no composed form": "x\u0301",
    "joiner last": "👩\u200d",
    "joiner inside": "👩\u200d👩",
    "variation selector last": "❤\ufe0f",
    "deleted last": "wow!!",
    "Hebrew points": "\u05e2\u05d1\u05bc\u05b0",
}
AROUND = {"start": ("", " is"), "middle": ("The ", " is"), "end": ("The ", ""), "whole": ("", "")}


def normalising(normaliser: Any) -> PreTrainedTokenizerFast:
    tokenizer = byte_level_tokenizer()
    tokenizer.backend_tokenizer.normalizer = normaliser
    return tokenizer


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("name", NORMALISERS)
def test_subject_last_is_compared_after_the_tokenizers_own_normalisation(name, subject, around):
    """The token that holds the last byte of the normalised subject, as counted in the bytes that the tokens spell."""
    tokenizer, (before, after) = normalising(NORMALISERS[name]), AROUND[around]
    text = before + SUBJECTS[subject]
    row = tokenise_prompts(tokenizer, [text + after], [(len(before), len(text))])
    spelled = [bytes_of(tokenizer, token) for token in tokenizer.convert_ids_to_tokens(row.input_ids[0].tolist())]
    up_to = len(NORMALISERS[name].normalize_str(text).encode())
    ends = [sum(map(len, spelled[: place + 1])) for place in range(len(spelled))]
    assert int(row.subject_last[0]) == next(place for place, end in enumerate(ends) if end >= up_to)


def test_a_normaliser_that_deletes_the_whole_subject_leaves_none():
    with pytest.raises(InputError, match="the prompt '!! word' cannot be read: no token covers"):
        tokenise_prompts(words_without("!", normalise=True), ["!! word"], [(0, 2)])
    assert int(tokenise_prompts(words_without("!", normalise=True), ["word! word"], [(0, 5)]).subject_last[0]) == 0


def test_planted_fault_a_reading_of_other_tokens_is_not_believed():
    """A tokenizer that reads the normalised text otherwise than the original tells nothing about the original."""
    tokenizer = normalising(NORMALISERS["NFC"])
    reading = NormalisedReading(tokenizer)
    prompt, span = "Cafe\u0301 is", (0, 5)
    row = tokenizer(prompt)["input_ids"]
    assert reading.subject_last_token(prompt, row, span) == 2
    assert reading.subject_last_token(prompt, [*row[:-1], 0], span) is None


def test_subject_places_says_which_subjects_cannot_be_found_and_finds_the_others():
    rows, places = subject_places(words_without("!", normalise=False), ["word! word", "word word"], [(0, 5), (5, 9)])
    assert isinstance(places[0], NoSubject)
    assert places[1] == 1
    assert [len(row) for row in rows] == [2, 2]
