"""Files on disk: the cache folder, hashes, and writes that are whole or not there at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ks_core.errors import InputError


def cache_dir() -> Path:
    """Folder of all that is kept: `$KS_CORE_CACHE`, else `$XDG_CACHE_HOME/ks_core`, else `~/.cache/ks_core`.

    An empty variable counts as not set, a relative path is one from the current folder; of `$XDG_CACHE_HOME` relative
    paths are ignored, as its specification asks.

    Raises:
        InputError: no home folder is known, or a file stands where the folder would be.
    """
    own, base = os.environ.get("KS_CORE_CACHE", ""), os.environ.get("XDG_CACHE_HOME", "")
    try:
        if own:
            folder = Path(own).expanduser()
        elif Path(base).is_absolute():
            folder = Path(base) / "ks_core"
        else:
            folder = Path.home() / ".cache" / "ks_core"
    except RuntimeError as error:
        raise InputError(f"no folder for the cache: {error}; set $KS_CORE_CACHE to one") from error
    folder = folder.absolute()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"the cache {folder} is no folder; expected one: set $KS_CORE_CACHE, or remove the file")
    return folder


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a fresh path beside `target`; move it onto `target` when the block ends, remove it when the block raises.

    The block may write a file or make a folder there. A reader sees the old content or the new, never a part.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    holder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        made = holder / target.name
        yield made
        if made.is_dir() and target.is_dir():
            shutil.rmtree(target)
        made.replace(target)
    finally:
        shutil.rmtree(holder, ignore_errors=True)
