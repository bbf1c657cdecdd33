"""Text from files: plain text, JSON lines, Parquet, and folders of these."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from ks_core.data.records import is_text
from ks_core.errors import InputError
from ks_core.extras import require
from ks_core.formatting import shown, shown_path
from ks_core.strict_json import JsonError, parse_json

FIELD = "text"
"""the field of a JSON line, and the column of a Parquet file, that holds the text"""

PARQUET_ROWS = 64
"""Rows of a Parquet file that are decoded together."""


def read_texts(path: Path) -> Iterator[str]:
    """The non-blank texts of a file or of the readable files below a folder, one by one, in the order of the files.

    A `.txt` file holds one text per paragraph (paragraphs are separated by blank lines), a `.jsonl` or `.json` file one
    object per line with a field `text`, a `.parquet` file a column `text`. One text is held in memory at a time.

    Raises:
        InputError: names the file and the line or row: unreadable, not UTF-8, not what its suffix promises, no field
            `text`, a value that is not a text, or no text at all.
    """
    for file in text_files(path):
        found = False
        for text in READERS[file.suffix.lower()](file):
            if text.strip():
                found = True
                yield text
        if not found:
            raise InputError(f"text file {shown_path(file)} holds no text; expected at least one: fill it or remove it")


def text_files(path: Path) -> list[Path]:
    """The file, or the readable files below a folder; none is read.

    Raises:
        InputError: another suffix, or a folder without such files.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in READERS and file.is_file())
        if not files:
            raise InputError(
                f"text folder {shown_path(path)} has no file that ends in {_suffixes()}; expected at least one"
            )
        return files
    if path.suffix.lower() not in READERS:
        raise InputError(
            f"text file {shown_path(path)} ends in {shown(path.suffix)}; expected {_suffixes()}, or a folder of such "
            "files"
        )
    return [path]


def _suffixes() -> str:
    return ", ".join(READERS)


def _lines(path: Path) -> Iterator[str]:
    """Lines without their ends, `\\n` or `\\r\\n`, and no others: JSON allows U+2028 and its like inside a string."""
    start = 0
    try:
        with path.open("rb") as file:
            for raw in file:
                line = raw.removeprefix(codecs.BOM_UTF8) if start == 0 else raw
                text = line.decode().removesuffix("\n").removesuffix("\r")
                start += len(raw)
                del raw, line  # one line may be all the text there is
                yield text
    except OSError as error:
        raise InputError(f"text file {shown_path(path)} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"text file {shown_path(path)} is not UTF-8 (byte {start + error.start}); expected text in UTF-8: "
            "convert it, as with iconv"
        ) from error


def _paragraphs(path: Path) -> Iterator[str]:
    lines: list[str] = []
    for line in chain(_lines(path), [""]):
        if line.strip(" \t"):
            lines.append(line)
        elif lines:
            yield "\n".join(lines).strip()
            lines = []


def _json_lines(path: Path) -> Iterator[str]:
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            yield _field_of(line, f"{shown_path(path)}, line {number}")


def _field_of(line: str, place: str) -> str:
    try:
        record = parse_json(line)
    except JsonError as error:
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
    require("paper", f"text file {shown_path(path)}")
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        with pq.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            if FIELD not in columns:
                raise InputError(
                    f"{shown_path(path)} has no column {FIELD!r}, only {shown(columns)}; rename the column with the "
                    "text"
                )
            for batch in file.iter_batches(batch_size=PARQUET_ROWS, columns=[FIELD]):
                for value in batch.column(FIELD):
                    yield checked_text(value.as_py(), f"{shown_path(path)}, row {row}: {FIELD}")
                    row += 1
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"text file {shown_path(path)} is not a readable Parquet file: {str(error).splitlines()[0]}; copy it again"
        ) from error


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
