"""The uncentred second moment of keys, accumulated batch by batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ks_core.errors import InputError

BLOCKS = 4
"""Column blocks of one product. Only blocks on and above the diagonal are computed: (1 + 1/4) / 2 = 62 % of the
multiplications of K^T K. On two CPU cores at d_key 1536 more blocks cost more in smaller products than they save."""

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
    """

    def __init__(self, d_key: int, device: torch.device | str = "cpu") -> None:
        self._upper = torch.zeros(d_key, d_key, dtype=torch.float64, device=device)
        self._edges = [round(d_key * block / BLOCKS) for block in range(BLOCKS + 1)]
        self.count = 0

    @property
    def d_key(self) -> int:
        """Width of the keys."""
        return int(self._upper.shape[0])

    def update(self, keys: Tensor) -> None:
        """Add a batch of keys, (n, d_key); half-precision keys are widened to float32 first.

        Raises:
            InputError: the width is another one.
        """
        if keys.ndim != 2 or keys.shape[1] != self.d_key:
            raise InputError(f"keys have shape {tuple(keys.shape)}; this second moment expects (n, {self.d_key})")
        if keys.dtype not in (torch.float32, torch.float64):
            keys = keys.float()
        self.count += len(keys)
        if keys.dtype == torch.float32:
            exact = _in_float64(keys)
            if bool(exact.any()):
                self._add(keys[exact].double())
                keys = keys[~exact]
        self._add(keys)

    def _add(self, keys: Tensor) -> None:
        for start, stop in zip(self._edges, self._edges[1:], strict=False):
            self._upper[start:stop, start:] += keys[:, start:stop].T @ keys[:, start:]

    def merge(self, other: SecondMomentAccumulator) -> None:
        """Add what another accumulator saw, for example of another shard of the text.

        Raises:
            InputError: the widths differ.
        """
        if other.d_key != self.d_key:
            raise InputError(f"cannot merge second moments of d_key {self.d_key} and {other.d_key}")
        self._upper += other._upper.to(self._upper.device)
        self.count += other.count

    def packed(self) -> Tensor:
        """The sum's upper triangle, row by row: (d_key (d_key + 1) / 2,) float64 on the CPU; see `unpack`."""
        rows, columns = torch.triu_indices(self.d_key, self.d_key, device=self._upper.device)
        return self._upper[rows, columns].cpu()

    @classmethod
    def restore(cls, packed: Tensor, count: int, device: torch.device | str = "cpu") -> SecondMomentAccumulator:
        """Continue from what `packed` gave after `count` keys; adds up to the same bits as never having stopped."""
        upper = _unpacked_upper(packed)
        accumulator = cls(len(upper), device)
        accumulator._upper = upper.to(device)
        accumulator.count = count
        return accumulator

    def result(self) -> SecondMoment:
        """The mean of k k^T over everything seen so far.

        Raises:
            InputError: no keys were seen, or some were NaN or infinite.
        """
        return moment_of(self.packed(), self.count)


def _in_float64(keys: Tensor) -> Tensor:
    """Which keys of a batch are too long for a float32 product with the others, (n,) bool.

    Lengths are taken twice, as they are and with every neuron in units of its own root mean square, because a neuron
    that is large at every token hides what is unusual in the others. Scaling a neuron moves P by nothing.
    """
    if len(keys) < FEW:
        return torch.ones(len(keys), dtype=torch.bool, device=keys.device)
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
    if not torch.isfinite(packed).all():
        raise InputError(
            f"the second moment over {count} tokens is not finite: some keys were NaN or infinite; "
            "run the model in float32 or bfloat16"
        )
    upper = _unpacked_upper(packed)
    return SecondMoment((upper + upper.triu(1).T) / count, count)


def _unpacked_upper(packed: Tensor) -> Tensor:
    d_key = int(((8 * len(packed) + 1) ** 0.5 - 1) / 2 + 0.5)
    upper = torch.zeros(d_key, d_key, dtype=torch.float64)
    rows, columns = torch.triu_indices(d_key, d_key)
    upper[rows, columns] = packed
    return upper
