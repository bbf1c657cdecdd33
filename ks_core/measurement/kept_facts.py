"""Facts to keep in batches of similar length, each with what may overtake it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ks_core.data.facts import Fact
from ks_core.measurement.standing import AskedFacts, Standing, ask, read_standing, unknown
from ks_core.models.loaded import LoadedModel

FACTS_AT_ONCE = 48
"""Rows of one forward and backward pass: with a vocabulary of 49,152 their logits take 150 MB."""


def rivals_of(kept: Sequence[Fact], edits: Sequence[Fact]) -> tuple[frozenset[str], ...]:
    """What may overtake each fact's own object: the other objects of its relation, and what the edits write.

    Args:
        kept: n facts.
        edits: whose old and new objects count as their relation's too.

    Example:
        >>> one, two = (Fact(n, name, "P17", "{} lies in", land, "Peru") for n, name, land in ((1, "Nara", "Japan"),
        ...     (2, "Nice", "France")))
        >>> sorted(rivals_of([one], [two])[0])
        ['France', 'Japan', 'Peru']
    """
    by_relation: dict[str, set[str]] = {}
    for fact in (*kept, *edits):
        by_relation.setdefault(fact.relation_id, set()).add(fact.target_true)
    for fact in edits:
        by_relation[fact.relation_id].add(fact.target_new)
    written = {fact.target_new for fact in edits}
    relations = {name: frozenset(objects | written) for name, objects in by_relation.items()}
    return tuple(relations[fact.relation_id] for fact in kept)


@dataclass(frozen=True, eq=False)
class Batch:
    """Some of the facts to keep.

    Attributes:
        places: which of them
        asked: as rows of tokens
        names: by fact, of its rivals
    """

    places: list[int]
    asked: AskedFacts
    names: tuple[tuple[str, ...], ...]

    @property
    def facts(self) -> Tensor:
        """(m,) int64, the places."""
        return torch.tensor(self.places)


def in_batches(model: LoadedModel, kept: Sequence[Fact], rivals: Sequence[frozenset[str]]) -> tuple[Batch, ...]:
    """Facts by their length, so that little is padded.

    Raises:
        InputError: as `ask`.
    """
    lengths = [len(fact.text) + len(fact.target_true) for fact in kept]
    by_length = sorted(range(len(kept)), key=lengths.__getitem__)
    found = []
    for start in range(0, len(kept), FACTS_AT_ONCE):
        places = by_length[start : start + FACTS_AT_ONCE]
        found.append(Batch(places, *ask(model, [kept[n] for n in places], [rivals[n] for n in places])))
    return tuple(found)


def rival_names(batches: Sequence[Batch], count: int) -> tuple[tuple[str, ...], ...]:
    """Names of the rivals of all facts to keep, in the order of the facts."""
    names: list[tuple[str, ...]] = [()] * count
    for batch in batches:
        for place, theirs in zip(batch.places, batch.names, strict=True):
            names[place] = theirs
    return tuple(names)


def read_all(model: LoadedModel, batches: Sequence[Batch]) -> Standing:
    """How all facts of some batches stand in a model as it is, (M,) each; one pass over them."""
    found = unknown(sum(len(batch.places) for batch in batches))
    for batch in tqdm(batches, desc="facts to keep", unit="batch", disable=None):
        found.put(batch.facts, read_standing(model, batch.asked))
    return found
