"""What the models read: articles and sentences that state facts, in rows of one length that begin with a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ks_core.data.corpus import Corpus
from ks_core.errors import InputError

FACT_SHARE = 0.35
"""of all tokens: 664 facts, in four wordings each, are then read some seventy times in two million tokens. To be stored
well a fact needs more, 100 to 1,000 times (Allen-Zhu and Li 2024, arXiv 2404.05405); the rest is for language"""

VALIDATION_SHARE = 0.05
"""of the articles, the last ones in the corpus's order: never trained on"""


@dataclass(frozen=True)
class Articles:
    """Texts to train on and texts to be judged by."""

    training: tuple[str, ...]
    validation: tuple[str, ...]


def split(corpus: Corpus) -> Articles:
    """Cut a corpus into what is trained on and what is not.

    Raises:
        InputError: fewer than two texts.

    Example:
        >>> from ks_core.data.corpus import corpus_of
        >>> articles = split(corpus_of(map(str, range(100)), "numbers"))
        >>> len(articles.training), len(articles.validation)
        (95, 5)
    """
    texts = tuple(corpus.texts())
    if len(texts) < 2:
        raise InputError(f"corpus {corpus.name} has one text; expected more, for some are held out: give more texts")
    held_out = max(1, round(VALIDATION_SHARE * len(texts)))
    return Articles(texts[:-held_out], texts[-held_out:])


def rows(
    articles: Sequence[str], facts: Sequence[str], tokenizer: Tokenizer, *, count: int, length: int, seed: int
) -> NDArray[np.uint16]:
    """Rows of token ids, each of which begins with a document and is filled with others.

    A text is read from its first token when it is measured, so each row starts with one. What does not fit into a row
    is cut off; articles and statements come in a new order each time round, so other ends are cut then.

    Args:
        articles, facts: texts; without facts, articles alone.
        tokenizer: its last entry ends a text.
        count, length: how many rows, and tokens in each.
        seed: of the order.

    Returns:
        (count, length).
    """
    end = tokenizer.get_vocab_size() - 1
    sources = [_endless(_encoded(texts, tokenizer, end), seed + place) for place, texts in enumerate((articles, facts))]
    chance = np.random.default_rng(seed)
    read = np.zeros(2)
    filled = np.empty((count, length), np.uint16)
    for row in filled:
        start = 0
        while start < length:
            # Of the two sources, the one that lags behind its share, by chance where a row starts.
            of_facts = read[1] < FACT_SHARE * (read.sum() + length * chance.random()) if facts else False
            document = next(sources[int(of_facts)])[: length - start]
            row[start : start + len(document)] = document
            start += len(document)
            read[int(of_facts)] += len(document)
    return filled


def _encoded(texts: Sequence[str], tokenizer: Tokenizer, end: int) -> list[NDArray[np.uint16]]:
    return [np.array([*encoding.ids, end], np.uint16) for encoding in tokenizer.encode_batch(list(texts))]


def _endless(documents: Sequence[NDArray[np.uint16]], seed: int) -> Iterator[NDArray[np.uint16]]:
    chance = np.random.default_rng(seed)
    while documents:
        for place in chance.permutation(len(documents)):
            yield documents[place]
