"""Tokens of a text, taken once and read again from disk."""

import pytest
from errors import refused
from measured import write_text
from tiny_models import save_tiny_checkpoint

from ks_core.data.corpus import corpus_of, load_corpus
from ks_core.errors import TooLittleTextError
from ks_core.measurement.moments import tokens
from ks_core.measurement.moments.tokens import StoredTokens
from ks_core.models.loading import load_model


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def tokenizer(tmp_path):
    return load_model(save_tiny_checkpoint(tmp_path / "model")).tokenizer


@pytest.mark.parametrize("in_memory", [1 << 20, 64])
def test_they_come_back_text_by_text_as_often_as_asked(tmp_path, monkeypatch, tokenizer, in_memory):
    monkeypatch.setattr(tokens, "IN_MEMORY", in_memory)
    texts = list(load_corpus(write_text(tmp_path / "text.txt")).texts())
    expected = [ids[:20] for ids in tokenizer(texts)["input_ids"]]
    stored = StoredTokens(texts, tokenizer, 700, 20)
    for _ in range(2):
        found = [ids.tolist() for ids in stored]
        assert sum(map(len, found)) == 700
        assert found[:-1] == expected[: len(found) - 1]
        assert found[-1] == expected[len(found) - 1][: len(found[-1])]
    ends = [sum(map(len, found[: number + 1])) for number in range(len(found))]
    for count in (1, ends[0], ends[0] + 1, ends[-1]):
        assert stored.texts_within(count) == next(n for n, end in enumerate(ends, 1) if end >= count)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and "cache" in path.parts]


def test_too_little_text_is_an_error_of_its_own(tokenizer):
    with refused(TooLittleTextError, what="the text has", remedy="ask for fewer"):
        StoredTokens(corpus_of(["Nara lies in Japan."], "one").texts(), tokenizer, 10**4, 64)
