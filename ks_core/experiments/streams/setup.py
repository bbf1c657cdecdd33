"""What all methods of a stream have in common: model, facts, keys and values, and how a method is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ks_core.data.corpus import Corpus
from ks_core.experiments.streams.interference import StreamKeys, compared, measured_changes, predicted_changes
from ks_core.experiments.streams.plan import StreamPlan
from ks_core.experiments.streams.stream import Checkpoint
from ks_core.measurement.behaviour import held_out_text, read_answers, text_losses
from ks_core.measurement.cached_values import cached_target_values
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.moments.text import TokenIds
from ks_core.measurement.values import TargetValues
from ks_core.models.editing import edited, promoted
from ks_core.models.loaded import LoadedModel
from ks_core.theory.methods import Method
from ks_core.theory.whitening import Whitening

HELD_OUT_TOKENS = 512
"""Tokens of text for the perplexity, read once for each method and count: about two seconds on two cores."""

LONGEST_HELD_OUT = 64
"""Tokens after which such a text is cut, so that several texts are read and the error over texts means something."""


@dataclass(frozen=True, eq=False)
class MethodInSpace:
    """A method, and the stream's keys in the space that it writes in.

    Attributes:
        rows: None where the space is not known
    """

    method: Method
    rows: StreamKeys | None


@dataclass(frozen=True, eq=False)
class StreamSetup:
    """A stream before any edit; nothing in it changes.

    Attributes:
        weight: W_0, (d_value, d_key), on the CPU
        wanted: (N, d_value) float64, v_i − W_0 k_i
        texts: held out, for the perplexity
    """

    model: LoadedModel
    plan: StreamPlan
    values: TargetValues
    keys: StreamKeys
    weight: Tensor
    wanted: Tensor
    texts: Sequence[TokenIds]

    def after(self, of: MethodInSpace, count: int, whitening: Whitening) -> Checkpoint:
        """Make the first `count` edits, look at the model, restore it.

        Args:
            of: the method.
            count: n.
            whitening: over all of the text, in which the edit's length is measured.
        """
        adapter, layer, keys, wanted = self.model.adapter, self.plan.layer, self.keys.first(count), self.wanted[:count]
        edit = of.method.edit(self.weight, keys.edits, self.values.values[:count])
        delta = edit.delta()
        with edited(adapter, layer, delta):
            answers, losses = read_answers(self.model, self.plan.edits[:count]), text_losses(self.model, self.texts)
        predicted = None if of.rows is None else predicted_changes(edit, keys, of.rows.first(count), wanted)
        own_dtype = compared(predicted, measured_changes(adapter, layer, delta, keys, wanted))
        with promoted(adapter, layer):
            exact = compared(predicted, measured_changes(adapter, layer, delta, keys, wanted))
        return Checkpoint(count, answers, losses, whitening.length(delta), exact, own_dtype)


def set_up(model: LoadedModel, corpus: Corpus, tokens: int, plan: StreamPlan) -> StreamSetup:
    """Search the values of a stream and read its keys and its held-out text.

    Args:
        model: unedited.
        corpus: whose text after the first `tokens` is held out.
        tokens: that second moments were made from.
        plan: the facts.

    Raises:
        InputError: the corpus has no text left, or as `target_values`.
    """
    texts = held_out_text(model, corpus, after=tokens, tokens=HELD_OUT_TOKENS, longest_text=LONGEST_HELD_OUT)
    values = cached_target_values(model, plan.edits, plan.layer)
    unedited = subject_keys(model, [*plan.bystanders, *plan.protected], [plan.layer])[plan.layer]
    keys = StreamKeys(values.keys, *torch.split(unedited, [len(plan.bystanders), len(plan.protected)]))
    weight = model.adapter.weight(plan.layer).cpu()
    return StreamSetup(model, plan, values, keys, weight, values.residuals(weight), texts)
