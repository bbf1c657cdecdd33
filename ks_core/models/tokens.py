"""Prompts to token rows, and where in them the subject ends: read from character offsets, never counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, normalizers
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ks_core.errors import InputError
from ks_core.formatting import quoted

Span = tuple[int, int]
"""half-open range of characters, as in `prompt[start:end]`"""


@dataclass(frozen=True, eq=False)
class TokenisedPrompts:
    """A padded batch of prompts; row i belongs to prompt i.

    Attributes:
        input_ids: (n, tokens) int64
        attention_mask: (n, tokens) int64, 1 for a token and 0 for padding
        subject_last: (n,) int64, column of the subject's last token, padding counted
    """

    input_ids: Tensor
    attention_mask: Tensor
    subject_last: Tensor


@dataclass(frozen=True)
class NoSubject:
    """Why the subject's last token cannot be told in a prompt."""

    reason: str


def tokenise_prompts(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], subject_spans: Sequence[Span]
) -> TokenisedPrompts:
    """Tokenise prompts as the model expects them (with its special tokens) and find each subject's last token.

    Args:
        tokenizer: a fast tokenizer; it is not changed. Its `padding_side` is followed.
        prompts: n texts.
        subject_spans: n character spans, `prompts[i][start:end]` being the subject. White space at the ends of a span
            does not belong to the subject.

    Returns:
        The padded batch, on the CPU.

    Raises:
        InputError: the tokenizer has no offsets, there are no prompts, not as many spans as prompts, or a span that
            holds no subject or whose last token cannot be told; names the prompt.
    """
    if not prompts or len(prompts) != len(subject_spans):
        raise InputError(f"got {len(prompts)} prompts and {len(subject_spans)} spans; expected as many, at least one")
    rows, places = subject_places(tokenizer, prompts, subject_spans)
    last = []
    for prompt, place in zip(prompts, places, strict=True):
        if isinstance(place, NoSubject):
            raise InputError(f"the prompt {quoted(prompt)} cannot be read: {place.reason}")
        last.append(place)
    return padded_prompts(tokenizer, rows, last)


def padded_prompts(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[Sequence[int]], subject_last: Sequence[int]
) -> TokenisedPrompts:
    """Token rows in one batch, padded as the tokenizer does; `subject_last` counts without padding."""
    input_ids, attention_mask = pad_rows(rows, padding_id(tokenizer), tokenizer.padding_side)
    shift = [input_ids.shape[1] - len(row) if tokenizer.padding_side == "left" else 0 for row in rows]
    return TokenisedPrompts(input_ids, attention_mask, torch.tensor(subject_last) + torch.tensor(shift))


def subject_places(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], subject_spans: Sequence[Span]
) -> tuple[list[list[int]], list[int | NoSubject]]:
    """Each prompt's tokens, and which of them is the subject's last one, or why that cannot be told.

    A tokenizer's offsets speak of the text as it was given, and a character that its normaliser composed with the one
    before it, or deleted, is in none of them. Where a subject seems to be cut short, the normalised text is therefore
    read once more without the normaliser, and the ends are compared there; its tokens must be the same.

    Raises:
        InputError: the tokenizer has no offsets, or a span that holds no subject.
    """
    if not tokenizer.is_fast:
        raise InputError(
            f"{type(tokenizer).__name__} gives no character offsets; expected a fast tokenizer (a tokenizer.json)"
        )
    spans = [_trimmed(prompt, span) for prompt, span in zip(prompts, subject_spans, strict=True)]
    encoded = tokenizer(list(prompts), return_offsets_mapping=True, padding=False, truncation=False, verbose=False)
    rows: list[list[int]] = encoded["input_ids"]
    normalised: NormalisedReading | None = None
    found: list[int | NoSubject] = []
    for row, offsets, prompt, span in zip(rows, encoded["offset_mapping"], prompts, spans, strict=True):
        try:
            found.append(subject_last_token(split_byte_runs(offsets, prompt), span))
        except InputError as error:
            normalised = normalised or NormalisedReading(tokenizer)
            place = normalised.subject_last_token(prompt, row, span)
            found.append(NoSubject(str(error)) if place is None else place)
    return rows, found


