"""Anyone's second-moment collector behind one face, and text to try it on.

    collect(shards) -> C, (d_key, d_key)

A shard is a list of batches, a batch a pair (keys, mask): keys (rows, tokens, d_key), mask (rows, tokens) with 1 for a
token and 0 for padding. A collector that knows no shards goes through them one after another; one that merges does so.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from ks_core.arrays import given
from ks_core.conformance.arrays import called, returned
from ks_core.conformance.strategies import generators
from ks_core.errors import InputError
from ks_core.theory.traits import DTYPES, Traits, name_of, traits_given


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


@dataclass(frozen=True, eq=False)
class Collected:
    """A second moment, and the unit roundoff of the dtype in which it came, at most that of float32."""

    matrix: Tensor  # (d_key, d_key) float64
    last_rounding: float


Shards = list[list[tuple[Any, Any]]]


@dataclass(frozen=True, eq=False)
class Collector:
    """An implementation and what it claims to be; of the traits dtype, array, computes and accumulates count."""

    implementation: Callable[..., Any]
    traits: Traits
    name: str

    subject = "collector"

    @classmethod
    def of(cls, implementation: Any, traits: Traits | None = None, name: str | None = None) -> Collector:
        """Wrap what a user has.

        Raises:
            InputError: it cannot be called, or its traits are not Traits.
        """
        if not callable(implementation):
            kind = type(implementation).__name__
            raise InputError(f"the collector is a {kind}; expected a function collect(shards) -> second moment")
        return cls(implementation, traits_given(traits, implementation), name or name_of(implementation))

    @property
    def words(self) -> tuple[str, ...]:
        """The claims, as laws ask for them."""
        computes = [f"computes {self.traits.computes}"] if self.traits.computes else []
        return (self.traits.dtype, self.traits.array, *computes, f"sums in {self.traits.accumulates}")

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

    def collected(self, text: Text, layout: Layout, dtype: torch.dtype | None = None) -> Collected:
        """The second moment of the text in a layout."""
        shards = self.shards(text, layout, dtype)
        result = called(self.implementation, "the collector", shards)
        width = text.keys.shape[1]
        return Collected(returned(result, "the collector", (width, width)), _last_rounding(result))


def _last_rounding(result: Any) -> float:
    """Unit roundoff of what was returned: whoever sums in float64 may hand on float32, but not half of its digits."""
    name = str(result.dtype).removeprefix("torch.")
    return unit_roundoff("float64" if name == "float64" else "float32")


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


SMALL_KEYS = 79
"""after a massive one. A coarser sum loses 0.77 to 0.95 of its unit roundoff u at each, 61 u at least. Allowed are,
with arithmetic in float32, up to four roundings of the massive key's square, 1.44 at most: 6 u, less than the tenth at
which a law may judge"""
STEP = 0.95
"""of half a unit in the last place of the massive key's share: a sum does not notice it, nor what rounding of the small
key to bfloat16 adds to it, 2⁻⁸"""
COARSER = {"float64": "float32", "float32": "float16"}
"""the precision that a sum is mistaken for, by the one claimed"""


@st.composite
def texts(draw: st.DrawFn, traits: Traits, *, smallest: int = 1) -> Text:
    """Keys that are not centred, numbers of the collector's dtype, in parts of different lengths."""
    lengths = draw(st.lists(st.integers(smallest, smallest + 4), min_size=3, max_size=6))
    width = draw(st.integers(1, 5))
    # Two decimals can be read, and a mean of 1 makes centring visible.
    keys = 1 + draw(generators()).standard_normal((sum(lengths), width)).round(2)
    keys[-1] = keys[0]  # a token that stands twice counts twice
    return Text(torch.from_numpy(keys).to(DTYPES[traits.dtype]).double(), torch.tensor(lengths))


