"""Tokens of a text, taken once and read again from disk: memory for one segment, however long the text is."""

from __future__ import annotations

import tempfile
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

import numpy as np

from ks_core.errors import InputError
from ks_core.files import cache_dir
from ks_core.formatting import shown_path
from ks_core.measurement.moments.text import TokenIds, taken_tokens

IN_MEMORY = 16 << 20
"""Bytes up to which no file is made: four million tokens."""


class StoredTokens:
    """Exactly so many tokens of texts, in a nameless file of the cache folder that ends with this value.

    Args:
        texts: read once, as far as they are needed.
        tokenizer: a transformers tokenizer.
        tokens: how many.
        longest: each text is cut after this many.

    Raises:
        TooLittleTextError: the texts hold fewer tokens.
        InputError: the cache folder has no room for them, 4 bytes each.
    """

    def __init__(self, texts: Iterable[str], tokenizer: Any, tokens: int, longest: int) -> None:
        lengths = array("q")
        try:
            self._file = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=_existing_cache(tokens))  # noqa: SIM115
            for ids in taken_tokens(texts, tokenizer, tokens, longest):
                self._file.write(ids.tobytes())
                lengths.append(len(ids))
        except OSError as error:
            raise InputError(
                f"{tokens:,} tokens cannot be stored in {shown_path(cache_dir())}: {error.strerror or error}; expected "
                "room for 4 bytes each: free some, or name another folder by $KS_CORE_CACHE"
            ) from error
        self._ends = array("q", accumulate(lengths))

    def __iter__(self) -> Iterator[TokenIds]:
        """The texts' tokens, from the first at each call; one reader at a time."""
        begin = 0
        for end in self._ends:
            self._file.seek(4 * begin)
            yield np.frombuffer(self._file.read(4 * (end - begin)), dtype=np.int32)
            begin = end

    def texts_within(self, count: int) -> int:
        """How many texts the first `count` tokens are of, the last one in part perhaps."""
        return bisect_left(self._ends, count) + 1

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()


def _existing_cache(tokens: int) -> str | None:
    """The folder for a file that will be needed, made where it is not there."""
    if 4 * tokens <= IN_MEMORY:
        return None
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)
