"""The first tokens of texts, without tokenising the rest of a long one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

TEXTS_AT_ONCE = 512
CHARACTERS_AT_ONCE = 1 << 20
"""Of texts that are tokenised together: a tokenizer takes about 200 bytes for each while it works."""

CHARACTERS_PER_TOKEN = 8
"""Where the first cut of a long text is tried: twice what English has. Elsewhere the cut moves until it is enough."""

LEAST = 4096
"""Characters of the first cut at least: no known tokenizer looks so far ahead for the first tokens (WordPiece looks at
a hundred letters of a word)."""

WORTH_CUTTING = 6
"""Cuts that fit into a text that is worth cutting: to try the first costs four."""


def first_tokens(texts: Iterable[str], tokenizer: Any, longest: int) -> Iterator[list[int]]:
    """Token ids of each text, special tokens included, cut after `longest` tokens, as the tokenizer truncates.

    Of a long text only a beginning is tokenised, as far as it decides the first tokens: it is doubled until the tokens
    that are wanted are there and do not change when one character more or twice as much is read.

    Args:
        texts: read as they are needed.
        tokenizer: a transformers tokenizer.
        longest: tokens.
    """
    # A tokenizer that cuts at the left keeps the end of a text, which no beginning has.
    cut = (
        max(LEAST, CHARACTERS_PER_TOKEN * longest)
        if getattr(tokenizer, "truncation_side", "right") == "right"
        else None
    )
    waiting: list[str] = []
    characters = 0
    for text in texts:
        if cut is not None and len(text) > WORTH_CUTTING * cut:
            yield from _whole(waiting, tokenizer, longest)
            waiting, characters = [], 0
            yield _beginning(text, tokenizer, longest, cut)
            continue
        waiting.append(text)
        characters += len(text)
        if len(waiting) == TEXTS_AT_ONCE or characters >= CHARACTERS_AT_ONCE:
            yield from _whole(waiting, tokenizer, longest)
            waiting, characters = [], 0
    yield from _whole(waiting, tokenizer, longest)


def _whole(texts: list[str], tokenizer: Any, longest: int) -> list[list[int]]:
    if not texts:
        return []
    found: list[list[int]] = tokenizer(texts, truncation=True, max_length=longest)["input_ids"]
    return found


def _beginning(text: str, tokenizer: Any, longest: int, cut: int) -> list[int]:
    while 2 * cut + 1 < len(text):
        # One more and twice as much: neither the cut itself nor, in a text that repeats itself, what is left over when
        # tokens of several letters are laid from its end may decide the first tokens.
        first, *others = _whole([text[:cut], text[: cut + 1], text[: 2 * cut + 1]], tokenizer, longest)
        if len(first) == longest and all(ids == first for ids in others):
            return first
        cut *= 2
    return _whole([text], tokenizer, longest)[0]
