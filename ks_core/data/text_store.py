"""Texts on disk, read back one at a time in hashed order: memory for an index and one text, however many there are."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

from ks_core.errors import InputError
from ks_core.files import cache_dir
from ks_core.formatting import shown_path

IN_MEMORY = 16 << 20
"""Bytes of text up to which no file is made."""


class TextStore:
    """Texts that were read once, in hashed order.

    They stand one after the other in a file without a name in the cache folder, which ends with the store or with the
    process, however that ends; the index takes 48 bytes a text while it is made and 16 afterwards.

    Args:
        texts: read once, one at a time.
        seed: of the order, which is that of `hashed_order`.

    Raises:
        InputError: the cache folder has no room, or cannot be written.
    """

    def __init__(self, texts: Iterable[str], seed: int) -> None:
        self._file: BinaryIO = io.BytesIO()
        digests, sizes = bytearray(), array("q")
        for text in texts:
            raw = text.encode()
            digests += order_key(raw, seed)
            sizes.append(len(raw))
            self._append(raw)
        lengths = np.frombuffer(sizes, np.int64)
        words = np.frombuffer(digests, ">u8").astype(np.uint64).reshape(-1, 4)  # compare as the 32 bytes do
        order = np.lexsort(words.T[::-1])
        self._starts, self._lengths = (np.cumsum(lengths) - lengths)[order], lengths[order]

    def __len__(self) -> int:
        return len(self._starts)

    def raw(self) -> Iterator[bytes]:
        """The texts in UTF-8, in hashed order, from the first at each call."""
        for start, length in zip(self._starts.tolist(), self._lengths.tolist(), strict=True):
            yield self._read(start, length)

    def texts(self) -> Iterator[str]:
        """The same, decoded."""
        return (raw.decode() for raw in self.raw())

    def _append(self, raw: bytes) -> None:
        try:
            if isinstance(self._file, io.BytesIO) and self._file.tell() + len(raw) > IN_MEMORY:
                self._file = _moved_to_disk(self._file)
            self._file.write(raw)
            if not isinstance(self._file, io.BytesIO):
                self._file.flush()
        except OSError as error:
            raise InputError(
                f"the texts cannot be stored in {shown_path(cache_dir())}: {error.strerror or error}; expected room "
                "for all of them: free some, or name another folder by $KS_CORE_CACHE"
            ) from error

    def _read(self, start: int, length: int) -> bytes:
        # Without a position in the file, so that two readers, threads or forked processes do not disturb each other.
        if isinstance(self._file, io.BytesIO):
            return bytes(self._file.getbuffer()[start : start + length])
        parts = []
        while length and (part := os.pread(self._file.fileno(), length, start)):  # at most 2 GiB in one call
            parts.append(part)
            start, length = start + len(part), length - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def __del__(self) -> None:
        self._file.close()


def order_key(raw: bytes, seed: int) -> bytes:
    """What texts are sorted by: SHA-256 of the seed, a line break and the text in UTF-8."""
    digest = hashlib.sha256(f"{seed}\n".encode())
    digest.update(raw)
    return digest.digest()


def _moved_to_disk(memory: io.BytesIO) -> BinaryIO:
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    file: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (it lives as long as the store)
    try:
        file.write(memory.getbuffer())
    except OSError:
        file.close()
        raise
    return file
