"""Text from files and folders, good and bad."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from errors import refused
from hypothesis import given
from hypothesis import strategies as st

from ks_core.data.corpus import load_corpus
from ks_core.data.text_files import read_texts
from ks_core.errors import InputError

TEXTS = ["Łódź is a city.", "Two\nlines.", "A line\u2028separator inside."]


def write_text(path: Path, texts: list[str]) -> Path:
    path.write_text("\n\n".join(texts), encoding="utf-8")
    return path


def write_lines(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")
    return path


def write_parquet(path: Path, texts: list[str], column: str = "text") -> Path:
    pq.write_table(pa.table({"id": list(range(len(texts))), column: texts}), path)
    return path


def write_folder(path: Path, texts: list[str]) -> Path:
    (path / "deeper").mkdir(parents=True)
    write_lines(path / "a.jsonl", texts[:1])
    write_parquet(path / "deeper" / "b.parquet", texts[1:2])
    write_text(path / "deeper" / "c.TXT", texts[2:])
    (path / "README.md").write_text("not a text of the corpus")
    return path


WRITERS = {
    "a.txt": write_text,
    "a.jsonl": write_lines,
    "a.json": write_lines,
    "a.parquet": write_parquet,
    "folder": write_folder,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_corpus(tmp_path, name):
    corpus = load_corpus(WRITERS[name](tmp_path / name, TEXTS))
    assert sorted(corpus.texts()) == sorted(TEXTS)
    assert corpus.sha256 == load_corpus(write_lines(tmp_path / "reference.jsonl", TEXTS)).sha256
    assert (corpus.name, corpus.revision, corpus.licence) == (name, None, None)


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1))
def test_json_lines_and_parquet_keep_every_character(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("texts")
    kept = tuple(text for text in [*texts, "one for sure"] if text.strip())
    assert tuple(read_texts(write_lines(folder / "a.jsonl", [*texts, "one for sure"]))) == kept
    assert tuple(read_texts(write_parquet(folder / "a.parquet", [*texts, "one for sure"]))) == kept


def test_text_file_is_cut_at_blank_lines_only(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\nstill one\r\n\r\n\r\ntwo\r\n \t\r\nthree\n")
    assert tuple(read_texts(path)) == ("one\nstill one", "two", "three")


def test_blank_texts_are_dropped(tmp_path):
    assert tuple(read_texts(write_lines(tmp_path / "a.jsonl", ["", "x", " \n"]))) == ("x",)
    assert tuple(read_texts(write_parquet(tmp_path / "a.parquet", ["", "x", " \n"]))) == ("x",)


def read_at_once(content: bytes) -> list[str]:
    """Paragraphs by a regular expression over the whole file."""
    text = content.decode("utf-8-sig").replace("\r\n", "\n")
    return [paragraph.strip() for paragraph in re.split(r"\n[ \t]*\n", text) if paragraph.strip()]


@given(st.text(st.sampled_from("ab \t\n\r\u000b\u000c\u2028\u00e9\ufeff"), max_size=40))
def test_paragraphs_read_line_by_line_are_those_of_the_whole_file(tmp_path_factory, text):
    content = (text + "\n\none for sure").encode()
    path = tmp_path_factory.mktemp("paragraphs") / "a.txt"
    path.write_bytes(content)
    assert list(read_texts(path)) == read_at_once(content)


BAD_FILES = [
    ("a.txt", b"", "holds no text; expected at least one"),
    ("a.jsonl", b"\n\n", "holds no text; expected at least one"),
    ("a.txt", b"caf\xe9", "is not UTF-8 (byte 3); expected text in UTF-8"),
    ("a.jsonl", b'{"text": "caf\xe9"}', "is not UTF-8 (byte 13)"),
    ("a.jsonl", b'{"text": "x"}\n{"text":\n', "line 2 is not JSON"),
    ("a.jsonl", b"[" * 100_000, "line 1 is not JSON"),
    ("a.jsonl", b'{"text": "x"}\n{"text": "x", "text": "y"}', "line 2 is not JSON: key 'text' comes twice"),
    ("a.jsonl", b'{"text": "x", "score": NaN}', "line 1 is not JSON: NaN is no JSON number"),
    ("a.jsonl", b'{"text": "x", "id": ' + b"9" * 5000 + b"}", "line 1 is not JSON: an integer has more digits"),
    ("a.txt", b"fine\n\nfine\ncaf\xe9", "is not UTF-8 (byte 14)"),
    ("a.json", b'["x"]', "line 1 is ['x']; expected an object with a field 'text'"),
    ("a.jsonl", b'{"text": "x"}\n\n{"body": "y"}', "line 3 has no field 'text', only ['body']"),
    ("a.jsonl", b'{"text": null}', "line 1: text is None; expected a text"),
    ("a.jsonl", b'{"text": "\\ud800"}', "line 1: text is '\\ud800'; expected a text"),
    ("a.parquet", b"", "is not a readable Parquet file"),
    ("a.parquet", b"PAR1 and then nothing", "is not a readable Parquet file"),
    ("a.csv", b"text\nx\n", "ends in '.csv'; expected .txt, .jsonl, .json, .parquet"),
]


@pytest.mark.parametrize(("name", "raw", "message"), BAD_FILES)
def test_bad_file_is_refused_with_its_name(tmp_path, name, raw, message):
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        load_corpus(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_parquet_is_refused(tmp_path, share):
    path = write_parquet(tmp_path / "a.parquet", [f"text {number}" for number in range(1000)])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r"a\.parquet is not a readable Parquet file"):
        load_corpus(path)


def test_parquet_with_another_column_is_refused_with_its_columns(tmp_path):
    with pytest.raises(InputError, match=r"has no column 'text', only \['id', 'body'\]"):
        load_corpus(write_parquet(tmp_path / "a.parquet", TEXTS, column="body"))


@pytest.mark.parametrize("values", [["x", None], [1, 2]])
def test_parquet_with_values_that_are_not_texts_is_refused_with_the_row(tmp_path, values):
    with pytest.raises(InputError, match=r"a\.parquet, row \d: text is .*; expected a text"):
        load_corpus(write_parquet(tmp_path / "a.parquet", values))


def test_folder_without_text_files_is_refused(tmp_path):
    (tmp_path / "notes.md").write_text("x")
    with refused(InputError, what="no file", got=(".txt", ".jsonl", ".json", ".parquet")):
        load_corpus(tmp_path)


def test_one_bad_file_in_a_folder_is_named(tmp_path):
    write_folder(tmp_path / "folder", TEXTS)
    (tmp_path / "folder" / "deeper" / "d.jsonl").write_text('{"body": "x"}')
    with pytest.raises(InputError, match=r"d\.jsonl, line 1 has no field 'text'"):
        load_corpus(tmp_path / "folder")


def test_unreadable_file_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.symlink_to(path)  # a link to itself: unreadable for every user, root included
    with pytest.raises(InputError, match=r"a\.txt cannot be read: "):
        list(read_texts(path))
