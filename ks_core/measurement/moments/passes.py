"""One pass over the text for some layers: from one checkpoint to the next, by one process or by several."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ks_core.arrays import all_finite
from ks_core.errors import InputError, OutOfMemoryError
from ks_core.files import is_stored
from ks_core.formatting import one_line
from ks_core.measurement.moments.accumulator import (
    FLUSH_TOKENS,
    FlushedAccumulator,
    SecondMomentAccumulator,
)
from ks_core.measurement.moments.placing import Placing
from ks_core.measurement.moments.ranks import Ranks
from ks_core.measurement.moments.second_moments import PARTS, SecondMoments
from ks_core.measurement.moments.store import load_sum, passing_sums, save_sum, stored_counts, sum_path
from ks_core.measurement.moments.text import Piece, batches, chunks, segments
from ks_core.measurement.moments.tokens import StoredTokens
from ks_core.models.loaded import LoadedModel
from ks_core.models.tokens import pad_rows, padding_id

CHECKPOINT_TOKENS = 1 << 20
"""Tokens between two places for a checkpoint at most."""

CHECKPOINT_SECONDS = 600.0
"""Time since the last checkpoint from which on the next place is used; eighths of the text always are. One of a 13B
model hashes 26 GB of weights and writes 30 GB of sums, about a minute: a tenth of the time at most. Ten minutes of
work, and the way to the next place, are what is lost where a run is ended."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What is the same for all passes of a collection.

    Attributes:
        tokens: those of `moments.provenance`, all of them
        placing: where sums are held
    """

    model: LoadedModel
    tokens: StoredTokens
    moments: SecondMoments
    batch_tokens: int
    placing: Placing
    ranks: Ranks


@dataclass(frozen=True)
class Pass:
    """Layers that are read together.

    Attributes:
        start: tokens whose sums are stored
        end: the last count that one of them lacks, or where other layers stand that go on with them
    """

    layers: tuple[int, ...]
    start: int
    end: int


def checkpoints(tokens: int) -> list[int]:
    """Token counts after which sums may be stored: eighths of the text, or more often where those are long.

    Where they are changes no number: a text that crosses one is read on with all of its context.
    """
    steps = PARTS * max(1, -(-tokens // (PARTS * CHECKPOINT_TOKENS)))
    return [tokens * step // steps for step in range(1, steps + 1)]


def next_pass(moments: SecondMoments, at_once: int) -> Pass | None:
    """The layers to be read next, those that are the furthest behind; None where all is stored.

    Args:
        moments: with all their layers.
        at_once: layers a pass at most.
    """
    missing = {layer: gaps for layer in sorted(moments.layers) if (gaps := moments.missing(layer))}
    if not missing:
        return None
    starts = {layer: _start(moments, layer, gaps[0]) for layer, gaps in missing.items()}
    start = min(starts.values())
    behind = [layer for layer, of_layer in starts.items() if of_layer == start]
    passes = -(-len(behind) // at_once)
    layers = tuple(behind[: -(-len(behind) // passes)])  # as many in each: a last one of few costs as much
    end = max(missing[layer][-1] for layer in layers)
    ahead = [of_layer for of_layer in starts.values() if start < of_layer < end]
    return Pass(layers, start, min(ahead, default=end))  # to where others wait, with whom they go on


def _start(moments: SecondMoments, layer: int, wanted: int) -> int:
    """The last stored count below the one that is missing, which cannot be made from a later one."""
    return max((count for count in stored_counts(moments.folder, layer) if count < wanted), default=0)


def read(reading: Reading, of: Pass) -> None:
    """Read the text from the start of the pass to its end, storing the sums at each checkpoint.

    Raises:
        InputError: keys that are not finite, or a model that was changed meanwhile.
        NotStoredError: the sums of the start are gone: another process went on from them.
        StorageError: a checkpoint cannot be written.
    """
    ranks, tokens = reading.ranks, reading.moments.provenance.tokens
    ends = sorted({*checkpoints(tokens), *reading.moments.counts, of.start} - {0})
    ends = sorted({*(end for end in ends if end < of.end), of.end})
    always = {of.end, *reading.moments.counts, *(tokens * part // PARTS for part in range(1, PARTS + 1))}
    sums: dict[int, SecondMomentAccumulator] = {}
    with agreed(ranks):
        sums = {layer: new_sum(reading.model, layer, reading.placing, reading.moments.folder) for layer in of.layers}
        if of.start and ranks.is_first:
            _restore(reading, of, sums)
    bar = tqdm(total=of.end, initial=of.start, unit="tok", desc=_name(reading, of), disable=_silent(ranks))
    counted, stored, at = torch.zeros(1, dtype=torch.float64), of.start, time.monotonic()
    with bar:
        for end, segment in zip(ends, segments(reading.tokens, ends), strict=True):
            if end <= of.start:
                continue
            with agreed(ranks):
                counted += _read_segment(reading, segment, sums, bar.update)
            bar.update(end - bar.n)
            due = end in always or time.monotonic() - at >= CHECKPOINT_SECONDS
            if ranks.number_of_first(int(due)):
                _checkpoint(reading, sums, counted, stored, end)
                stored, at = end, time.monotonic()
                counted.zero_()


def _checkpoint(
    reading: Reading, sums: Mapping[int, SecondMomentAccumulator], counted: Tensor, before: int, end: int
) -> None:
    """Bring the sums of all processes together and store them."""
    ranks = reading.ranks
    with agreed(ranks):
        reading.model.require(reading.moments.provenance.fingerprints)
    ranks.reduce_to_first([counted])
    for accumulator in sums.values():
        ranks.reduce_to_first(accumulator.sums)
    with agreed(ranks):
        if ranks.is_first:
            _check_counted(int(counted), end - before)
            _store(reading, sums, end)
        else:
            for accumulator in sums.values():
                accumulator.clear()


@contextmanager
def agreed(ranks: Ranks) -> Iterator[None]:
    """Run the block in every process; where it fails in one, all raise what it raised.

    Raises:
        OutOfMemoryError: for what torch raises where a device, or the host, has no memory left.
    """
    failure: Exception | None = None
    try:
        yield
    except Exception as error:
        failure = _out_of_memory(error) or error
    ranks.agree(failure)


def _out_of_memory(error: Exception) -> OutOfMemoryError | None:
    """What torch says of a lack of memory in an error of ours; None where it is another. On a CPU it has no class."""
    text = str(error)
    if not isinstance(error, (torch.OutOfMemoryError, MemoryError)) and "can't allocate memory" not in text:
        return None
    return OutOfMemoryError(f"memory ran out: {one_line(text.partition(chr(10))[0])}")


def accumulate(model: LoadedModel, batch: Sequence[Piece], sums: Mapping[int, SecondMomentAccumulator]) -> None:
    """One forward pass over one batch, as far as the last layer; adds keys at counted tokens to each layer's sum."""
    ids, mask = pad_rows([piece.ids for piece in batch], padding_id(model.tokenizer))
    counted = mask.bool()
    for row, piece in enumerate(batch):
        counted[row, : piece.start] = False
    device = model.adapter.device
    ids, mask, counted = ids.to(device), mask.to(device), counted.to(device)

    def receive(layer: int, keys: Tensor) -> None:
        sums[layer].update(keys[counted.to(keys.device)])

    with torch.inference_mode():
        model.adapter.read_keys(list(sums), ids, mask, receive)