@st.composite
def massive_keys(draw: st.DrawFn, traits: Traits) -> Text:
    """One massive key before, amid or after many small ones; a text of its own for each, so that each is a batch.

    A small key adds to every entry `STEP` or less of half a unit in the last place of what the massive key left there,
    in the next coarser precision than the sums are claimed to have: a sum of that precision does not move, however many
    follow. In the claimed precision nothing of it is lost.
    """
    generator = draw(generators())
    width, scale = draw(st.integers(1, 3)), 2.0 ** draw(st.integers(-2, 6))
    # Squares from 1.21 to 1.44 are away from the powers of two, where units change, and are no float32 numbers.
    massive = generator.uniform(1.1, 1.2, (1, width))
    small = (STEP * unit_roundoff(COARSER[traits.accumulates])) ** 0.5 * generator.uniform(
        0.8, 1.0, (SMALL_KEYS, width)
    )
    signs = generator.choice([-1.0, 1.0], (1 + SMALL_KEYS, width))
    place = draw(st.sampled_from((0, SMALL_KEYS // 2, SMALL_KEYS)))
    keys = scale * signs * np.concatenate([small[:place], massive, small[place:]])
    return Text(torch.from_numpy(keys).to(DTYPES[traits.dtype]).double(), torch.ones(len(keys), dtype=torch.int64))


def mean_of_outer_products(text: Text) -> Tensor:
    """E[k kᵀ] over the text's tokens without rounding but the last: floats are integers over a power of two."""
    ratios = [[entry.as_integer_ratio() for entry in neuron] for neuron in text.keys.T.tolist()]
    unit = max(denominator for neuron in ratios for _, denominator in neuron)
    neurons = [[numerator * (unit // denominator) for numerator, denominator in neuron] for neuron in ratios]
    count = len(text.keys) * unit**2
    sums = [[sum(map(operator.mul, one, other)) for other in neurons] for one in neurons]
    return torch.tensor([[entry / count for entry in row] for row in sums], dtype=torch.float64)


def unit_roundoff(dtype: str) -> float:
    """Half the distance from 1 to the next number: the most that one rounding moves a number, relative to it."""
    return float(torch.finfo(DTYPES[dtype]).eps) / 2


def roundoff_of_products(traits: Traits) -> float:
    """Unit roundoff in which k_i k_j may be taken: as claimed, and no finer than the sum that takes it."""
    return max(float(torch.finfo(traits.arithmetic).eps) / 2, unit_roundoff(traits.accumulates))


def rounding(text: Text, traits: Traits, *collected: Collected) -> float:
    """What rounding may put between two means of n products of any grouping, or one of them and the exact one.

        Σ (2 (n + 2) u + u') max|k|²        over each that was computed

    u is the coarser of the precision of products and that of sums: batches may be multiplied whole, and merged. Each
    of n products is rounded once, and twice more for its keys where they are rounded to it; so is each of n − 1 sums,
    and the division. As much again is for a running mean, which rounds a difference and a quotient at every step. u' is
    of the returned dtype.
    """
    terms = 2 * (len(text.keys) + 2) * roundoff_of_products(traits)
    return float(sum(terms + each.last_rounding for each in collected) * text.keys.abs().max() ** 2)


def rounding_of_long_sums(text: Text, traits: Traits, collected: Collected) -> float:
    """What rounding may do to a mean of n products that came in batches of one key, in precisions as claimed.

        (p u_p + 2 (n + 2) u_s + u') max_ij (1/n) Σ |k_i k_j|

    A term is rounded p times in the precision of products: once, and twice more where the keys are finer than that. In
    the precision u_s of sums it is rounded in each of the n − 1 additions that follow it at most (Higham, "Accuracy and
    Stability of Numerical Algorithms", ch. 4), and in the division. A running mean m += (x − m) / n errs by
    (n + 2 + 2 H_n) u_s at most, of which H_n, the harmonic number, comes from its differences: less than 2 (n + 2) u_s.
    u' is the last rounding, to the returned dtype. Terms of u² are below 1 % of it, which is added.

    What grows with the text is u_s alone. A product of b keys in float32 that is added to a float64 sum errs by b u_p
    of its own batch, so by b u_p of the whole, however long the text: no fault of the sums, and allowed unless
    computes="float64" is claimed. Here b is 1. Batches that are gathered before they are multiplied in float32, or
    added to a float32 sum that is emptied into a float64 one now and then, are float32 sums up to there, and are to be
    claimed as such.
    """
    products = roundoff_of_products(traits)
    rounded_keys = 2 if unit_roundoff(traits.dtype) < products else 0
    sums = 2 * (len(text.keys) + 2) * unit_roundoff(traits.accumulates)
    scale = (text.keys.abs().T @ text.keys.abs()).max() / len(text.keys)
    return float(1.01 * ((1 + rounded_keys) * products + sums + collected.last_rounding) * scale)


def lost_to_a_massive_key(text: Text) -> float:
    """(1/n) Σ k_i² over all keys but the longest, of the least neuron: what a sum lacks that stands still there."""
    squares = text.keys.square()
    return float(((squares.sum(dim=0) - squares.max(dim=0).values) / len(squares)).min())
