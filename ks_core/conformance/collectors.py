"""Anyone's second-moment collector behind one face, and text to try it on.

    collect(shards) -> C, (d_key, d_key)

A shard is a list of batches, a batch a pair (keys, mask): keys (rows, tokens, d_key), mask (rows, tokens) with 1 for a
token and 0 for padding. A collector that knows no shards goes through them one after another; one that merges does so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from ks_core.arrays import given
from ks_core.conformance.arrays import called, returned
from ks_core.conformance.strategies import generators
from ks_core.errors import InputError
from ks_core.theory.traits import DTYPES, Traits, name_of, traits_of


@dataclass(frozen=True, eq=False)
class Text:
    """Keys of all tokens of a text, one row per token, and how many tokens each of its parts has."""

    keys: Tensor  # (tokens, d_key)
    lengths: Tensor  # (parts,) int64, sums to tokens


@dataclass(frozen=True)
class Layout:
    """How a text reaches the collector.

    Attributes:
        rows: parts in one batch
        side: where the padding goes
        filler: what stands in the padding
    """

    rows: int = 1
    shards: int = 1
    side: str = "right"
    filler: float = 0.0


Shards = list[list[tuple[Any, Any]]]


@dataclass(frozen=True, eq=False)
class Collector:
    """An implementation and what it claims to be; of the traits only dtype and array count."""

    implementation: Callable[..., Any]
    traits: Traits
    name: str

    subject = "collector"

    @classmethod
    def of(cls, implementation: Any, traits: Traits | None = None, name: str | None = None) -> Collector:
        """Wrap what a user has.

        Raises:
            InputError: it cannot be called.
        """
        if not callable(implementation):
            kind = type(implementation).__name__
            raise InputError(f"the collector is a {kind}; expected a function collect(shards) -> second moment")
        return cls(implementation, traits or traits_of(implementation), name or name_of(implementation))

    @property
    def words(self) -> tuple[str, ...]:
        """The claims, as laws ask for them."""
        return (self.traits.dtype, self.traits.array)

    def shards(self, text: Text, layout: Layout, dtype: torch.dtype | None = None) -> Shards:
        """The text as arrays of the collector's dtype (or of another), in a layout."""
        dtype = dtype or DTYPES[self.traits.dtype]
        batches = [
            (given(keys, self.traits.array, dtype), given(mask, self.traits.array, torch.int64))
            for keys, mask in _batches(text, layout)
        ]
        # Shards of unequal size: the first takes what is left over.
        size = max(1, len(batches) // layout.shards)
        first = len(batches) - size * (min(layout.shards, len(batches)) - 1)
        return [batches[:first]] + [batches[i : i + size] for i in range(first, len(batches), size)]

    def collected(self, text: Text, layout: Layout, dtype: torch.dtype | None = None) -> Tensor:
        """The second moment of the text in a layout, (d_key, d_key) float64."""
        shards = self.shards(text, layout, dtype)
        width = text.keys.shape[1]
        return returned(called(self.implementation, "the collector", shards), "the collector", (width, width))


def _batches(text: Text, layout: Layout) -> Iterator[tuple[Tensor, Tensor]]:
    parts: tuple[Tensor, ...] = torch.split(text.keys, text.lengths.tolist())
    for start in range(0, len(parts), layout.rows):
        batch = parts[start : start + layout.rows]
        longest = max(map(len, batch))
        keys = torch.full((len(batch), longest, text.keys.shape[1]), layout.filler, dtype=torch.float64)
        mask = torch.zeros(len(batch), longest)
        for i, part in enumerate(batch):
            columns = slice(longest - len(part), longest) if layout.side == "left" else slice(len(part))
            keys[i, columns], mask[i, columns] = part, 1
        yield keys, mask


@st.composite
def texts(draw: st.DrawFn, traits: Traits, *, smallest: int = 1) -> Text:
    """Keys that are not centred, numbers of the collector's dtype, in parts of different lengths."""
    lengths = draw(st.lists(st.integers(smallest, smallest + 4), min_size=3, max_size=6))
    width = draw(st.integers(1, 5))
    # Two decimals can be read, and a mean of 1 makes centring visible.
    keys = 1 + draw(generators()).standard_normal((sum(lengths), width)).round(2)
    return Text(torch.from_numpy(keys).to(DTYPES[traits.dtype]).double(), torch.tensor(lengths))


def mean_of_outer_products(text: Text) -> Tensor:
    """E[k kᵀ] over the text's tokens, token by token."""
    total = torch.zeros(text.keys.shape[1], text.keys.shape[1], dtype=torch.float64)
    for key in text.keys:
        total += torch.outer(key, key)
    return total / len(text.keys)


def rounding_of_sums(text: Text, dtype: torch.dtype) -> float:
    """What rounding may do to a mean of n products: each product, n − 1 sums and the division round once.

    (n + 1) u max|k|², with as much again for the sum it is compared with.
    """
    return float(2 * (len(text.keys) + 1) * (torch.finfo(dtype).eps / 2) * text.keys.abs().max() ** 2)
