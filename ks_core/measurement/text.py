"""Text as the second moment sees it: an exact number of tokens, in segments, in batches of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ks_core.errors import InputError
from ks_core.measurement.beginnings import first_tokens

TokenIds = NDArray[np.int32]


def take_tokens(texts: Iterable[str], tokenizer: Any, tokens: int, longest: int) -> list[TokenIds]:
    """Tokenise texts, special tokens included, until `tokens` tokens are there.

    Args:
        texts: in the order in which they are to be used.
        tokenizer: a transformers tokenizer.
        tokens: how many to take; the last text is cut so that the number is exact.
        longest: each text is cut after this many tokens (the paper: one article, one sample, cut at the context).

    Raises:
        InputError: the texts hold fewer tokens than that; the message says how many.
    """
    taken: list[TokenIds] = []
    total = 0
    for ids in first_tokens(texts, tokenizer, longest):
        cut = np.asarray(ids[: tokens - total], dtype=np.int32)
        if len(cut):
            taken.append(cut)
            total += len(cut)
        if total >= tokens:
            break
    if total < tokens:
        raise InputError(f"the text has {total:,} tokens; expected {tokens:,}: give more text or ask for fewer tokens")
    return taken


def segments(texts: Iterable[TokenIds], boundaries: Sequence[int]) -> Iterator[list[TokenIds]]:
    """Split texts into segments that end exactly at the given token counts.

    A text that crosses a boundary is split there, its second part continuing without the first as context.
    `boundaries` increase and end at the texts' total.
    """
    segment: list[TokenIds] = []
    total, ends = 0, iter(boundaries)
    end = next(ends)
    for text in texts:
        while total + len(text) >= end:
            head, text = text[: end - total], text[end - total :]
            segment.extend([head] if len(head) else [])
            yield segment
            segment, total = [], end
            if (end := next(ends, None)) is None:  # type: ignore[assignment]
                return
        if len(text):
            segment.append(text)
            total += len(text)


def batches(segment: Sequence[TokenIds], batch_tokens: int) -> Iterator[list[TokenIds]]:
    """Group texts of similar length so that rows × longest row ≤ `batch_tokens` (one longer text alone excepted)."""
    batch: list[TokenIds] = []
    for text in sorted(segment, key=len):
        if batch and (len(batch) + 1) * len(text) > batch_tokens:
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch
