"""What a model's name stands for (a packaged model, a folder, a repository of the hub) and the files found there."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from transformers.utils import cached_file

from ks_core.errors import AssetError, InputError, KsError
from ks_core.formatting import shown, shown_path
from ks_core.models.packaged import PACKAGED_MODELS, ensure_packaged, is_packaged, packaged_folder, packaged_names
from ks_core.models.toys import TOYS, ensure_toy

EXPECTED_FOLDER = "expected a folder with config.json, tokenizer.json and *.safetensors, as save_pretrained writes it"

_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_FILE_ENDINGS = (".gguf", ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".json", ".h5", ".msgpack", ".onnx")
_LONGEST_REASON = 300
"""characters kept of another library's message: some list every model that it knows"""


@dataclass(frozen=True)
class Source:
    """Where the files of a model are.

    Attributes:
        location: folder, or id on the hub
        commit: the hub's; None for a folder
        revision: what is recorded: the hub's commit, or a packaged model's pin; None for a folder of one's own
    """

    location: str
    commit: str | None
    revision: str | None

    @property
    def is_folder(self) -> bool:
        """Whether its files lie here, where looking for one costs nothing; a hub is asked for what is needed."""
        return self.commit is None

    @property
    def place(self) -> str:
        """The location as an error names it."""
        return shown_path(self.location)

    def find(self, name: str) -> Path | None:
        """A file by its name, fetched from the hub if need be; None when there is none.

        Raises:
            AssetError: the hub cannot be asked.
        """
        with explained(self.location):
            path = cached_file(self.location, name, revision=self.commit, _raise_exceptions_for_missing_entries=False)
        return None if path is None else Path(path)


def source_of(spec: str, revision: str | None) -> Source:
    """Where a model is, by name; a packaged one is fetched and checked, a hub's branch or tag becomes a commit.

    Args:
        spec: name of a packaged model, else a local folder, else a hub id.
        revision: branch, tag or commit of a hub model.

    Raises:
        InputError: a file instead of a folder, what is no folder and cannot be a hub id (the hub is not asked), or a
            revision of what is not on the hub.
        AssetError: a packaged or hub model that cannot be fetched.
    """
    if is_packaged(spec) or is_folder_name(spec):
        if revision is not None:
            raise InputError(
                f"{shown_path(spec)} is not a hub model, so revision {revision!r} means nothing; leave it out"
            )
        if spec in TOYS:
            return Source(str(ensure_toy(spec)), None, TOYS[spec].revision)
        if spec in PACKAGED_MODELS:
            folder = ensure_packaged(PACKAGED_MODELS[spec], packaged_folder(spec))
            return Source(str(folder), None, PACKAGED_MODELS[spec].wheel.requirement)
        return Source(spec, None, None)
    _refuse_files(spec)
    if not _HUB_ID.fullmatch(spec):
        raise InputError(
            f"{shown(spec)} is no folder and no hub id (name or owner/name); "
            f"expected one of these or a packaged model: {packaged_names()}"
        )
    commit = _hub_commit(spec, revision)
    return Source(spec, commit, commit)


def missing(source: Source, names: str) -> InputError:
    """The error for a folder or repository without the files that make a checkpoint."""
    for gguf in sorted(Path(source.location).glob("*.gguf")):
        return _gguf_error(str(gguf))
    return InputError(f"{source.place} has no {names}; {EXPECTED_FOLDER}")


def _gguf_error(name: str) -> InputError:
    """The error for a GGUF file: its weights are rounded, and its tokenizer would be a reconstruction."""
    return InputError(
        f"{shown_path(name)} is a GGUF file, which is not read as a model: its weights are rounded and its tokenizer "
        "would have to be guessed; take the folder that it was made from (config.json, tokenizer.json, *.safetensors), "
        "or write one with transformers: from_pretrained(FOLDER, gguf_file=NAME), then save_pretrained"
    )


@contextmanager
def explained(location: str) -> Iterator[None]:
    """Turn what transformers raises about a checkpoint into one sentence and a remedy."""
    place = shown_path(location)
    try:
        yield
    except KsError:
        raise
    except OSError as error:
        if is_folder_name(location):
            raise InputError(f"{place} cannot be loaded: {reason(error)}; {EXPECTED_FOLDER}") from error
        raise AssetError(
            f"{place} cannot be fetched from the model hub: {reason(error)}. Check the name and the network "
            "(a gated model needs a login), or take a local folder or a packaged model: "
            f"{packaged_names()}"
        ) from error
    except Exception as error:  # tokenizers and safetensors raise bare Exceptions on damaged files
        raise InputError(
            f"{place} cannot be loaded: {reason(error)}; expected an undamaged checkpoint of a model that "
            "transformers knows without remote code"
        ) from error


def reason(error: Exception) -> str:
    """Another library's message on one line, not longer than a few lines of a terminal."""
    name = type(error).__name__
    text = " ".join(str(error).split()).rstrip(".:")
    line = f"{name} {text}".strip() if isinstance(error, KeyError) or not text else text  # a key alone tells nothing
    return line if len(line) <= _LONGEST_REASON else f"{line[: _LONGEST_REASON - 3]}..."


def is_folder_name(name: str) -> bool:
    """Whether a model's name is that of a folder here."""
    return os.path.isdir(name)  # noqa: PTH112  (to pathlib "" is the current folder, and too long a name an error)


def _refuse_files(spec: str) -> None:
    there = os.path.lexists(spec)
    if there and spec.lower().endswith(".gguf"):
        raise _gguf_error(spec)
    if there:
        raise InputError(f"{shown_path(spec)} is not a folder; {EXPECTED_FOLDER}")
    if spec.lower().endswith(_FILE_ENDINGS):
        raise InputError(
            f"{shown_path(spec)} does not exist, and with its ending it cannot be a model of the hub; {EXPECTED_FOLDER}"
        )


@contextmanager
def _retries_unsaid() -> Iterator[None]:
    """Inside the block the hub's client says nothing of its retries: our own error says what came of them."""
    logger = logging.getLogger("huggingface_hub.utils._http")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _hub_commit(hub_id: str, revision: str | None) -> str:
    """Commit that a branch or tag stands for now: it could move while one file after the other is fetched."""
    with explained(hub_id), _retries_unsaid():
        config = cached_file(hub_id, "config.json", revision=revision)
    return Path(config).parent.name  # the hub's cache keeps files as snapshots/<commit>/<file>
