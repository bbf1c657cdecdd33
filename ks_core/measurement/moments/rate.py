"""How fast second moments are collected here, from a few batches."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from ks_core.data.corpus import Corpus
from ks_core.errors import InputError
from ks_core.files import cache_dir
from ks_core.measurement.moments.passes import accumulate, new_sum
from ks_core.measurement.moments.placing import Placing
from ks_core.measurement.moments.text import Piece, batches, take_tokens
from ks_core.models.loaded import LoadedModel


@dataclass(frozen=True)
class Rate:
    """Tokens a second of one process.

    Attributes:
        error: standard error of the mean over batches, NaN for one
        batches: timed; one more came first and is not counted
    """

    tokens_per_second: float
    error: float
    batches: int


def measured_rate(
    model: LoadedModel,
    corpus: Corpus,
    layers: tuple[int, ...],
    placing: Placing,
    *,
    batches_timed: int,
    batch_tokens: int,
    longest: int,
) -> Rate:
    """Read a few batches as a pass over these layers does, and keep nothing.

    Short sums are flushed once after them, which a pass does after many more: their time is told too long, not too
    short.

    Raises:
        InputError: fewer than one batch, or less text than that takes.
    """
    if batches_timed < 1:
        raise InputError(f"batches is {batches_timed}; expected 1 or more to be timed")
    texts = take_tokens(corpus.texts(), model.tokenizer, (batches_timed + 1) * batch_tokens, longest)
    sums = {layer: new_sum(model, layer, placing, cache_dir()) for layer in layers}
    timed = []
    for batch in islice(batches([Piece(ids, 0) for ids in texts], batch_tokens), batches_timed + 1):
        start = time.perf_counter()
        accumulate(model, batch, sums)
        for each in sums.values():
            each.flush()
        if model.adapter.device.type == "cuda":
            torch.cuda.synchronize(model.adapter.device)
        timed.append((sum(map(len, batch)), time.perf_counter() - start))
    tokens, seconds = np.array(timed[1:] or timed).T  # the first one warms up
    rate = tokens.sum() / seconds.sum()
    # of a ratio of sums: batches of short texts are slower, and count by their tokens
    spread = np.std(tokens - rate * seconds, ddof=1) if len(tokens) > 1 else np.nan
    return Rate(float(rate), float(spread * len(tokens) ** 0.5 / seconds.sum()), len(tokens))