def _read_segment(
    reading: Reading,
    segment: Sequence[Piece],
    sums: Mapping[int, SecondMomentAccumulator],
    seen: Callable[[int], object],
) -> int:
    """This process's share of a segment: every so many-th chunk of it, whose order no number of processes changes.

    Returns:
        The tokens that it counted.
    """
    counted = 0
    whole = FLUSH_TOKENS if reading.placing.short else 1
    for number, chunk in enumerate(chunks(batches(segment, reading.batch_tokens), whole)):
        if number % reading.ranks.size != reading.ranks.rank:
            continue
        for batch in chunk:
            accumulate(reading.model, batch, sums)
            read_now = sum(piece.counted for piece in batch)
            counted += read_now
            seen(read_now)
        for accumulator in sums.values():
            accumulator.flush()
    return counted


def _check_counted(counted: int, wanted: int) -> None:
    """Refuse sums of processes that did not divide the text alike, and so read some of it twice or not at all."""
    if counted != wanted:
        raise InputError(  # no ProcessError: of that, which a process that is gone causes, the others are not told
            f"the processes of this run counted {counted:,} tokens of {wanted:,}; expected each to have the same text, "
            "model and version of this package: see that all nodes have the same, and start again"
        )


def _store(reading: Reading, sums: Mapping[int, SecondMomentAccumulator], end: int) -> None:
    """Write each layer's sum after `end` tokens, one at a time, and drop the passing ones before it."""
    moments, passing = reading.moments, end not in reading.moments.counts
    for layer, accumulator in sums.items():
        if not all(map(all_finite, accumulator.sums)):
            raise InputError(
                f"the keys of layer {layer} are NaN or infinite within the first {end:,} tokens; "
                "expected finite keys: run the model in float32 or bfloat16"
            )
    texts, provenance = reading.tokens.texts_within(end), replace(moments.provenance, tokens=end)
    for layer, accumulator in sums.items():
        path = sum_path(moments.folder, layer, end, passing=passing)
        # what another layer of the pass lacks, this one may have
        if not (is_stored(path) or is_stored(moments.file(layer, end))):
            save_sum(path, accumulator.packed(), layer, end, texts, provenance)
    for layer in sums:  # when all are there: a pass goes on from one count
        for count, path in passing_sums(moments.folder, layer).items():
            if count < end or (count == end and not passing):
                path.unlink(missing_ok=True)


def new_sum(model: LoadedModel, layer: int, placing: Placing, folder: Path) -> SecondMomentAccumulator:
    """The empty sum of a layer, where it is to be; a mapped one in a file of the folder."""
    adapter = model.adapter
    if placing.short:
        home = folder if placing.mapped else None
        return FlushedAccumulator(adapter.d_key, adapter.layer_device(layer), home=home)
    return SecondMomentAccumulator(adapter.d_key, adapter.layer_device(layer))


def _restore(reading: Reading, of: Pass, sums: Mapping[int, SecondMomentAccumulator]) -> None:
    moments = reading.moments
    for layer, accumulator in sums.items():
        path = stored_counts(moments.folder, layer).get(of.start, moments.file(layer, of.start))
        accumulator.resume(load_sum(path, layer, of.start, moments.provenance), of.start)


def _name(reading: Reading, of: Pass) -> str:
    some = f", layers {of.layers[0]}-{of.layers[-1]}" if len(of.layers) < len(reading.moments.layers) else ""
    return f"second moments{some}"


def _silent(ranks: Ranks) -> bool | None:
    return None if ranks.is_first else True
