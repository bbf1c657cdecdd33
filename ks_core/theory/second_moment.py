"""Second moments as they come: square, symmetric, with mean squares on the diagonal, or refused."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ks_core.arrays import as_float64
from ks_core.errors import InputError

# Statistics files often hold float32 sums. A sum of n products, added one by one, strays by about eps32 √n of
# √(C_ii C_jj): 1e-3 admits 7e7 tokens. A wrong block or an unfilled triangle strays by the correlations themselves.
ROUNDING_OF_SUMS = 1e-3

TILE = {"cpu": 256, "cuda": 2048}
"""Width of what is compared at once: on a CPU two tiles fit into a core's cache, on a GPU each should fill it."""


def check_second_moment(second_moment: Any, name: str = "the second moment") -> Tensor:
    """A second moment as a float64 tensor.

    Raises:
        InputError: not square, not symmetric, a negative mean square, a neuron that never fires and yet correlates
            with another, or not finite.
    """
    matrix = as_float64(name, second_moment, ndim=2).detach()
    if matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"{name} has shape {tuple(matrix.shape)}; expected a square matrix (d_key, d_key)")
    check_diagonal(matrix, name)
    _check_symmetry(matrix, name)
    return matrix


def check_diagonal(matrix: Tensor, name: str) -> None:
    """Refuse mean squares that are none, of a float64 matrix that is finite and symmetric.

    Raises:
        InputError: a negative mean square, or a neuron that never fires and yet correlates with another.
    """
    lowest = float(matrix.diagonal().min())
    if lowest < 0:
        raise InputError(f"{name} has {lowest:.3g} on its diagonal; mean squares of keys cannot be negative")
    never = torch.nonzero(matrix.diagonal() == 0).flatten()
    silent = never[(matrix[never] != 0).any(dim=1)].tolist()
    if silent:
        raise InputError(
            f"{name} has 0 at [{silent[0]}, {silent[0]}] and other numbers beside it; "
            "a neuron that never fires has products of 0 with all others"
        )


def _check_symmetry(matrix: Tensor, name: str) -> None:
    """Hold tiles against their mirror images: what is symmetric to the bit, as most are, is read once, uncopied."""
    tile = TILE.get(matrix.device.type, TILE["cuda"])
    rms = matrix.diagonal().sqrt()
    parts = [slice(start, start + tile) for start in range(0, len(matrix), tile)]
    for rows, columns in ((rows, columns) for rows in parts for columns in parts if columns.start <= rows.start):
        one, other = matrix[rows, columns], matrix[columns, rows].T
        if torch.equal(one, other):
            continue
        excess = (one - other).abs() - ROUNDING_OF_SUMS * rms[rows, None] * rms[None, columns]
        if float(excess.max()) > 0:
            row, column = divmod(int(excess.argmax()), excess.shape[1])
            row, column = rows.start + row, columns.start + column
            raise InputError(
                f"{name} is not symmetric: entry [{row}, {column}] is {float(matrix[row, column]):.6g} but "
                f"[{column}, {row}] is {float(matrix[column, row]):.6g}; fill both triangles"
            )
