"""A symmetric sum held as blocks of rows on and right of the diagonal, and its upper triangle packed row by row."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isqrt

import torch
from torch import Tensor

from ks_core.measurement.moments.ieee import ieee_products

FEWEST = 4
"""Blocks of a sum at least. Only what is on and right of the diagonal is computed: (1 + 1/4) / 2 = 62 % of the
multiplications of K^T K. On two CPU cores at d_key 1536 more blocks cost more in smaller products than they save."""

TILE = 256
"""Rows and columns that are mirrored at once: a column at a time would touch each page of the matrix once a row."""

WIDEST = 1024
"""Rows of a block at most: at d_key 14,336 that makes 14 blocks, 54 % of the full matrix, in products that are still
large, and one block's product in float32 takes 59 MB."""


def edges(d_key: int) -> list[int]:
    """Where blocks begin and end, 0 to `d_key`; fewer than `FEWEST` blocks where there are fewer rows.

    Example:
        >>> edges(10), len(edges(14336)) - 1
        ([0, 2, 5, 8, 10], 14)
    """
    blocks = max(FEWEST, -(-d_key // WIDEST))
    return sorted({round(d_key * block / blocks) for block in range(blocks + 1)})


def numbers(d_key: int) -> int:
    """How many numbers the blocks of a sum hold: d_key² for one block, towards half of that for many."""
    ends = edges(d_key)
    return sum((end - start) * (d_key - start) for start, end in pairwise(ends))


def largest(d_key: int) -> int:
    """How many numbers the largest block holds, which is the first."""
    return edges(d_key)[1] * d_key


def packed_numbers(d_key: int) -> int:
    """How many numbers a packed triangle holds.

    Example:
        >>> packed_numbers(3)
        6
    """
    return d_key * (d_key + 1) // 2


def views_of(flat: Tensor, d_key: int) -> list[Tensor]:
    """The blocks of a sum, views of one flat tensor of `numbers(d_key)` numbers."""
    views, begin, ends = [], 0, edges(d_key)
    for start, end in pairwise(ends):
        size = (end - start) * (d_key - start)
        views.append(flat[begin : begin + size].view(end - start, d_key - start))
        begin += size
    return views


def add_products(blocks: Sequence[Tensor], keys: Tensor) -> None:
    """Add K^T K to a sum, block by block; products are taken in the keys' dtype, (n, d_key), with all of its bits."""
    start = 0
    with ieee_products(keys.device):
        for block in blocks:
            left, right = keys[:, start : start + len(block)].T, keys[:, start:]
            if block.dtype == keys.dtype:
                block.addmm_(left, right)
            else:
                block += left @ right
            start += len(block)


def pack(blocks: Sequence[Tensor]) -> Tensor:
    """The upper triangle, row by row, (d_key (d_key + 1) / 2,) float64 on the CPU."""
    d_key = blocks[0].shape[1]
    packed = torch.empty(packed_numbers(d_key), dtype=torch.float64)
    values, begin = packed.numpy(), 0
    for block in blocks:
        for row, numbers_of_row in enumerate(block.cpu().numpy()):
            size = block.shape[1] - row
            values[begin : begin + size] = numbers_of_row[row:]
            begin += size
    return packed


def unpack_into(blocks: Sequence[Tensor], packed: Tensor) -> None:
    """Set blocks to a packed triangle; below the diagonal, inside the blocks on it, they become 0."""
    values, begin = packed.numpy(), 0
    for block in blocks:
        filled = torch.zeros(block.shape, dtype=torch.float64)
        for row, numbers_of_row in enumerate(filled.numpy()):
            size = block.shape[1] - row
            numbers_of_row[row:] = values[begin : begin + size]
            begin += size
        block.copy_(filled)


def symmetric(packed: Tensor) -> Tensor:
    """The whole matrix of a packed triangle, (d_key, d_key) float64, symmetric to the last bit."""
    d_key = width_of(packed)
    matrix = torch.empty(d_key, d_key, dtype=torch.float64)
    rows, values, begin = matrix.numpy(), packed.numpy(), 0  # slices of arrays cost a tenth of those of tensors
    for row in range(d_key):
        rows[row, row:] = values[begin : begin + d_key - row]
        begin += d_key - row
    for start in range(0, d_key, TILE):
        end = min(start + TILE, d_key)
        square = matrix[start:end, start:end]
        square.copy_(square.triu() + square.triu(1).T)
        matrix[end:, start:end] = matrix[start:end, end:].T
    return matrix


def width_of(packed: Tensor) -> int:
    """d_key of a packed triangle."""
    return (isqrt(8 * len(packed) + 1) - 1) // 2
