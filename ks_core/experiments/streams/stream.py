"""Streams of edits on a real model by four methods: what was predicted, what was measured, how the model behaves."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ks_core.data.corpus import Corpus
from ks_core.data.facts import Fact
from ks_core.errors import InputError
from ks_core.experiments.streams.agreement import Agreement, agreement
from ks_core.experiments.streams.growth import StreamGeometry
from ks_core.measurement.behaviour import Answers, ask, held_out_text, text_losses
from ks_core.measurement.kept import kept_target_values
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.text import TokenIds
from ks_core.measurement.values import TargetValues
from ks_core.measurement.whitening import TextWhitening
from ks_core.models.editing import edited, module_change, promoted
from ks_core.models.loaded import LoadedModel
from ks_core.statistics.pairs import Array
from ks_core.theory.editing import Edit
from ks_core.theory.interference import predicted_at_edits, predicted_original
from ks_core.theory.key_spaces import NullSpace, null_space, protect
from ks_core.theory.methods import Joint, Method, Sequential
from ks_core.theory.superposition import superposition
from ks_core.theory.whitening import Whitening

logger = logging.getLogger(__name__)

DEPTH = 1 / 3
"""Relative depth of the edited layer, where ROME edits GPT2-XL (layer 17 of 48)."""

HELD_OUT_TOKENS = 512
"""Tokens of text for the perplexity, read once for each method and count: about two seconds on two cores."""

NULL_SPACE = "null-space"

LONGEST_HELD_OUT = 64
"""Tokens after which such a text is cut, so that several texts are read and the error over texts means something."""

ROOM = 2
"""Edits may take one in so many directions of key space, and protected facts half of that: joint edits of protected
keys need a direction for each, and some to spare."""


@dataclass(frozen=True, eq=False)
class Interference:
    """Δ_o at bystanders and protected facts and Δ_e at the edits, predicted from P and residuals, and measured."""

    bystanders: Agreement
    protected: Agreement
    edits: Agreement


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A method after the first n edits of the stream."""

    edits: int
    answers: Answers
    """of the first n edits"""
    losses: Array
    """(texts,) of held-out text, in nats a token"""
    length: float
    """‖ΔW C^½‖, root mean square change of the layer's output over the text"""
    exact: Interference
    """measured on the module in float64"""
    own_dtype: Interference
    """measured on the module in the model's own dtype"""


@dataclass(frozen=True, eq=False)
class EditStreams:
    """One stream of N edits in one layer, made by each method."""

    layer: int
    edits: tuple[Fact, ...]
    bystanders: tuple[Fact, ...]
    """facts the edits are not for, which no method knows of"""
    protected: tuple[Fact, ...]
    """facts that the method `protected` protects"""
    values: TargetValues
    wanted: Tensor
    """(N, d_value) float64, v_i − W_0 k_i"""
    freedom: Array
    """(N,) share of each edited key's squared whitened length outside the protected span: 1 / √freedom is the price"""
    null_variance: float
    """share of the text's variance that the null space holds"""
    before: Answers
    """of all edits, before any"""
    losses_before: Array
    text_lengths: Array
    """(texts,) predicted tokens of each held-out text"""
    runs: Mapping[str, tuple[Checkpoint, ...]]
    """method → checkpoints after 1, 2, 4, … N edits"""
    of_half: Mapping[str, Checkpoint]
    """method → after N edits made with the second moment of the first half of the text; not for `null-space`"""
    geometry: StreamGeometry
    geometry_of_halves: tuple[StreamGeometry, ...]
    """from the first and from the second half of the text"""


