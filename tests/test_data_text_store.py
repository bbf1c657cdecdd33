"""Texts on disk come back as they would from memory, and take no more of it than the longest of them."""

import errno
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from errors import refused
from hypothesis import given
from hypothesis import strategies as st

from ks_core.data import text_store
from ks_core.data.corpus import corpus_of, hashed_order, load_corpus
from ks_core.data.text_store import TextStore
from ks_core.errors import InputError

texts_lists = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=20)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def on_disk(monkeypatch):
    monkeypatch.setattr(text_store, "IN_MEMORY", 0)


@pytest.mark.parametrize("in_memory", [0, 30, 1 << 20])
@given(texts=texts_lists, seed=st.integers(-5, 5))
def test_stored_texts_come_back_in_hashed_order(in_memory, texts, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_store, "IN_MEMORY", in_memory)
        store = TextStore(iter(texts), seed)
    assert len(store) == len(texts)
    assert list(store.texts()) == list(store.texts()) == hashed_order(texts, seed)


@pytest.mark.usefixtures("on_disk")
def test_a_corpus_from_disk_is_that_of_the_texts_in_memory(tmp_path):
    texts = [f"text {number}" + "é" * number for number in range(200)]
    path = tmp_path / "a.txt"
    path.write_text("\n\n".join(texts), encoding="utf-8")
    for seed in (0, 3):
        stored, kept = load_corpus(path, seed), corpus_of(texts, "a.txt", seed=seed)
        assert stored == kept
        assert list(stored.texts()) == list(kept.texts())


def test_the_order_and_the_hash_of_a_corpus_are_what_they_always_were(tmp_path):
    """Written down once; baselines hang on them."""
    path = tmp_path / "a.txt"
    path.write_text("one\n\ntwo\n\nthree\n\nfour", encoding="utf-8")
    corpus = load_corpus(path)
    assert list(corpus.texts()) == ["three", "four", "two", "one"]
    assert corpus.sha256 == "5a041259f1647546dc1eb17d292a429fe1377b73260d1d9fd286d117557a3355"


@pytest.mark.usefixtures("on_disk")
def test_two_readers_do_not_disturb_each_other():
    store = TextStore([f"text {number}" for number in range(50)], 0)
    assert [a == b for a, b in zip(store.texts(), store.texts(), strict=True)] == [True] * 50


@pytest.mark.usefixtures("on_disk")
def test_a_file_that_changes_afterwards_changes_nothing(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one\n\ntwo")
    corpus = load_corpus(path)
    path.write_text("three")
    assert sorted(corpus.texts()) == ["one", "two"]


@pytest.mark.usefixtures("on_disk")
def test_nothing_stays_in_the_cache_folder(tmp_path):
    store = TextStore(["a text"], 0)
    assert (tmp_path / "cache").is_dir(), "it is on disk"
    assert list(store.texts()) == ["a text"]
    assert list((tmp_path / "cache").iterdir()) == []


def test_small_texts_make_no_folder(tmp_path):
    assert list(TextStore(["a text"], 0).texts()) == ["a text"]
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("on_disk")
def test_a_full_disk_is_one_line_with_the_folder_and_the_remedy(monkeypatch):
    made = tempfile.TemporaryFile

    def full(dir):
        made(dir=dir).close()
        return Path("/dev/full").open("r+b", buffering=0)  # every write to it finds no room

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with refused(InputError, what="cache", got="No space left on device", remedy="$KS_CORE_CACHE") as caught:
        TextStore(["a text"], 0)
    assert caught.value.__cause__.errno == errno.ENOSPC


@pytest.mark.usefixtures("on_disk")
def test_a_cache_folder_that_cannot_be_made_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match=r"the texts cannot be stored in .*Not a directory"):
        TextStore(["a text"], 0)


PEAK = """
import resource, sys
from ks_core.data.corpus import load_corpus
from ks_core.measurement.moments.text import take_tokens
from ks_core.models.tiny import byte_level_tokenizer
tokenizer = byte_level_tokenizer()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
taken = take_tokens(load_corpus(sys.argv[1]).texts(), tokenizer, 1024, 1024)
assert sum(map(len, taken)) == 1024
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def peak_growth(path: Path) -> int:
    """Bytes by which reading 1,024 tokens of a corpus raises the peak memory of a process of its own."""
    ran = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True)
    return int(ran.stdout)


def test_a_text_of_one_long_line_costs_a_few_bytes_a_character(tmp_path):
    size = 40_000_000
    path = tmp_path / "line.txt"
    path.write_text("the words of one long line without end " * (size // 39))
    # The line in bytes, as a text, and in bytes again: 3 a character; the tokenizer took 200
    assert peak_growth(path) < 5 * size


def test_a_folder_of_texts_costs_less_than_the_texts(tmp_path):
    (tmp_path / "folder").mkdir()
    paragraph = "the words of a paragraph, which are no few, " * 100
    for file in range(10):
        content = "\n\n".join(f"{file} {number} {paragraph}" for number in range(2000))
        (tmp_path / "folder" / f"{file}.txt").write_text(content)
    size = sum(path.stat().st_size for path in (tmp_path / "folder").iterdir())
    assert size > 80_000_000
    # The first batch of texts, of a million characters, in the tokenizer; all texts in memory would be twice the size
    assert peak_growth(tmp_path / "folder") < size
