"""Text as the second moment sees it: an exact number of tokens, in segments, in batches of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ks_core.errors import TooLittleTextError
from ks_core.measurement.moments.beginnings import first_tokens

TokenIds = NDArray[np.int32]

Row = TypeVar("Row", bound=Sized)


@dataclass(frozen=True, eq=False)
class Piece:
    """What a segment holds of one text: its tokens up to the segment's end, those before the segment as context.

    Attributes:
        ids: from the beginning of the text, which is what the model reads
        start: tokens before the segment: read, and counted by an earlier one
    """

    ids: TokenIds
    start: int

    def __len__(self) -> int:
        """Tokens that the model reads."""
        return len(self.ids)

    @property
    def counted(self) -> int:
        """Tokens that belong to the segment."""
        return len(self.ids) - self.start


def take_tokens(texts: Iterable[str], tokenizer: Any, tokens: int, longest: int) -> list[TokenIds]:
    """Tokenise texts, special tokens included, until `tokens` tokens are there.

    Args:
        texts: in the order in which they are to be used.
        tokenizer: a transformers tokenizer.
        tokens: how many to take; the last text is cut so that the number is exact.
        longest: each text is cut after this many tokens (the paper: one article, one sample, cut at the context).

    Raises:
        TooLittleTextError: the texts hold fewer tokens than that; the message says how many.
    """
    return list(taken_tokens(texts, tokenizer, tokens, longest))


def taken_tokens(texts: Iterable[str], tokenizer: Any, tokens: int, longest: int) -> Iterator[TokenIds]:
    """`take_tokens`, text by text; that there are too few shows at the end."""
    total = 0
    for ids in first_tokens(texts, tokenizer, longest):
        cut = np.asarray(ids[: tokens - total], dtype=np.int32)
        if len(cut):
            yield cut
            total += len(cut)
        if total >= tokens:
            break
    if total < tokens:
        raise TooLittleTextError(
            f"the text has {total:,} tokens; expected {tokens:,}: give more text or ask for fewer tokens"
        )


def segments(texts: Iterable[TokenIds], boundaries: Sequence[int]) -> Iterator[list[Piece]]:
    """Split texts into segments that end exactly at the given token counts.

    A text that crosses a boundary is in both segments, in the second one with its beginning as context: where a text
    is divided changes no key, because a decoder's key depends on the tokens before it alone.
    `boundaries` increase and end at the texts' total.
    """
    segment: list[Piece] = []
    begin, ends = 0, iter(boundaries)
    end = next(ends)
    for text in texts:
        start = 0
        while begin + len(text) >= end:
            if end - begin > start:
                segment.append(Piece(text[: end - begin], start))
                start = end - begin
            yield segment
            segment = []
            if (end := next(ends, None)) is None:  # type: ignore[assignment]
                return
        if len(text) > start:
            segment.append(Piece(text, start))
        begin += len(text)


def chunks(batched: Iterable[list[Piece]], most: int) -> Iterator[list[list[Piece]]]:
    """Group batches so that a group reads `most` tokens at most, padding included (one larger batch alone excepted).

    A group is what one process reads, and what is multiplied in float32 before it is added up in float64: neither
    depends on how many processes there are, so neither do the sums, but for the order in which float64 adds them.
    """
    group: list[list[Piece]] = []
    size = 0
    for batch in batched:
        read = len(batch) * max(map(len, batch))
        if group and size + read > most:
            yield group
            group, size = [], 0
        group.append(batch)
        size += read
    if group:
        yield group


def batches(segment: Iterable[Row], batch_tokens: int) -> Iterator[list[Row]]:
    """Group rows of similar length so that rows × longest row ≤ `batch_tokens` (one longer row alone excepted)."""
    batch: list[Row] = []
    for row in sorted(segment, key=len):
        if batch and (len(batch) + 1) * len(row) > batch_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
