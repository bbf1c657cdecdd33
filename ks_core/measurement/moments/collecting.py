"""Second moments of every layer's keys, from as few passes over the text as memory allows."""

from __future__ import annotations

import gc
import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from ks_core import arguments, defaults
from ks_core.data.corpus import Corpus
from ks_core.errors import NotStoredError, OutOfMemoryError
from ks_core.measurement.moments.passes import Pass, Reading, agreed, next_pass, read
from ks_core.measurement.moments.placing import Placing
from ks_core.measurement.moments.plan import MomentPlan
from ks_core.measurement.moments.planning import check_halves, plan_of_model
from ks_core.measurement.moments.ranks import Ranks
from ks_core.measurement.moments.second_moments import SecondMoments, layers_of, moment_provenance, moments_folder
from ks_core.measurement.moments.tokens import StoredTokens
from ks_core.models.loaded import LoadedModel


def collect_second_moments(
    model: LoadedModel,
    corpus: Corpus,
    *,
    tokens: int,
    layers: Sequence[int] | None = None,
    batch_tokens: int = defaults.BATCH_TOKENS,
    longest_text: int | None = defaults.LONGEST_TEXT,
    folder: Path | None = None,
    memory: int | None = None,
    ranks: Ranks | None = None,
) -> SecondMoments:
    """Second moments of the keys of all layers over the text, taken from the cache where they are there.

        C = E[k k^T], k the input of the layer's projection at every token that is not padding     (paper, §2 protocol)

    Args:
        model: the model, on its device and in its dtype.
        corpus: texts are taken in its order, special tokens included.
        tokens: exactly this many tokens are read, but for those whose sums are stored already.
        layers: which layers; default all.
        batch_tokens: rows × longest row of a batch, padding included; a text longer than that is a batch of its own,
            so memory is bounded by the larger of `batch_tokens` and `longest_text`. Changes no number beyond rounding.
        longest_text: a text is cut after this many tokens, or at the context length when that is shorter or this None.
        folder: where to keep them; default a folder of the cache named after the provenance.
        memory: bytes that the device may use, or the process where that is the CPU; layers are read in as few passes as
            fit (`MomentPlan`). In one pass when left out.
        ranks: this process among those that share the work; alone when left out.

    Raises:
        RankDeficientError: half the text has fewer tokens than d_key.
        InputError: tokens or layers that are no such numbers, a layer that does not exist, the corpus has too few
            tokens, keys are not finite, the model was changed meanwhile, or memory that is too little.
        ProvenanceError: a file in `folder` was made from something else.
        StorageError: a checkpoint cannot be written.
        OutOfMemoryError: memory ran out, with batches of half the size too.
        ProcessError: another process of these ended.
    """
    tokens, layers = arguments.whole_number("tokens", tokens, 1), layers_of(model, layers)
    check_tokens(model, tokens)
    ranks = ranks or Ranks.alone()
    provenance = moment_provenance(model, corpus, tokens, longest_text)
    moments = SecondMoments(folder or moments_folder(provenance), provenance, layers)
    if ranks.number_of_first(int(moments.complete)):
        return moments
    longest = provenance.longest_text
    with agreed(ranks):
        plan = plan_of_model(model, tokens, layers, batch_tokens=batch_tokens, longest=longest, memory=memory)
        text = StoredTokens(corpus.texts(), model.tokenizer, tokens, provenance.longest_text)
    _read_all(Reading(model, text, moments, batch_tokens, _placing_of_all(plan, ranks), ranks), plan)
    return moments


def _placing_of_all(plan: MomentPlan, ranks: Ranks) -> Placing:
    """The first process's: each has memory of its own, and would by that divide the text into chunks of its own."""
    return Placing(**json.loads(ranks.text_of_first(json.dumps(asdict(plan.placing)))))


def _read_all(reading: Reading, plan: MomentPlan) -> None:
    """Pass after pass until all is stored; where memory runs out, once more with batches of half the size."""
    last, halved = None, False
    while (following := _next_of_all(reading)) is not None:
        ran_out = False
        try:
            read(reading, following)
        except NotStoredError:  # another process went on from these sums and dropped them: look again
            if following == last:
                raise
        except OutOfMemoryError as error:
            if halved or reading.batch_tokens < 2:
                planned = ", ".join(f"{name} {size / 1e9:.2f} GB" for name, size in plan.device.items())
                raise OutOfMemoryError(
                    f"{error}, with batches of {reading.batch_tokens:,} tokens too; expected room for {planned}: give "
                    "a lower batch_tokens or longest_text, a budget (memory) that fits, or a dtype of fewer bytes"
                ) from error
            halved = ran_out = True
            reading = replace(reading, batch_tokens=reading.batch_tokens // 2)
            if reading.ranks.is_first:
                warnings.warn(
                    f"{error}; going on from the last checkpoint with batches of {reading.batch_tokens:,} tokens",
                    stacklevel=3,
                )
        if ran_out:  # the traceback held that try's sums and batch; only now, outside of the handler, can they go
            _free_memory()
        last = following


def _free_memory() -> None:
    """Give back what nothing refers to any more, which an error and its frames may do in a circle."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _next_of_all(reading: Reading) -> Pass | None:
    """The next pass, as the first process finds it on disk."""
    said = ""
    with agreed(reading.ranks):
        if reading.ranks.is_first and (found := next_pass(reading.moments, reading.placing.at_once)):
            said = json.dumps([found.layers, found.start, found.end])
    said = reading.ranks.text_of_first(said)
    if not said:
        return None
    layers, start, end = json.loads(said)
    return Pass(tuple(layers), start, end)


def check_tokens(model: LoadedModel, tokens: int) -> None:
    """Refuse an amount of text whose halves could not have full rank.

    Raises:
        RankDeficientError: half the text has fewer tokens than d_key.
    """
    check_halves(tokens, model.adapter.d_key)
