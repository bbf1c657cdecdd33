"""Text streamed from a dataset of the Hugging Face hub, at a commit that is resolved and recorded."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ks_core.data.text_files import FIELD, checked_text
from ks_core.errors import InputError
from ks_core.extras import require
from ks_core.files import sha256_of
from ks_core.formatting import shown, shown_path

PREFIX = "hub:"
SHUFFLE_BUFFER = 10_000
"""texts held back for shuffling: the stream's order is that of the files, often by topic or date"""


@dataclass(frozen=True)
class HubDataset:
    """What `hub:dataset[@revision]:config:split` names.

    Attributes:
        dataset: id on the hub, or a local folder in the layout of one
        revision: commit, tag or branch; None is the newest
        config: None is the dataset's default, written as nothing between the colons

    Example:
        >>> HubDataset.parse("hub:wikimedia/wikipedia@b04c8d1:20231101.en:train")
        HubDataset(dataset='wikimedia/wikipedia', revision='b04c8d1', config='20231101.en', split='train')
    """

    dataset: str
    revision: str | None
    config: str | None
    split: str

    @classmethod
    def parse(cls, spec: str) -> HubDataset:
        """Read the specification.

        Raises:
            InputError: not three parts after `hub:`, no dataset, or no plain name of a split among them.
        """
        parts = spec.removeprefix(PREFIX).rsplit(":", 2)
        # a slice such as train[:10%] is refused with the rest: a stream cannot be sliced
        if len(parts) != 3 or not parts[0] or not re.fullmatch(r"[\w.-]+", parts[2]):
            raise InputError(
                f"corpus {shown(spec)} is not of the form hub:dataset:config:split; "
                "example: hub:wikimedia/wikipedia:20231101.en:train"
            )
        dataset, _, revision = parts[0].partition("@")
        return cls(dataset, revision or None, parts[1] or None, parts[2])


@dataclass(frozen=True)
class HubStream:
    """A dataset at a fixed commit, in a shuffled order that depends on the seed alone.

    Attributes:
        source: with the resolved commit as its revision
    """

    source: HubDataset
    seed: int

    @property
    def sha256(self) -> str:
        """Hash of everything that fixes the stream; the texts themselves are too many to hash."""
        return hashlib.sha256(f"{self.source}|{self.seed}|{SHUFFLE_BUFFER}".encode()).hexdigest()

    def texts(self) -> Iterator[str]:
        """The texts, from the start at each call.

        Raises:
            InputError: the dataset cannot be read, or a row has no text in the field `text`.
        """
        name = shown_path(self.source.dataset)
        for number, row in enumerate(_readable(name, _stream(self.source, self.seed))):
            if FIELD not in row:
                raise InputError(f"dataset {name} has no column {FIELD!r}, only {shown(sorted(row))}; take another one")
            text = checked_text(row[FIELD], f"dataset {name}, row {number} of the stream: {FIELD}")
            if text.strip():
                yield text


def open_hub(spec: str, seed: int) -> HubStream:
    """Resolve the commit of a dataset and read its first text, so that what is wrong shows now and not in an hour.

    Args:
        spec: `hub:dataset[@revision]:config:split`.
        seed: of the shuffling.

    Raises:
        InputError: malformed, not found, not reachable, no such config or split, no column `text`, or no text at all.
        MissingExtraError: `datasets` is not installed.
    """
    asked = HubDataset.parse(spec)
    require("hub", f"corpus {shown_path(spec)}")  # before anything slow
    commit = _commit(asked)
    stream = HubStream(HubDataset(asked.dataset, commit, asked.config, asked.split), seed)
    if next(stream.texts(), None) is None:
        raise InputError(f"corpus {shown_path(spec)} holds no text; expected at least one row with text")
    return stream


def _commit(asked: HubDataset) -> str:
    """The commit that a revision stands for now; for a local folder a hash of its files."""
    folder = Path(asked.dataset)
    if folder.is_dir():
        digest = hashlib.sha256()
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            digest.update(f"{file.relative_to(folder).as_posix()} {sha256_of(file)}\n".encode())
        return digest.hexdigest()
    try:
        from huggingface_hub import HfApi

        return str(HfApi().dataset_info(asked.dataset, revision=asked.revision).sha)
    except Exception as error:  # as in _readable
        raise _unreadable(asked.dataset, error) from error


def _stream(source: HubDataset, seed: int) -> Iterator[dict[str, Any]]:
    import datasets

    local = Path(source.dataset).is_dir()
    stream = datasets.load_dataset(
        source.dataset, source.config, split=source.split, revision=None if local else source.revision, streaming=True
    )
    yield from stream.shuffle(seed=seed, buffer_size=SHUFFLE_BUFFER)


def _readable(name: str, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The same rows, with every failure to read them as one InputError."""
    try:
        yield from rows
    except Exception as error:  # the client raises its own, its HTTP library's, Arrow's, OSError and ValueError
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> InputError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return InputError(
        f"dataset {shown_path(name)} cannot be read: {shown_path(reason)}; check its name, config, split and revision, "
        "and the network"
    )
