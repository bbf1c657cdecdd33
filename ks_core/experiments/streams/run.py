"""Make one stream of edits by each method, and look at the model on the way."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ks_core.data.corpus import Corpus
from ks_core.data.facts import Fact
from ks_core.errors import InputError
from ks_core.experiments.streams.agreement import agreement
from ks_core.experiments.streams.growth import StreamGeometry
from ks_core.experiments.streams.interference import Interference
from ks_core.experiments.streams.plan import ROOM, checkpoints, split_kept, stream_layer
from ks_core.experiments.streams.stream import Checkpoint, EditStreams
from ks_core.measurement.behaviour import ask, held_out_text, text_losses
from ks_core.measurement.kept import kept_target_values
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.text import TokenIds
from ks_core.measurement.values import TargetValues
from ks_core.measurement.whitening import TextWhitening
from ks_core.models.editing import edited, module_change, promoted
from ks_core.models.loaded import LoadedModel
from ks_core.theory.editing import Edit
from ks_core.theory.interference import predicted_at_edits, predicted_original
from ks_core.theory.key_spaces import NullSpace, null_space, protect
from ks_core.theory.methods import Joint, Method, Sequential
from ks_core.theory.superposition import superposition
from ks_core.theory.whitening import Whitening

logger = logging.getLogger(__name__)

HELD_OUT_TOKENS = 512
"""Tokens of text for the perplexity, read once for each method and count: about two seconds on two cores."""

NULL_SPACE = "null-space"

LONGEST_HELD_OUT = 64
"""Tokens after which such a text is cut, so that several texts are read and the error over texts means something."""


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
        return self.values.residuals(self.weight)

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
