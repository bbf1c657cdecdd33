"""Second moments of every layer's keys, from one pass over the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ks_core import arguments, defaults
from ks_core.data.corpus import Corpus
from ks_core.errors import InputError, NotStoredError, ProvenanceError, RankDeficientError
from ks_core.files import cache_dir, is_stored
from ks_core.formatting import shown
from ks_core.measurement.moments.accumulator import SecondMoment, SecondMomentAccumulator, moment_of
from ks_core.measurement.moments.provenance import MomentProvenance
from ks_core.measurement.moments.store import load_moment, load_sum, save_moments
from ks_core.measurement.moments.text import Piece, TokenIds, batches, segments, take_tokens
from ks_core.models.loaded import FINGERPRINTS, LoadedModel
from ks_core.models.tokens import pad_rows, padding_id

SEGMENTS = 8
"""The text is read in this many equal segments with a checkpoint after each, so an interrupt loses one at most. Where
they end changes no number: a text that crosses an end is read on with all of its context."""

LONGEST_NAME = 100
"""Bytes of a model's name in that of its folder: a file system's names have 255."""

STORED_AFTER = (1, 2, 4, 8)
"""Checkpoints that stay: after 1/8, 1/4, 1/2 and all of the text, to see how a number moves as the text doubles."""


@dataclass(frozen=True)
class SecondMoments:
    """Second moments of all measured layers after growing amounts of text; read from disk one layer at a time.

    Attributes:
        provenance: of the files, which may hold more layers than were asked for
        layers: the measured ones
    """

    folder: Path
    provenance: MomentProvenance
    layers: tuple[int, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Token counts at which the moments are known, increasing; the last is all of the text."""
        return tuple(self.provenance.tokens * read // SEGMENTS for read in STORED_AFTER)

    @property
    def complete(self) -> bool:
        """Whether all of it is on disk."""
        there = [is_stored(_file(self.folder, count)) for count in self.counts]  # each: one may be there and unreadable
        return all(there)

    @property
    def has_halves(self) -> bool:
        """Whether `halves` are known, and with them an error over text."""
        return True

    def require_model(self, model: LoadedModel) -> None:
        """Refuse a model that these are not of.

        Raises:
            ProvenanceError: its weights, settings, tokenizer or dtype are others; names them.
        """
        made_from = self.provenance.fingerprints
        pairs = zip(FINGERPRINTS, made_from, model.fingerprints, strict=True)
        other = [name for name, then, now in pairs if then != now]
        if other:
            raise ProvenanceError(
                f"the second moments are those of {shown(self.provenance.model)}, and the {' and '.join(other)} of "
                f"{shown(model.name)} are others; expected those of this model: collect them from it"
            )

    def layer_number(self, layer: int) -> int:
        """A layer that was measured, as Python's integer.

        Raises:
            InputError: it was not measured, or is no whole number.
        """
        number = arguments.whole_number("layer", layer)
        if number not in self.layers:
            raise InputError(
                f"the second moments are of layers {shown(self.layers)}, without layer {shown(number)}; expected them "
                "of that layer: second_moments(model) has all layers"
            )
        return number

    def at(self, layer: int, count: int | None = None) -> SecondMoment:
        """The second moment of a layer over the first `count` tokens, one of `counts` (default: all).

        Raises:
            InputError: a layer or count that was not measured.
            ProvenanceError: the file is gone or damaged.
        """
        layer = self.layer_number(layer)
        count = self.provenance.tokens if count is None else arguments.whole_number("count", count)
        if count not in self.counts:
            raise InputError(f"count is {shown(count)}; expected one of {shown(self.counts)}, in tokens")
        return load_moment(_file(self.folder, count), layer, count, self.provenance)

    def halves(self, layer: int) -> tuple[SecondMoment, SecondMoment]:
        """The second moments of a layer over the first and over the second half of the text; errors as for `at`."""
        layer = self.layer_number(layer)
        half, whole = self.counts[-2:]
        first = load_sum(_file(self.folder, half), layer, half, self.provenance)
        total = load_sum(_file(self.folder, whole), layer, whole, self.provenance)
        return moment_of(first, half), moment_of(total - first, whole - half)


def moment_provenance(
    model: LoadedModel, corpus: Corpus, tokens: int, layers: Sequence[int], longest_text: int = defaults.LONGEST_TEXT
) -> MomentProvenance:
    """What the second moments of this model over the first `tokens` tokens of this corpus depend on."""
    return MomentProvenance(
        model=model.name,
        weights_sha256=model.weights_sha256,
        config_sha256=model.config_sha256,
        tokenizer_sha256=model.tokenizer_sha256,
        dtype=model.dtype,
        layers=tuple(layers),
        corpus=corpus.name,
        corpus_sha256=corpus.sha256,
        tokens=tokens,
        longest_text=min(longest_text, model.context_length),
    )


def moments_folder(provenance: MomentProvenance) -> Path:
    """Where the cache keeps the second moments of this provenance."""
    name = Path(provenance.model).name.encode()[:LONGEST_NAME].decode(errors="ignore")  # the digest tells them apart
    return cache_dir() / "moments" / f"{name}-{provenance.digest()}"


def collect_second_moments(
    model: LoadedModel,
    corpus: Corpus,
    *,
    tokens: int,
    layers: Sequence[int] | None = None,
    batch_tokens: int = defaults.BATCH_TOKENS,
    longest_text: int = defaults.LONGEST_TEXT,
    folder: Path | None = None,
) -> SecondMoments:
    """Second moments of the keys of all layers in one pass over the text, taken from the cache where they are there.

        C = E[k k^T], k the input of the layer's projection at every token that is not padding     (paper, §2 protocol)

    Args:
        model: the model, on its device and in its dtype.
        corpus: texts are taken in its order, special tokens included.
        tokens: exactly this many tokens are read.
        layers: which layers; default all. Some of them are taken from the moments of all where these are cached.
        batch_tokens: rows × longest row of a batch, padding included; a text longer than that is a batch of its own,
            so memory is bounded by the larger of `batch_tokens` and `longest_text`. Changes no number beyond rounding.
        longest_text: a text is cut after this many tokens, or at the context length when that is shorter.
        folder: where to keep them; default a folder of the cache named after the provenance.

    Raises:
        RankDeficientError: half the text has fewer tokens than d_key.
        InputError: tokens or layers that are no such numbers, a layer that does not exist, the corpus has too few
            tokens, keys are not finite, or the model was changed meanwhile.
        ProvenanceError: a file in `folder` was made from something else.
    """
    tokens = arguments.whole_number("tokens", tokens, 1)
    every = tuple(range(model.adapter.num_layers))
    layers = every if layers is None else _existing(model, layers)
    check_tokens(model, tokens)
    provenance = moment_provenance(model, corpus, tokens, layers, longest_text)
    moments = SecondMoments(folder or moments_folder(provenance), provenance, layers)
    if folder is None and layers != every:
        of_all = replace(provenance, layers=every)
        cached = SecondMoments(moments_folder(of_all), of_all, layers)
        if cached.complete:
            return cached
    if not moments.complete:
        texts = take_tokens(corpus.texts(), model.tokenizer, tokens, provenance.longest_text)
        _collect(model, texts, moments, batch_tokens)
    return moments


def check_tokens(model: LoadedModel, tokens: int) -> None:
    """Refuse an amount of text whose halves could not have full rank.

    Raises:
        RankDeficientError: half the text has fewer tokens than d_key.
    """
    if tokens // 2 < model.adapter.d_key:
        raise RankDeficientError(
            f"{tokens:,} tokens of text were asked for, but the keys have d_key = {model.adapter.d_key:,} and the "
            "error over text needs two halves of full rank; "
            f"expected at least {2 * model.adapter.d_key:,} tokens: ask for more"
        )


def _existing(model: LoadedModel, layers: Sequence[int]) -> tuple[int, ...]:
    given = arguments.distinct_numbers("layers", layers, "a collection of layer numbers, such as (0, 8)")
    return tuple(model.adapter.layer_number(layer) for layer in given)


def _collect(model: LoadedModel, texts: list[TokenIds], moments: SecondMoments, batch_tokens: int) -> None:
    provenance = moments.provenance
    measured = provenance.fingerprints
    ends = [provenance.tokens * part // SEGMENTS for part in range(1, SEGMENTS + 1)]
    done, sums = _resumed(model, moments, ends)
    with tqdm(total=provenance.tokens, initial=done, unit="tok", desc="second moments", disable=None) as bar:
        for end, segment in zip(ends, segments(texts, ends), strict=True):
            if end <= done:
                continue
            for batch in batches(segment, batch_tokens):
                accumulate(model, batch, sums)
                bar.update(sum(piece.counted for piece in batch))
            # Half as much again as the sums take, as safetensors writes a file only from all of its tensors at once.
            packed = {layer: accumulator.packed() for layer, accumulator in sums.items()}
            bad = [layer for layer, packed_sum in packed.items() if not torch.isfinite(packed_sum).all()]
            if bad:
                raise InputError(
                    f"the keys of layer {bad[0]} are NaN or infinite within the first {end:,} tokens; "
                    "expected finite keys: run the model in float32 or bfloat16"
                )
            model.require(measured)
            save_moments(_file(moments.folder, end), packed, end, provenance)
            _drop_passing_checkpoints(moments, ends, end)


def _resumed(
    model: LoadedModel, moments: SecondMoments, ends: Sequence[int]
) -> tuple[int, dict[int, SecondMomentAccumulator]]:
    """How far the text was read, and the sums of that far."""
    while True:
        done = _resumable(moments, ends)
        try:
            return done, _restore(model, moments, done)
        except NotStoredError:  # another process went on from it and dropped it: look again
            continue


def _resumable(moments: SecondMoments, ends: Sequence[int]) -> int:
    """The last stored checkpoint with all of `STORED_AFTER` below it: a missing one cannot be made from a later one."""
    done = 0
    for end in ends:
        if is_stored(_file(moments.folder, end)):
            done = end
        elif end in moments.counts:
            break
    return done


def accumulate(model: LoadedModel, batch: Sequence[Piece], sums: Mapping[int, SecondMomentAccumulator]) -> None:
    """One forward pass over one batch, without the LM head; adds each layer's keys at counted tokens to `sums`."""
    ids, mask = pad_rows([piece.ids for piece in batch], padding_id(model.tokenizer))
    counted = mask.bool()
    for row, piece in enumerate(batch):
        counted[row, : piece.start] = False
    device = model.adapter.device
    ids, mask, counted = ids.to(device), mask.to(device), counted.to(device)

    def receive(layer: int, keys: Tensor) -> None:
        sums[layer].update(keys[counted])

    with torch.inference_mode(), model.adapter.capture_keys(list(sums), receive):
        model.adapter.hidden_states(ids, mask)


def _restore(model: LoadedModel, moments: SecondMoments, done: int) -> dict[int, SecondMomentAccumulator]:
    device, provenance = model.adapter.device, moments.provenance
    if not done:
        return {layer: SecondMomentAccumulator(model.adapter.d_key, device) for layer in provenance.layers}
    path = _file(moments.folder, done)
    return {
        layer: SecondMomentAccumulator.restore(load_sum(path, layer, done, provenance), done, device)
        for layer in provenance.layers
    }


def _drop_passing_checkpoints(moments: SecondMoments, ends: Sequence[int], newest: int) -> None:
    for end in ends:
        if end < newest and end not in moments.counts:
            _file(moments.folder, end).unlink(missing_ok=True)


def _file(folder: Path, count: int) -> Path:
    return folder / f"{count:012d}-tokens.safetensors"
