"""Files on disk: the cache folder, hashes, and writes that are whole or not there at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_dir() -> Path:
    """Folder of all that is kept: `$KS_CORE_CACHE`, else `$XDG_CACHE_HOME/ks_core`, else `~/.cache/ks_core`."""
    own = os.environ.get("KS_CORE_CACHE")
    if own:
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "ks_core"


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
