"""Arrays of someone else's .npz, without trust: what a file declares is checked before anything of it is read."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ks_core.errors import InputError
from ks_core.files import is_stored
from ks_core.formatting import printable, shown, shown_path

MOST_MEMBERS = 64
"""Arrays of a file: theirs have four, and a dozen with other statistics beside."""

BLOCK = 1 << 24
"""Bytes that are read at once."""

EXPECTED = "expected a statistics file as ROME and its kin write them, with mom2.mom2 and mom2.count"

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,  # an encrypted member; RecursionError, of a header that is nested without end
    MemoryError,
    SyntaxError,  # of headers, which NumPy reads as Python's literals
    tokenize.TokenError,
)


@dataclass(frozen=True)
class Header:
    """What a member declares of its array."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Bytes of the array, in integers that do not overflow."""
        size = self.dtype.itemsize
        for length in self.shape:
            size *= length
        return size


class Archive:
    """An open .npz whose members have plain names, each once."""

    def __init__(self, path: Path, file: zipfile.ZipFile) -> None:
        self.path, self._file = path, file
        members = file.infolist()
        names = [member.filename for member in members]
        if len(names) > MOST_MEMBERS:
            raise InputError(
                f"{shown_path(path)} has {len(names)} members; expected at most {MOST_MEMBERS}, {EXPECTED}"
            )
        odd = [name for name in names if not name.endswith(".npy") or set(name) & set("/\\\0:") or name.startswith(".")]
        if odd:
            raise InputError(f"{shown_path(path)} has the member {shown(odd[0])}; expected arrays without folders")
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise InputError(f"{shown_path(path)} has the member {shown(twice[0])} twice; expected every array once")
        self._members = {member.filename.removesuffix(".npy"): member for member in members}

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def header(self, name: str) -> Header:
        """What a member declares, without its array.

        Raises:
            InputError: there is none, it holds objects, or its length is not what it declares.
        """
        with self._opened(name) as (_, header):
            return header

    def array(self, name: str, shape: tuple[int, ...], kinds: str, expected: str) -> NDArray[Any]:
        """Read an array of a known shape; nothing is read or reserved where it declares another.

        Args:
            name: which.
            shape: that it must have.
            kinds: kinds of dtype that it may have, as NumPy's letters.
            expected: the same in words.

        Raises:
            InputError: there is none, another shape or dtype, or a damaged member.
        """
        with self._opened(name) as (stream, header):
            if header.shape != shape or header.dtype.kind not in kinds or header.dtype.itemsize > 8:
                raise InputError(
                    f"{shown_path(self.path)}: {name} is {header.dtype} of {shown(header.shape)}; expected {expected}"
                )
            flat = np.empty(header.nbytes // header.dtype.itemsize, dtype=header.dtype)
            _fill(stream, flat)
        found = flat.reshape(shape, order="F" if header.fortran else "C")
        return found.astype(found.dtype.newbyteorder("="), copy=False)

    @contextmanager
    def _opened(self, name: str) -> Iterator[tuple[IO[bytes], Header]]:
        if name not in self._members:
            raise InputError(
                f"{shown_path(self.path)} has no array {name!r} (it has {shown(sorted(self._members))}); {EXPECTED}"
            )
        member = self._members[name]
        with _damage(self.path), self._file.open(member) as stream:
            if member.compress_type not in METHODS:
                raise ValueError(f"{name} is packed by method {member.compress_type}")
            header = _header(stream, self.path, name)
            if stream.tell() + header.nbytes != member.file_size:
                raise ValueError(f"{name} declares {header.nbytes} bytes of an array and has {member.file_size}")
            yield stream, header


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a .npz.

    Raises:
        InputError: it is not there, is no zip file, or is truncated; or its members have odd names.
    """
    if not is_stored(path):
        raise InputError(f"{shown_path(path)} does not exist; {EXPECTED}")
    with _damage(path), zipfile.ZipFile(path) as file:
        yield Archive(path, file)


def scalar(archive: Archive, name: str) -> int | None:
    """A whole number of a file; None where it holds none, written as NaN.

    Raises:
        InputError: something else than one whole number of at least 1, such as one that has overflowed.
    """
    header = archive.header(name)
    expected = "one whole number"
    if header.dtype.kind == "f" and name != "mom2.count":
        value = float(archive.array(name, (), "f", expected))
        if np.isnan(value):
            return None
        raise InputError(f"{shown_path(archive.path)}: {name} is {value}; expected {expected}")
    number = int(archive.array(name, (), "iu", expected))
    if not 1 <= number < 2**63:
        raise InputError(
            f"{shown_path(archive.path)}: {name} is {number}; expected at least 1 and less than 2**63: the count has "
            "overflowed, or nothing was read"
        )
    return number


def _header(stream: IO[bytes], path: Path, name: str) -> Header:
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):  # a header of the others may declare gigabytes of itself
        raise ValueError(f"{name} is of version {version} of NumPy's format, not (1, 0)")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.hasobject:
        raise InputError(
            f"{shown_path(path)}: {name} holds Python objects, which are read by running what is in them; "
            "expected plain numbers"
        )
    if any(isinstance(length, bool) or length < 0 for length in shape):
        raise ValueError(f"{name} has the shape {shown(shape)}")
    return Header(shape, fortran, dtype)


def _fill(stream: IO[bytes], flat: NDArray[Any]) -> None:
    """Read exactly an array's bytes, and the end behind them, at which the member's checksum is compared."""
    room = flat.view(np.uint8)
    done = 0
    while done < len(room):
        block = stream.read(min(BLOCK, len(room) - done))
        if not block:
            raise EOFError(f"it ends after {done} of {len(room)} bytes")
        room[done : done + len(block)] = np.frombuffer(block, dtype=np.uint8)
        done += len(block)
    if stream.read(1):
        raise ValueError("it goes on behind its array")


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except _DAMAGE as error:
        said = printable(error) or type(error).__name__
        raise InputError(f"{shown_path(path)} cannot be read ({said}); {EXPECTED}: fetch it again") from error
