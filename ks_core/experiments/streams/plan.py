"""Which layer a stream edits, which facts it edits and which it leaves alone, and where it stops to look."""

from __future__ import annotations

from collections.abc import Sequence

from ks_core.data.facts import Fact

DEPTH = 1 / 3
"""Relative depth of the edited layer, where ROME edits GPT2-XL (layer 17 of 48)."""

ROOM = 2
"""Edits may take one in so many directions of key space, and protected facts half of that: joint edits of protected
keys need a direction for each, and some to spare."""


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
