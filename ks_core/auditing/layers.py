"""Which layer to edit: the one where a sample of the edits costs the facts to keep least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from tqdm.auto import tqdm

from ks_core.auditing.simulation import simulate_alone
from ks_core.auditing.wanted import Wanted, wanted_edits
from ks_core.data.fact import Fact
from ks_core.errors import InputError
from ks_core.measurement.kept_facts import Batch, in_batches, read_all, rivals_of
from ks_core.measurement.standing import Standing
from ks_core.measurement.values import ValueSettings
from ks_core.measurement.whitening import TextWhitening
from ks_core.models.loaded import LoadedModel
from ks_core.theory.whitening import Whitening

T = TypeVar("T")

LAYERS, EDITS, FACTS = 8, 4, 48
"""Layers that are tried, and the sample of edits and facts in each: as many pairs as an audit of 30 edits simulates,
and 32 searches of a value."""

WORKS = 0.5
"""Probability of its new object from which an edit is said to work: nothing else is likelier."""


@dataclass(frozen=True)
class LayerCost:
    """What a sample of edits, each made alone in one layer, would cost a sample of facts.

    Attributes:
        loss: nats a token that a fact loses in the mean over edits and facts; one that gains counts as 0
        loss_error: standard error over the edits; NaN for a single one
        reached: by edit, probability per token of the new object that a value in this layer reaches
        facts: how many
    """

    layer: int
    loss: float
    loss_error: float
    reached: tuple[float, ...]
    facts: int

    @property
    def works(self) -> int:
        """Edits whose value makes the new object likelier than all else."""
        return sum(p >= WORKS for p in self.reached)

    @property
    def price(self) -> tuple[int, float]:
        """What layers are compared by, the lower the better: first how many edits work, then the loss.

        Example:
            >>> gentle, weak = LayerCost(7, 0.3, 0.1, (0.95, 0.95), 48), LayerCost(9, 0.1, 0.1, (0.95, 0.2), 48)
            >>> gentle.price < weak.price
            True
        """
        return -self.works, self.loss


def tried_layers(layers: Sequence[int], num_layers: int) -> tuple[int, ...]:
    """Layers to try, evenly over the depth, without the model's last, where edits reach no later token.

    Args:
        layers: with second moments.
        num_layers: of the model.

    Example:
        >>> tried_layers(range(30), 30), tried_layers([0, 1], 2), tried_layers([1], 2)
        ((0, 4, 8, 12, 16, 20, 24, 28), (0,), (1,))
    """
    earlier = [layer for layer in sorted(layers) if layer != num_layers - 1]
    return spread(earlier, LAYERS) or tuple(layers)


def spread(things: Sequence[T], count: int) -> tuple[T, ...]:
    """So many of them, evenly; all where there are no more.

    Example:
        >>> spread("abcde", 3), spread("ab", 3)
        (('a', 'c', 'e'), ('a', 'b'))
    """
    if len(things) <= count:
        return tuple(things)
    return tuple(things[round(n * (len(things) - 1) / (count - 1))] for n in range(count))


def choose_layer(
    model: LoadedModel,
    text: TextWhitening,
    layers: Sequence[int],
    edits: Sequence[Fact],
    kept: Sequence[Fact],
    search: ValueSettings,
) -> tuple[tuple[LayerCost, ...], int, Whitening]:
    """Try layers with a sample of edits and facts, `EDITS` and `FACTS` of them, evenly over their lists.

    Args:
        model: unedited; no weight is touched.
        text: of this model, these layers among its own.
        layers: to try, one at least.
        edits: all of them.
        kept: all facts to keep.
        search: how values are searched.

    Returns:
        What each layer costs, the one of the lowest price, and its whitening, which is factored once.

    Raises:
        InputError: as `target_values`.
    """
    some, facts = spread(edits, EDITS), spread(kept, FACTS)
    batches = in_batches(model, facts, rivals_of(facts, some))
    before = read_all(model, batches)
    found: dict[int, LayerCost] = {}
    best: tuple[int, Whitening] | None = None
    for layer in tqdm(layers, desc="layers tried", unit="layer", disable=None):
        whitening = text.whole(layer)
        found[layer] = _cost(model, wanted_edits(model, some, layer, whitening, search), batches, before)
        if best is None or found[layer].price < found[best[0]].price:
            best = layer, whitening
    if best is None:
        raise InputError("no layer was tried; expected one at least")
    return tuple(found.values()), *best


def _cost(model: LoadedModel, wanted: Wanted, batches: Sequence[Batch], before: Standing) -> LayerCost:
    edits, facts = len(wanted.facts), len(before.lead)
    every = torch.ones(edits, facts, dtype=torch.bool)
    after = simulate_alone(model, wanted.layer, *wanted.alone(), batches, every)
    lost = (before.log_probability - after.log_probability).clamp(min=0).mean(dim=1)
    error = float(lost.std(correction=1)) / edits**0.5 if edits > 1 else float("nan")
    return LayerCost(wanted.layer, float(lost.mean()), error, tuple(wanted.values.probabilities.tolist()), facts)
