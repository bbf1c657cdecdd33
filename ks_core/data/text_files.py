"""Text from files: plain text, JSON lines, Parquet, and folders of these."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ks_core.data.records import is_text, shown
from ks_core.errors import InputError

FIELD = "text"
"""the field of a JSON line, and the column of a Parquet file, that holds the text"""


def read_texts(path: Path) -> tuple[str, ...]:
    """All non-blank texts of a file or of the readable files below a folder, in the order of the files.

    A `.txt` file holds one text per paragraph (paragraphs are separated by blank lines), a `.jsonl` or `.json` file one
    object per line with a field `text`, a `.parquet` file a column `text`. Everything is held in memory.

    Raises:
        InputError: names the file and the line or row: unreadable, not UTF-8, not what its suffix promises, no field
            `text`, a value that is not a text, or no text at all.
    """
    texts: list[str] = []
    for file in _files(path):
        found = [text for text in READERS[file.suffix.lower()](file) if text.strip()]
        if not found:
            raise InputError(f"text file {file} holds no text; expected at least one: fill it or remove it")
        texts.extend(found)
    return tuple(texts)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in READERS and file.is_file())
        if not files:
            raise InputError(f"text folder {path} has no file that ends in {_suffixes()}; expected at least one")
        return files
    if path.suffix.lower() not in READERS:
        raise InputError(f"text file {path} ends in {path.suffix!r}; expected {_suffixes()}, or a folder of such files")
    return [path]


def _suffixes() -> str:
    return ", ".join(READERS)


def _content(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise InputError(f"text file {path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"text file {path} is not UTF-8 (byte {error.start}); expected text in UTF-8: convert it, as with iconv"
        ) from error


def _paragraphs(path: Path) -> Iterator[str]:
    return (paragraph.strip() for paragraph in re.split(r"\n[ \t]*\n", _content(path)))


def _json_lines(path: Path) -> Iterator[str]:
    # not splitlines(): it also breaks at characters that JSON allows inside a string, such as U+2028
    for number, line in enumerate(_content(path).split("\n"), start=1):
        if line.strip():
            yield _field_of(line, f"{path}, line {number}")


def _field_of(line: str, place: str) -> str:
    try:
        record = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(
            f"{place} is not JSON: {error}; expected one whole object per line (JSON lines, not one JSON document)"
        ) from error
    if not isinstance(record, dict):
        raise InputError(f"{place} is {shown(record)}; expected an object with a field {FIELD!r}")
    if FIELD not in record:
        raise InputError(
            f"{place} has no field {FIELD!r}, only {shown(sorted(record))}; rename the field with the text"
        )
    return checked_text(record[FIELD], f"{place}: {FIELD}")


def _parquet_rows(path: Path) -> Iterator[str]:
    try:
        with pq.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            if FIELD not in columns:
                raise InputError(
                    f"{path} has no column {FIELD!r}, only {shown(columns)}; rename the column with the text"
                )
            values = file.read(columns=[FIELD]).column(FIELD).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"text file {path} is not a readable Parquet file: {str(error).splitlines()[0]}; copy it again"
        ) from error
    for row, value in enumerate(values):
        yield checked_text(value, f"{path}, row {row}: {FIELD}")


def checked_text(value: Any, place: str) -> str:
    """The value when it is a text (blank ones included), or an InputError that begins with `place`."""
    if isinstance(value, str) and (not value.strip() or is_text(value)):
        return value
    raise InputError(f"{place} is {shown(value)}; expected a text: remove that entry")


READERS: dict[str, Callable[[Path], Iterator[str]]] = {
    ".txt": _paragraphs,
    ".jsonl": _json_lines,
    ".json": _json_lines,
    ".parquet": _parquet_rows,
}
"""suffix of a file name → its reader"""
