"""The uncentred second moment of keys, accumulated batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ks_core.arrays import all_finite
from ks_core.errors import InputError
from ks_core.measurement.moments import blocks
from ks_core.measurement.moments.ieee import ieee_products
from ks_core.measurement.moments.mapped import mapped_zeros

LONG_KEY = 64.0
"""Squared length, in those of a batch's short keys, above which a key is multiplied in float64. A float32 product
rounds every entry to 6e-8 of its largest terms, and those of a key r times as long as the others are r² times theirs:
one of a thousand lengths would drown the directions that only the others fill. In some layers of SmolLM2-135M 1 to 4 %
of the keys are so long (a text's first token, at up to 3,000 of the squared length), in most none. 64, eight lengths,
because thirty keys just below it add to the sum of a batch of 2,048 what the others do, and double its rounding."""

SHORT = 0.1
"""Share of a batch's keys that are short: fewer would be exceptions themselves, and of texts of a few tokens, each with
a long key at its beginning, the long ones may be many."""

FEW = 64
"""Keys of a batch that is multiplied in float64 altogether: a tenth of fewer is six keys or less, too few to tell what
is usual, and so small a product costs nothing beside the forward pass."""

FLUSH_TOKENS = 16_384
"""Keys that a float32 sum takes before it is added to the float64 one. Of n products, added in any order, an entry
strays by n · 2⁻²⁴ of √(S_ii S_jj) at most: 1e-3, which `whiten` admits of sums (`ROUNDING_OF_SUMS`); in practice by
√n · 2⁻²⁴, 8e-6. At d_key 14,336 a flush moves 0.44 GB a layer from the device, the time of some thousand tokens."""

LONG_KEYS = 256
"""Long keys that wait to be multiplied in float64 together, where sums are short: each flush of theirs moves a whole
sum, and one key alone would not be worth it."""


@dataclass(frozen=True)
class SecondMoment:
    """C = E[k k^T] of one layer's keys over some text; uncentred, so not a covariance.

    Attributes:
        matrix: (d_key, d_key) float64, symmetric
        count: tokens it was averaged over
    """

    matrix: Tensor
    count: int


class SecondMomentAccumulator:
    """Sum of k k^T over keys that arrive in batches; `result()` gives the frozen mean.

    Products are taken in float32 (or in float64, when the keys are) and added up in float64; keys that are much longer
    than the others, see `LONG_KEY`, are multiplied in float64. For nine layers of SmolLM2-135M over 16,384 tokens, with
    condition numbers of C from 1e4 to 4e7, this moved no entry of P by more than 7e-7 against float64 products
    throughout (1e-5 with the long keys in float32 too). Products of float64 alone take twice as long.

    Error: of a batch of n float32 keys, each entry strays from float64 throughout by n · 2⁻²⁴ √(S_ii S_jj) at most,
    S the sum over the batch; so all of it does, n the largest batch (Cauchy and Schwarz).

    Args:
        d_key: width of the keys.
        device: where keys arrive and the sum is held, in 8 · `blocks.numbers(d_key)` bytes.
    """

    def __init__(self, d_key: int, device: torch.device | str = "cpu") -> None:
        self.d_key, self.count = d_key, 0
        self.sums: list[Tensor] = self._sums(device)

    def _sums(self, device: torch.device | str) -> list[Tensor]:
        flat = torch.zeros(blocks.numbers(self.d_key), dtype=torch.float64, device=device)
        return blocks.views_of(flat, self.d_key)

    def update(self, keys: Tensor) -> None:
        """Add a batch of keys, (n, d_key); half-precision keys are widened to float32 first.

        Raises:
            InputError: the width is another one.
        """
        if keys.ndim != 2 or keys.shape[1] != self.d_key:
            raise InputError(f"keys have shape {tuple(keys.shape)}; this second moment expects (n, {self.d_key})")
        for part in torch.split(keys, FLUSH_TOKENS):  # a larger batch would leave the bound
            self._update(part)
            if len(keys) > FLUSH_TOKENS:
                self.flush()

    def _update(self, keys: Tensor) -> None:
        if keys.dtype not in (torch.float32, torch.float64):
            keys = keys.float()
        self.count += len(keys)
        if keys.dtype == torch.float32:
            exact = _in_float64(keys)
            if bool(exact.any()):
                self._add_long(keys[exact])
                keys = keys[~exact]
        self._add(keys)

    def _add(self, keys: Tensor) -> None:
        blocks.add_products(self.sums, keys)

    def _add_long(self, keys: Tensor) -> None:
        blocks.add_products(self.sums, keys.double())

    def flush(self) -> None:
        """Bring everything seen so far into `sums`; nothing to do here."""

    def clear(self) -> None:
        """Begin anew: sums and count of zero."""
        self.flush()
        self.count = 0
        for block in self.sums:
            block.zero_()

    def merge(self, other: SecondMomentAccumulator) -> None:
        """Add what another accumulator saw, for example of another shard of the text.

        Raises:
            InputError: the widths differ.
        """
        if other.d_key != self.d_key:
            raise InputError(f"cannot merge second moments of d_key {self.d_key} and {other.d_key}")
        self.flush()
        other.flush()
        for block, added in zip(self.sums, other.sums, strict=True):
            block += added.to(block.device)
        self.count += other.count

    def packed(self) -> Tensor:
        """The sum's upper triangle, row by row: (d_key (d_key + 1) / 2,) float64 on the CPU."""
        self.flush()
        return blocks.pack(self.sums)

    def resume(self, packed: Tensor, count: int) -> None:
        """Go on from what `packed` gave after `count` keys; adds up to the same bits as never having stopped."""
        self.clear()
        blocks.unpack_into(self.sums, packed)
        self.count = count

    def result(self) -> SecondMoment:
        """The mean of k k^T over everything seen so far.

        Raises:
            InputError: no keys were seen, or some were NaN or infinite.
        """
        return moment_of(self.packed(), self.count)


class FlushedAccumulator(SecondMomentAccumulator):
    """The same with short sums: float32 where keys arrive, added at each `flush` to float64 sums that are elsewhere.

    Half the memory on the device. Whoever uses it calls `flush` after `FLUSH_TOKENS` keys at the latest; the bound of
    `SecondMomentAccumulator` holds with n the keys between two flushes.

    Args:
        d_key: width of the keys.
        device: where keys arrive, and the float32 sums are.
        home: a folder, where the float64 sums are mapped from a nameless file; in the host's memory when left out.

    Raises:
        StorageError: no room in that folder.
    """

    def __init__(self, d_key: int, device: torch.device | str = "cpu", *, home: Path | None = None) -> None:
        self._home = home
        super().__init__(d_key, "cpu")
        flat = torch.zeros(blocks.numbers(d_key), dtype=torch.float32, device=device)
        self._short = blocks.views_of(flat, d_key)
        self._long: list[Tensor] = []

    def _sums(self, device: torch.device | str) -> list[Tensor]:
        if self._home is None:
            return super()._sums(device)
        return blocks.views_of(mapped_zeros(blocks.numbers(self.d_key), self._home), self.d_key)

    def _add(self, keys: Tensor) -> None:
        if keys.dtype == torch.float64:
            self._add_exactly(keys)
        else:
            blocks.add_products(self._short, keys)

    def _add_long(self, keys: Tensor) -> None:
        self._long.append(keys)
        if sum(map(len, self._long)) >= LONG_KEYS:
            self._flush_long()

    def _add_exactly(self, keys: Tensor) -> None:
        start = 0
        for block in self.sums:  # a block at a time: a whole product in float64 would be twice the short sums
            block += (keys[:, start : start + len(block)].T @ keys[:, start:]).cpu()
            start += len(block)

    def _flush_long(self) -> None:
        if self._long:
            self._add_exactly(torch.cat(self._long).double())
            self._long = []

    def flush(self) -> None:
        """Add the short sums to the float64 ones, and begin them anew."""
        self._flush_long()
        for block, short in zip(self.sums, self._short, strict=True):
            block += short.cpu()
            short.zero_()


def _in_float64(keys: Tensor) -> Tensor:
    """Which keys of a batch are too long for a float32 product with the others, (n,) bool.

    Lengths are taken twice, as they are and with every neuron in units of its own root mean square, because a neuron
    that is large at every token hides what is unusual in the others. Scaling a neuron moves P by nothing.
    """
    if len(keys) < FEW:
        return torch.ones(len(keys), dtype=torch.bool, device=keys.device)
    with ieee_products(keys.device):  # in half precision, lengths of long keys may be infinite
        return _are_long(keys)


def _are_long(keys: Tensor) -> Tensor:
    squares = keys.square()
    unit = squares.mean(dim=0)
    lengths = squares @ torch.stack([torch.ones_like(unit), torch.where(unit > 0, 1 / unit, 0)], dim=1)
    short = lengths.kthvalue(max(1, int(SHORT * len(keys))), dim=0).values
    return ~(lengths <= LONG_KEY * short).all(dim=1)  # infinite ones too


def moment_of(packed: Tensor, count: int) -> SecondMoment:
    """The second moment whose sum over `count` tokens has this packed upper triangle.

    Raises:
        InputError: `count` is not positive, or the sum is not finite.
    """
    if count < 1:
        raise InputError(f"a second moment of {count} tokens is not defined; collect some text first")
    if not all_finite(packed):
        raise InputError(
            f"the second moment over {count} tokens is not finite: some keys were NaN or infinite; "
            "run the model in float32 or bfloat16"
        )
    return SecondMoment(blocks.symmetric(packed).div_(count), count)
