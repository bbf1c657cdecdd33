"""A patch as a folder: whole or not there, and refused where it is not as it was written."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ks_core.errors import InputError, NotStoredError, ProvenanceError
from ks_core.files import atomic_path, is_stored, sha256_of
from ks_core.formatting import shown_path
from ks_core.models.dtypes import dtype_of
from ks_core.models.rewriting import Change, rewrite_checkpoint
from ks_core.models.sources import is_folder_name, source_of
from ks_core.outputs import check_folder
from ks_core.patches.adapter import write_adapter
from ks_core.patches.patch import Patch
from ks_core.patches.record import NUMBERS, RECORD, REMEDY, read_files, read_record, write_numbers, write_record

CERTIFICATES = ("certificate.json", "certificate-inputs.json")
"""What was measured of the folder as it was written; made anew with every change."""


@dataclass(frozen=True, eq=False)
class StoredPatch:
    """A patch and the folder that it was read from.

    Attributes:
        folder: without links
        record_sha256: of its record as it was read
        files: names of what was written there, the record and the certificate without
    """

    folder: Path
    patch: Patch
    record_sha256: str
    files: tuple[str, ...]


def check_new_folder(option: str, folder: Path, base: str) -> None:
    """Refuse a place for a new patch, before there is one; makes nothing.

    Args:
        option: by which the place was given, for the message.
        folder: the place.
        base: name of the model that is edited.

    Raises:
        InputError: something is there already, it lies inside the base's own folder, or the place cannot be written.
    """
    if os.path.lexists(folder):
        raise InputError(
            f"{option}: {shown_path(folder)} exists; expected a folder that is still to be made: name another one, or "
            "add to edits that are there with --onto (append_edits in Python)"
        )
    if is_folder_name(base) and folder.resolve().is_relative_to(Path(base).resolve()):
        raise InputError(
            f"{option}: {shown_path(folder)} lies inside the model that is edited; expected a place outside it, so "
            "that the model stays as it is"
        )
    check_folder(option, folder.absolute().parent)


def check_patch_folder(option: str, folder: Path) -> None:
    """Refuse a patch's folder that could not be replaced by a changed one; makes nothing.

    Raises:
        InputError: no folder, or it or the one that it lies in is read-only.
    """
    if not folder.is_dir():
        raise InputError(f"{option}: {shown_path(folder)} is no folder; expected one that ks edit wrote")
    check_folder(option, folder)
    check_folder(option, folder.resolve().parent)


@contextmanager
def new_folder(folder: Path, patch: Patch) -> Iterator[Path]:
    """Write a patch beside its place, yield it there, and put it in place when the block ends.

    Raises:
        InputError: the place is taken, or the patch cannot be written in its form (`rewrite_checkpoint`).
        StorageError: it cannot be written.
    """
    check_new_folder("the new folder", folder, patch.base.name)
    with atomic_path(folder.absolute()) as made:
        _fill(made, patch)
        yield made
        check_new_folder("the new folder", folder, patch.base.name)  # it may have been made meanwhile


@contextmanager
def changed_folder(stored: StoredPatch, patch: Patch) -> Iterator[Path]:
    """Write a changed patch beside the old one, yield it there, and let them change places when the block ends.

    Whatever else lies in the old folder goes along, but for its certificate, which is of the old edits.

    Raises:
        ProvenanceError: the folder was changed by someone else since it was read.
        InputError: the patch cannot be written in its form.
        StorageError: it cannot be written.
    """
    with atomic_path(stored.folder) as made:
        _fill(made, patch)
        _take_along(stored, made)
        yield made
        if not is_stored(stored.folder / RECORD) or sha256_of(stored.folder / RECORD) != stored.record_sha256:
            raise ProvenanceError(
                f"{shown_path(stored.folder)} was changed by someone else meanwhile; expected it as it was read: "
                "nothing was written, run again"
            )


def read_patch(folder: Path) -> StoredPatch:
    """Read a patch, after checking every file of its folder against its hash.

    Raises:
        InputError: no folder.
        NotStoredError: no patch, or one of its files is missing.
        ProvenanceError: a file is not as it was written.
    """
    place = shown_path(folder)
    if not folder.is_dir():
        raise InputError(f"{place} is no folder; expected one that ks edit wrote")
    if not is_stored(folder / RECORD):
        raise NotStoredError(f"{place} has no {RECORD}; expected a folder that ks edit wrote, whole: {REMEDY}")
    seen, files = sha256_of(folder / RECORD), read_files(folder)
    for name, digest in files.items():
        if not is_stored(folder / name):
            raise NotStoredError(
                f"{place} lacks {name}, which was written with it; expected the whole folder: {REMEDY}"
            )
        if sha256_of(folder / name) != digest:
            raise ProvenanceError(
                f"{name} of {place} is not as ks_core wrote it (its sha256 is another); expected a folder that no "
                f"other tool has changed: {REMEDY}"
            )
    return StoredPatch(folder.resolve(), read_record(folder), seen, tuple(files))


def _fill(folder: Path, patch: Patch) -> None:
    folder.mkdir()
    if patch.kind == "adapter":
        write_adapter(folder, patch.base, {edits.layer: edits.edit for edits in patch.edits})
    else:
        _write_model(folder, patch)
    write_numbers(folder, patch)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    write_record(folder, patch, {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths})
    for path in paths:  # safetensors lets nobody else read what it writes
        path.chmod(stat.S_IMODE((folder / RECORD).stat().st_mode))


def _write_model(folder: Path, patch: Patch) -> None:
    base = patch.base
    changes = []
    for edits in patch.edits:
        delta = edits.edit.delta()
        stored_layout = delta.T if base.transposed else delta
        changes.append(Change(base.projection(edits.layer), stored_layout, edits.before_sha256, dtype_of(base.dtype)))
    # The base may be a patch too: what says how it was made and what was measured of it is not so of this one.
    rewrite_checkpoint(source_of(base.name, base.commit), folder, changes, (RECORD, NUMBERS, *CERTIFICATES))


def _take_along(stored: StoredPatch, folder: Path) -> None:
    own = {*stored.files, RECORD, *CERTIFICATES}
    for path in sorted(stored.folder.rglob("*")):
        name = path.relative_to(stored.folder)
        if path.is_file() and name.as_posix() not in own and not (folder / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, folder / name)
