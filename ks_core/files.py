"""Files on disk: the cache folder, hashes, and writes that are whole or not there at all."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from ks_core.errors import InputError, ProvenanceError, StorageError
from ks_core.extras import require

try:
    import fcntl
except ImportError:  # Windows: what a killed write leaves is then not cleaned up
    fcntl = None  # type: ignore[assignment]

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

REPLACED = "replaced"
"""Where a folder goes, inside the holder, while another takes its place."""

_HERE, _EXCHANGE = -100, 2
"""Linux's AT_FDCWD and RENAME_EXCHANGE."""

_HOLDER = re.compile(r"\.(?P<target>.+)\.[a-z0-9_]{8}")
"""Name of a folder that `tempfile.mkdtemp` makes for a target."""


def cache_dir() -> Path:
    """Folder of all that is cached: `$KS_CORE_CACHE`, else `ks_core` in the platform's folder for caches.

    That is `$XDG_CACHE_HOME`, else `~/.cache` on Linux and `~/Library/Caches` on macOS. An empty variable counts as not
    set, a relative path is one from the current folder; of `$XDG_CACHE_HOME` relative paths are ignored, as its
    specification asks.

    Raises:
        InputError: no home folder is known, or a file stands where the folder would be.
        MissingExtraError: the variable is not set, and platformdirs is not installed: the core keeps nothing.
    """
    own = os.environ.get("KS_CORE_CACHE", "")
    try:
        folder = Path(own).expanduser().absolute() if own else _platform_cache()
    except RuntimeError as error:
        raise InputError(f"no folder for the cache: {error}; set $KS_CORE_CACHE to one") from error
    if folder.exists() and not folder.is_dir():
        raise InputError(f"the cache {folder} is no folder; expected one: set $KS_CORE_CACHE, or remove the file")
    return folder


def short_hash(made_from: str) -> str:
    """What the cache calls something made from this: 16 hexadecimal digits of a SHA-256, 64 bits.

    Example:
        >>> short_hash("a model and some facts")
        '91216109e56bfd17'
    """
    return hashlib.sha256(made_from.encode()).hexdigest()[:16]


def _platform_cache() -> Path:
    require("models", "the folder of the cache")
    from platformdirs import user_cache_path

    return user_cache_path("ks_core", appauthor=False)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_stored(path: Path) -> bool:
    """Whether a file stands there to be read.

    Raises:
        ProvenanceError: something is there, or may be, that is no readable file: what would be made in its place could
            not be stored.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would wait for its writer
            raise OSError(errno.EINVAL, "no regular file")
        path.open("rb").close()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ProvenanceError(
            f"{path} cannot be read ({error.strerror}); expected a file that you may read, or none: mend its "
            "permissions, or move what is there away"
        ) from error
    return True


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a fresh path beside `target`; move it onto `target` when the block ends, remove it when the block raises.

    The block may write a file or make a folder there. A reader sees the old content or the new, never a part. What
    killed processes left beside `target` is removed on the way.

    Raises:
        StorageError: no space, no permission, or a folder where a file is to go or the other way round.
    """
    with _explained(target), _holder(target) as holder:
        made = holder / target.name
        yield made
        with _explained(target, always=True):
            _replace(made, target, holder / REPLACED)


def check_storable(target: Path) -> None:
    """Refuse a place that nothing can be written to, before the work or the download that is for it.

    Its folder is made where it is missing, and written to once: what a system permits, only trying tells.

    Raises:
        StorageError: no space, or no permission.
    """
    with _holder(target):
        pass


@contextmanager
def _holder(target: Path) -> Iterator[Path]:
    """A fresh folder beside `target`, locked while this process lives and removed at the end."""
    with _explained(target, always=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale_holders(target.parent)
        holder, lock = _locked_folder(target)
    try:
        yield holder
    finally:
        shutil.rmtree(holder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _replace(made: Path, target: Path, aside: Path) -> None:
    if not (made.is_dir() and target.is_dir()) or target.is_symlink():
        made.replace(target)
    elif not _exchanged(made, target):
        try:
            target.replace(aside)  # a folder with content is not replaced in one step
            made.replace(target)
        except BaseException:  # an interrupt too
            if not target.exists():
                aside.replace(target)
            raise


def _exchanged(one: Path, other: Path) -> bool:
    """Let two paths change places in one step, which a kill cannot come into; False where the system has none."""
    if sys.platform != "linux":
        return False
    try:
        swap = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError):  # another C library
        return False
    return swap(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0  # type: ignore[no-any-return]


def _locked_folder(target: Path) -> tuple[Path, int | None]:
    while True:
        holder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        lock = _lock(holder, wait=True)
        if holder.is_dir():
            return holder, lock
        if lock is not None:  # another process took it for a stale one before it was locked
            os.close(lock)


def _lock(folder: Path, *, wait: bool) -> int | None:
    """Lock a folder until the descriptor is closed or the process ends, however it ends; None if that cannot be had."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # another process holds it, or the file system has no locks
        os.close(descriptor)
        return None
    return descriptor


def _remove_stale_holders(folder: Path) -> None:
    """Remove what killed processes left: holders that nobody locks, with nothing in them but what was being written."""
    with suppress(OSError):  # a folder that cannot be listed may still be written to
        for path in list(folder.iterdir()):
            match = _HOLDER.fullmatch(path.name)
            if match and path.is_dir() and not path.is_symlink():
                _remove_if_stale(path, match["target"])


def _remove_if_stale(holder: Path, name: str) -> None:
    expected = {name, REPLACED} if (holder.parent / name).exists() else {name}
    with suppress(OSError):  # another process may remove it at the same time
        lock = _lock(holder, wait=False)
        if lock is None:
            return
        try:
            if {path.name for path in holder.iterdir()} <= expected:
                shutil.rmtree(holder, ignore_errors=True)
        finally:
            os.close(lock)  # or whoever waits for it waits for ever


@contextmanager
def _explained(target: Path, *, always: bool = False) -> Iterator[None]:
    """Turn a failed write into one sentence and a remedy; without `always` only where there is no room.

    Other errors of a block may be about what it reads.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        code, reason = _cause(error)
        if code in NO_ROOM:
            raise StorageError(
                f"{target} cannot be written ({reason}); nothing of it was stored: make room there or raise the limit "
                "on file sizes (ulimit -f), or name another place (the cache: KS_CORE_CACHE), and run again"
            ) from error
        if always:
            raise StorageError(
                f"{target} cannot be written ({reason}); expected a place that you may write to: mend its permissions, "
                "move what is there away, or name another place (the cache: KS_CORE_CACHE)"
            ) from error
        raise


def _cause(error: OSError | SafetensorError) -> tuple[int | None, str]:
    """Number and text of a system error; safetensors gives both only inside its own text."""
    if isinstance(error, OSError):
        return error.errno, error.strerror or str(error)
    found = re.search(r"\(os error (\d+)\)", str(error))
    code = int(found[1]) if found else None
    return code, os.strerror(code) if code else str(error)