class NormalisedReading:
    """A tokenizer without its normaliser, which reads texts that were normalised before."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        backend = tokenizer.backend_tokenizer
        self._normalizer = backend.normalizer
        self._bare = Tokenizer.from_str(backend.to_str())
        self._bare.normalizer = normalizers.Sequence([])
        self._bare.no_truncation()
        self._bare.no_padding()

    def subject_last_token(self, prompt: str, row: Sequence[int], span: Span) -> int | None:
        """Index of the token, or None where the normalised text does not tell it either.

        Args:
            prompt: as it was given.
            row: its tokens.
            span: character range of the subject in it.
        """
        if self._normalizer is None:
            return None
        text, before, up_to = (
            self._normalizer.normalize_str(part) for part in (prompt, prompt[: span[0]], prompt[: span[1]])
        )
        encoding = self._bare.encode(text)
        if encoding.ids != list(row) or not text.startswith(up_to):
            return None
        # Where the normaliser makes something else of the part before the subject alone, it begins nowhere known: at 0.
        start = len(before) if up_to.startswith(before) else 0
        try:
            return subject_last_token(split_byte_runs(encoding.offsets, text), (start, len(up_to.rstrip())))
        except InputError:
            return None


def subject_last_token(offsets: Sequence[Span], span: Span) -> int:
    """Index of the last token that covers some of the subject's characters.

    A token covers characters when the two half-open ranges overlap: a zero-width range (special tokens are `(0, 0)`)
    covers none, `(8, 11)` for " is" does not touch a subject that ends at 8, and of several tokens that share one
    multi-byte character the last one counts.

    Args:
        offsets: one character range per token, as the tokenizer's `offset_mapping`.
        span: character range of the subject.

    Raises:
        InputError: no token covers the subject's last character.

    Example:
        >>> subject_last_token([(0, 0), (0, 4), (4, 8), (8, 11)], (0, 8))
        2
    """
    start, end = span
    covering = [i for i, (first, stop) in enumerate(offsets) if max(first, start) < min(stop, end)]
    # A last token that stops short means that the tokenizer dropped the subject's end or that its offsets are wrong.
    if not covering or offsets[covering[-1]][1] < end:
        raise InputError(
            f"no token covers the end of the subject at characters {start} to {end}; the tokenizer drops these "
            "characters or reports wrong offsets: update `tokenizers`, or reword the subject"
        )
    return covering[-1]


def padding_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Token to pad with: the tokenizer's own, else its end-of-text token, else 0 (padding is masked in any case)."""
    for token_id in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token_id is not None:
            return int(token_id)
    return 0


def pad_rows(
    rows: Sequence[Sequence[int] | NDArray[np.int32]], pad_id: int, side: str = "right"
) -> tuple[Tensor, Tensor]:
    """Pad token rows to the longest.

    Args:
        rows: n token rows, not all empty.
        pad_id: token put into the padding.
        side: "right" or "left", where the padding goes.

    Returns:
        input_ids and attention_mask, each (n, tokens) int64.

    Example:
        >>> [t.tolist() for t in pad_rows([[5], [6, 7]], pad_id=0, side="left")]
        [[[0, 5], [6, 7]], [[0, 1], [1, 1]]]
    """
    if side not in ("left", "right"):
        raise InputError(f"padding side is {side!r}; expected 'left' or 'right'")
    width = max(map(len, rows))
    input_ids = torch.full((len(rows), width), pad_id)
    attention_mask = torch.zeros_like(input_ids)
    for i, row in enumerate(rows):
        columns = slice(width - len(row), width) if side == "left" else slice(0, len(row))
        input_ids[i, columns] = torch.tensor(row, dtype=torch.int64)
        attention_mask[i, columns] = 1
    return input_ids, attention_mask


def split_byte_runs(offsets: Sequence[Span], prompt: str) -> list[Span]:
    """Give each byte token the range of its own character.

    A Unigram model with byte fallback reports, for every byte of a run of unknown characters, the range of the whole
    run. Such tokens are told by having one range, of several characters, as often as these characters have bytes.
    """
    split: list[Span] = []
    for (start, end), run in groupby(offsets):
        size = len(list(run))
        widths = [len(character.encode()) for character in prompt[start:end]]
        if len(widths) > 1 and sum(widths) == size:
            split += [(start + i, start + i + 1) for i, width in enumerate(widths) for _ in range(width)]
        else:
            split += [(start, end)] * size
    return split


def _trimmed(prompt: str, span: Span) -> Span:
    """Return the span without white space at its ends."""
    start, end = span
    subject = prompt[start:end] if 0 <= start < end <= len(prompt) else ""
    if not subject.strip():
        raise InputError(
            f"span {start} to {end} holds no subject in the prompt {quoted(prompt)}; expected start < end inside it"
        )
    return start + len(subject) - len(subject.lstrip()), end - len(subject) + len(subject.rstrip())
