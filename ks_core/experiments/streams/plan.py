"""Which layer a stream edits, which facts it edits and which it leaves alone, and where it stops to look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ks_core.data.facts import Fact
from ks_core.errors import InputError
from ks_core.experiments.request.options import set_by

DEPTH = 1 / 3
"""Relative depth of the edited layer, where ROME edits GPT2-XL (layer 17 of 48)."""

ROOM = 2
"""Of r directions of key space edits may take r / ROOM, and protected facts half as many. Joint edits that protect keys
need one direction for each edit and for each protected key; a quarter of the directions stays to spare."""


@dataclass(frozen=True)
class StreamPlan:
    """What a stream of edits is made of.

    Attributes:
        layer: the edited one
        bystanders: facts the edits are not for, which no method knows of
        protected: facts that the method `protected` protects
    """

    layer: int
    edits: tuple[Fact, ...]
    bystanders: tuple[Fact, ...]
    protected: tuple[Fact, ...]


def plan_stream(layer: int, pool: Sequence[Fact], num_edits: int, directions: int) -> StreamPlan:
    """Choose the facts of a stream.

    Args:
        layer: the edited one.
        pool: usable facts. The first `num_edits` subjects are edited, one fact each, as two edits of one subject may
            have one key; facts of other subjects are bystanders or protected in turn.
        num_edits: N.
        directions: of key space, r.

    Raises:
        InputError: fewer than two facts are left beside the edits, or key space is too small for so many.
    """
    by_subject = {fact.subject: fact for fact in reversed(pool)}
    distinct = [fact for fact in pool if by_subject[fact.subject] is fact]
    most = min(len(distinct) - 2, directions // ROOM)
    if num_edits > most:
        raise InputError(
            f"{num_edits} edits were asked for with {len(distinct)} usable subjects and {directions} directions of key "
            f"space in layer {layer}; expected at most {most}: give more facts, or ask for fewer edits "
            f"{set_by('num_edits')}"
        )
    edits = tuple(distinct[:num_edits])
    subjects = {fact.subject for fact in edits}
    unedited = [fact for fact in pool if fact.subject not in subjects]
    return StreamPlan(layer, edits, *split_unedited(edits, unedited, directions // (2 * ROOM)))


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


def split_unedited(
    edits: Sequence[Fact], unedited: Sequence[Fact], most: int
) -> tuple[tuple[Fact, ...], tuple[Fact, ...]]:
    """Bystanders and up to `most` protected facts, turn by turn; what a neighbourhood prompt asks is not protected.

    Otherwise the neighbourhood score of the protected method would be a score of its protected facts.
    """
    asked = {prompt for fact in edits for prompt in fact.neighborhood_prompts}
    protected = [fact for place, fact in enumerate(unedited) if place % 2 and fact.text not in asked][:most]
    return tuple(fact for fact in unedited if fact not in protected), tuple(protected)
