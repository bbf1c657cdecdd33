"""The beginning of a long text gives the tokens that the whole text gives."""

import pytest
from checkout import MODELS
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import byte_level_tokenizer, sentencepiece_tokenizer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from ks_core.measurement.moments import beginnings
from ks_core.measurement.moments.beginnings import first_tokens


def pairs_only(kind):
    """A tokenizer whose tokens of "aaaa" hang on how many letters there are: nothing is split before its model."""
    if kind == "unigram":
        backend = Tokenizer(models.Unigram([("<unk>", -9.0), ("a", -3.0), ("aaa", -3.0), ("b", -3.0)], unk_id=0))
    else:
        backend = Tokenizer(models.BPE({"a": 0, "b": 1, "aa": 2, "aaaa": 3}, [("a", "a"), ("aa", "aa")]))
    return PreTrainedTokenizerFast(tokenizer_object=backend)


def unknown_words():
    """WordPiece: a word of more than a hundred letters is one unknown token, however long it is."""
    backend = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1, "##a": 2, "b": 3}, unk_token="[UNK]"))  # noqa: S106
    backend.normalizer, backend.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    return PreTrainedTokenizerFast(tokenizer_object=backend)


def ending():
    """Puts a token behind each text, which truncation keeps."""
    tokenizer = byte_level_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return tokenizer


TOKENIZERS = {
    "byte-level": byte_level_tokenizer,
    "byte-level bos": lambda: byte_level_tokenizer(bos=True),
    "SentencePiece BPE": lambda: sentencepiece_tokenizer("bpe", metaspace=False),
    "SentencePiece unigram": lambda: sentencepiece_tokenizer("unigram"),
    "pairs BPE": lambda: pairs_only("bpe"),
    "threes unigram": lambda: pairs_only("unigram"),
    "WordPiece": unknown_words,
    "with an end": ending,
    "left": lambda: PreTrainedTokenizerFast(
        tokenizer_object=byte_level_tokenizer().backend_tokenizer, truncation_side="left"
    ),
    "trained": lambda: PreTrainedTokenizerFast(tokenizer_file=str(MODELS / "ks-llama-l3" / "tokenizer.json")),
}
ODD = ("pairs BPE", "threes unigram", "WordPiece")
"""Made to hang on what stands far behind; tried with the cuts as they are, and by no shorter ones."""

TEXTS = [
    *("a" * (26_000 + more) for more in range(4)),
    "a b" * 9_000,
    "The naïve café in Łódź opens in 1984. " * 700,
    "東京" * 13_000,
    "e\u0301" * 13_000,
    " " * 26_000 + "a" * 900,
    "👩\u200d👩" * 9_000,
    "\u200b" * 26_000 + "a",
    "Windows 8.1 was developed by Microsoft" * 800 + "\n" * 50 + "x" * 2000,
    "short",
]


def whole(tokenizer, texts, longest):
    return tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_first_tokens_are_those_of_the_whole_text(name):
    tokenizer, longest = TOKENIZERS[name](), 20
    assert list(first_tokens(iter(TEXTS), tokenizer, longest)) == whole(tokenizer, TEXTS, longest)


@pytest.mark.parametrize("name", [name for name in TOKENIZERS if name not in ODD])
@settings(max_examples=20)
@given(
    parts=st.lists(
        st.text(st.sampled_from("ab \u00e9e\u0301東\n👩\u200d1"), min_size=1, max_size=6), min_size=1, max_size=5
    ),
    times=st.integers(1, 100),
    longest=st.integers(1, 40),
)
def test_first_tokens_of_any_text_are_those_of_the_whole(name, parts, times, longest):
    """With a first cut of one character a token, so that it is nearly always too short."""
    tokenizer, texts = TOKENIZERS[name](), ["".join(parts) * times, *parts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beginnings, "CHARACTERS_PER_TOKEN", 1)
        patch.setattr(beginnings, "LEAST", 1)
        assert list(first_tokens(texts, tokenizer, longest)) == whole(tokenizer, texts, longest)


class Counting:
    """A tokenizer that counts the characters it is given, and the most in one call."""

    def __init__(self, tokenizer):
        self.tokenizer, self.given, self.most = tokenizer, 0, 0

    def __call__(self, texts, **options):
        self.given += sum(map(len, texts))
        self.most = max(self.most, sum(map(len, texts)))
        return self.tokenizer(texts, **options)


def test_a_long_text_is_read_no_further_than_its_first_tokens_need():
    counting = Counting(byte_level_tokenizer())
    text = "The naïve café in Łódź opens in 1984. " * 100_000
    (found,) = first_tokens([text], counting, 64)
    assert found == counting.tokenizer(text[:2000], truncation=True, max_length=64)["input_ids"]
    assert counting.given <= 4 * beginnings.LEAST + 2


def test_texts_that_are_read_together_are_bounded_by_their_characters():
    counting = Counting(byte_level_tokenizer())
    texts = ["word " * 20_000] * 15  # 100,000 characters each, not long for 4,096 tokens
    found = list(first_tokens(iter(texts), counting, 4096))
    assert len(found) == 15
    assert counting.most < beginnings.CHARACTERS_AT_ONCE + 100_000


def test_planted_fault_a_cut_that_is_not_checked_is_caught(monkeypatch):
    monkeypatch.setattr(beginnings, "_beginning", lambda text, t, n, cut: beginnings._whole([text[:cut]], t, n)[0])
    tokenizer = TOKENIZERS["threes unigram"]()
    assert list(first_tokens(TEXTS, tokenizer, 7)) != whole(tokenizer, TEXTS, 7)