def edit_streams(
    model: LoadedModel,
    text: TextWhitening,
    corpus: Corpus,
    pool: Sequence[Fact],
    num_edits: int,
) -> EditStreams:
    """Make one stream of edits by each method and look at the model on the way.

    Args:
        model: unedited; it is edited inside and restored.
        text: of this model.
        corpus: whose text behind that of the second moments gives the perplexity.
        pool: usable facts. The first `num_edits` subjects are edited, one fact each, as two edits of one subject may
            have one key; facts of other subjects are bystanders or protected in turn.
        num_edits: N.

    Raises:
        InputError: fewer than two facts are left beside the edits, key space is too small for so many, or the corpus
            has no text left.
    """
    from tqdm.auto import tqdm

    by_subject = {fact.subject: fact for fact in reversed(pool)}
    distinct = [fact for fact in pool if by_subject[fact.subject] is fact]
    layer = stream_layer(text.layers)
    whitening, halves = text.whole(layer), text.halves(layer)
    directions = min(len(of.factor) for of in (whitening, *halves))
    most = min(len(distinct) - 2, directions // ROOM)
    if num_edits > most:
        raise InputError(
            f"{num_edits} edits were asked for with {len(distinct)} usable subjects and {directions} directions of key "
            f"space in layer {layer}; expected at most {most}: ask for fewer (--ks-num-edits), or give more facts"
        )
    null = null_space(text.second_moment(layer))
    edits = tuple(distinct[:num_edits])
    subjects = {fact.subject for fact in edits}
    kept = [fact for fact in pool if fact.subject not in subjects]
    bystanders, protected = split_kept(edits, kept, directions // (2 * ROOM))
    texts = held_out_text(
        model, corpus, after=text.moments.provenance.tokens, tokens=HELD_OUT_TOKENS, longest_text=LONGEST_HELD_OUT
    )
    values = kept_target_values(model, edits, layer)
    logger.info("target values of %d edits in layer %d", num_edits, layer)
    keys = subject_keys(model, [*bystanders, *protected], [layer])[layer]
    stream = _Stream(model, layer, edits, values, keys[: len(bystanders)], keys[len(bystanders) :], texts)
    before, losses_before = ask(model, edits), text_losses(model, texts)
    runs = {}
    for name, method in stream.methods(whitening, null).items():
        counts = checkpoints(num_edits)
        runs[name] = tuple(stream.after(method, n, whitening) for n in tqdm(counts, desc=name, disable=None))
        logger.info("%s: %d edits, looked at after %s", name, num_edits, ", ".join(map(str, counts)))
    of_first_half = stream.methods(halves[0]).items()
    of_half = {name: stream.after(method, num_edits, whitening) for name, method in of_first_half}
    return EditStreams(
        layer=layer,
        edits=edits,
        bystanders=bystanders,
        protected=protected,
        values=values,
        wanted=stream.wanted,
        freedom=protect(whitening, stream.protected).freedom(values.keys).numpy(),
        null_variance=null.variance,
        before=before,
        losses_before=losses_before,
        text_lengths=np.array([len(text) - 1.0 for text in texts]),
        runs=runs,
        of_half=of_half,
        geometry=stream.geometry(whitening),
        geometry_of_halves=tuple(stream.geometry(half) for half in halves),
    )


def stream_layer(layers: Sequence[int]) -> int:
    """The measured layer at `DEPTH`.

    Example:
        >>> stream_layer(range(30)), stream_layer([0, 1])
        (10, 0)
    """
    return layers[round(DEPTH * (len(layers) - 1))]


def checkpoints(num_edits: int) -> tuple[int, ...]:
    """1, 2, 4, … and all.

    Example:
        >>> checkpoints(32), checkpoints(6)
        ((1, 2, 4, 8, 16, 32), (1, 2, 4, 6))
    """
    return tuple(sorted({*(2**power for power in range(num_edits.bit_length())), num_edits}))


def split_kept(edits: Sequence[Fact], kept: Sequence[Fact], most: int) -> tuple[tuple[Fact, ...], tuple[Fact, ...]]:
    """Bystanders and up to `most` protected facts, turn by turn; what a neighbourhood prompt asks is not protected.

    Otherwise the neighbourhood score of the protected method would be a score of its protected facts.
    """
    asked = {prompt for fact in edits for prompt in fact.neighborhood_prompts}
    protected = [fact for place, fact in enumerate(kept) if place % 2 and fact.text not in asked][:most]
    return tuple(fact for fact in kept if fact not in protected), tuple(protected)


@dataclass(frozen=True, eq=False)
class _Stream:
    """What all methods have in common; nothing in it changes."""

    model: LoadedModel
    layer: int
    facts: tuple[Fact, ...]
    values: TargetValues
    bystanders: Tensor
    """(M, d_key) keys"""
    protected: Tensor
    """(M', d_key) keys"""
    texts: Sequence[TokenIds]

    @property
    def weight(self) -> Tensor:
        """W_0, (d_value, d_key), on the CPU."""
        return self.model.adapter.weight(self.layer).cpu()

    @property
    def wanted(self) -> Tensor:
        """v_i − W_0 k_i, (N, d_value) float64."""
        return self.values.values - self.values.keys @ self.weight.double().T

    def methods(self, whitening: Whitening, null: NullSpace | None = None) -> dict[str, Method]:
        """All methods; three without a null space. The protected one is joint, so that edits are protected too."""
        return {
            "sequential": Sequential(whitening),
            "joint": Joint(whitening),
            **({} if null is None else {NULL_SPACE: Joint(null, ridge=1.0)}),
            "protected": Joint(protect(whitening, self.protected)),
        }

    def after(self, method: Method, count: int, whitening: Whitening) -> Checkpoint:
        """Make the first `count` edits, look at the model, restore it."""
        adapter, layer = self.model.adapter, self.layer
        edit = method.edit(self.weight, self.values.keys[:count], self.values.values[:count])
        delta = edit.delta()
        with edited(adapter, layer, delta):
            answers, losses = ask(self.model, self.facts[:count]), text_losses(self.model, self.texts)
        own_dtype = self._interference(method, edit)
        with promoted(adapter, layer):
            exact = self._interference(method, edit)
        length = whitening.length(delta)
        return Checkpoint(count, answers, losses, length, exact, own_dtype)

    def _interference(self, method: Method, edit: Edit) -> Interference:
        keys = self.values.keys[: len(edit.right)]
        written, wanted = edit.written(keys), self.wanted[: len(keys)]
        space = method.space
        rows = space.whiten(keys)
        predicted = [predicted_original(superposition(rows, space.whiten(of)), written) for of in self._kept]
        at_edits = predicted_at_edits(superposition(rows), written, wanted)
        moved = module_change(self.model.adapter, self.layer, edit.delta(), torch.cat([keys, *self._kept]))
        measured = torch.split(moved, [len(keys), *map(len, self._kept)])
        return Interference(
            bystanders=agreement(predicted[0], measured[1]),
            protected=agreement(predicted[1], measured[2]),
            edits=agreement(at_edits, measured[0] - wanted),
        )

    @property
    def _kept(self) -> tuple[Tensor, Tensor]:
        return self.bystanders, self.protected

    def geometry(self, whitening: Whitening) -> StreamGeometry:
        """Superposition among the edits and onto the bystanders."""
        rows = whitening.whiten(self.values.keys)
        onto = superposition(rows, whitening.whiten(self.bystanders))
        return StreamGeometry(superposition(rows).numpy(), onto.numpy(), (self.wanted @ self.wanted.T).numpy())
