"""What is asked again and again during a stream: the blocks below the edited layers run once, those above each time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ks_core.data.fact import Fact
from ks_core.errors import InputError
from ks_core.measurement.kept_facts import Batch, in_batches
from ks_core.measurement.moments.text import TokenIds
from ks_core.measurement.places import mean_losses
from ks_core.measurement.standing import AskedFacts, Standing, read_standing, unknown
from ks_core.models.loaded import LoadedModel
from ks_core.models.simulating import States, resumed, states_below
from ks_core.models.tokens import pad_rows, padding_id
from ks_core.statistics.pairs import Array

TEXTS_AT_ONCE = 16
"""Rows of text in one pass: of 64 tokens, enough for two cores."""


@dataclass(frozen=True, eq=False)
class Asked:
    """Facts, their rows and what the blocks below a layer make of them.

    Attributes:
        layer: the first that any edit changes
        states: by batch; None where no block is below
    """

    model: LoadedModel
    layer: int
    batches: tuple[Batch, ...]
    states: tuple[States | None, ...]

    def __len__(self) -> int:
        return sum(len(batch.places) for batch in self.batches)

    def read(self, first: int | None = None) -> Standing:
        """How the first so many facts stand in the model as it is: edited from the layer on, or simulated, or neither.

        Args:
            first: how many; all when left out.
        """
        count = len(self) if first is None else min(first, len(self))
        found = unknown(count)
        for facts, asked, states in self.parts(count):
            with resumed(self.model.adapter, self.layer, states):
                found.put(facts, read_standing(self.model, asked))
        return found

    def parts(self, count: int) -> Iterator[tuple[Tensor, AskedFacts, States | None]]:
        """By batch: which of the first `count` facts are in it, their rows, and their states."""
        for batch, states in zip(self.batches, self.states, strict=True):
            rows = torch.nonzero(batch.facts < count).flatten()
            if len(rows):
                here = rows.to(self.model.adapter.device)
                yield batch.facts[rows], batch.asked.of(here), None if states is None else states.of(here)


def asked(model: LoadedModel, layer: int, facts: Sequence[Fact], rivals: Sequence[frozenset[str]]) -> Asked:
    """Tokenise facts and run the blocks below a layer.

    Args:
        model: unedited.
        layer: the first that any edit changes.
        facts: n facts, asked for their true objects.
        rivals: by fact, what may overtake it.

    Raises:
        InputError: as `in_batches`.
    """
    batches = in_batches(model, facts, rivals) if facts else ()
    states = tuple(states_below(model.adapter, layer, *batch.asked.rows.inputs) for batch in batches)
    return Asked(model, layer, batches, states)


@dataclass(frozen=True, eq=False)
class AskedText:
    """Held-out texts in batches, and what the blocks below a layer make of them.

    Attributes:
        rows: by batch, token ids and mask, (rows, tokens) each
    """

    model: LoadedModel
    layer: int
    rows: tuple[tuple[Tensor, Tensor], ...]
    states: tuple[States | None, ...]

    @property
    def lengths(self) -> Array:
        """(texts,) predicted tokens of each."""
        return np.concatenate([(mask.sum(dim=1) - 1).cpu().numpy() for _, mask in self.rows]).astype(np.float64)

    def losses(self) -> Array:
        """(texts,) negative log-likelihood in nats a token, of the model as it is; NaN where it is not finite."""
        found = []
        for (ids, mask), states in zip(self.rows, self.states, strict=True):
            with resumed(self.model.adapter, self.layer, states):
                found.append(mean_losses(self.model.adapter, ids, mask).cpu().numpy())
        return np.concatenate(found)


def asked_text(model: LoadedModel, layer: int, texts: Sequence[TokenIds]) -> AskedText:
    """Texts of two tokens or more in batches by their length.

    Raises:
        InputError: no text.
    """
    if not texts:
        raise InputError("there is no held-out text; expected one at least: give a longer corpus, or fewer tokens")
    ordered = sorted(texts, key=len)
    parts = [ordered[start : start + TEXTS_AT_ONCE] for start in range(0, len(ordered), TEXTS_AT_ONCE)]
    device = model.adapter.device
    padded = (pad_rows(part, padding_id(model.tokenizer)) for part in parts)
    rows = tuple((ids.to(device), mask.to(device)) for ids, mask in padded)
    return AskedText(model, layer, rows, tuple(states_below(model.adapter, layer, *of) for of in rows))


def about_new(fact: Fact) -> Fact:
    """The edit's own question: its new object against the true one, after its prompt.

    Example:
        >>> about_new(Fact(7, "Nice", "P17", "{} lies in", "France", "Peru")).target_true
        'Peru'
    """
    return replace(fact, target_true=fact.target_new, target_new=fact.target_true)


def after_prompt(fact: Fact, prompt: str) -> Fact:
    """The same objects after another prompt, which is taken as it is; its last word stands for the subject.

    Example:
        >>> after_prompt(Fact(7, "Nice", "P17", "{} lies in", "France", "Peru"), "The land of Lyon is").prompt
        'The land of Lyon {}'
    """
    last = re.search(r"\S+$", prompt)
    if last is None or "{}" in prompt:
        raise InputError(f"a prompt of fact {fact.case_id} is {prompt!r}; expected a text without {{}}")
    return replace(fact, prompt=prompt[: last.start()] + "{}", subject=last.group())
