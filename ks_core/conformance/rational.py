"""Linear algebra without rounding: floats are rational numbers, so what differs from these is another's error."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

Matrix = list[list[Fraction]]


def exact(array: Tensor) -> Matrix:
    """The same numbers as fractions."""
    return [[Fraction(float(entry)) for entry in row] for row in array]


def rounded(matrix: Matrix) -> Tensor:
    """The nearest float64 of each fraction."""
    return torch.tensor([[float(entry) for entry in row] for row in matrix], dtype=torch.float64)


def dot(left: list[Fraction], right: list[Fraction]) -> Fraction:
    """⟨left, right⟩."""
    return sum((a * b for a, b in zip(left, right, strict=True)), Fraction(0))


def times(matrix: Matrix, vector: list[Fraction]) -> list[Fraction]:
    """The matrix times a column vector."""
    return [dot(row, vector) for row in matrix]


def inverse(matrix: Matrix) -> Matrix:
    """Gauss-Jordan elimination; exact, so that any non-zero pivot will do.

    Raises:
        ZeroDivisionError: the matrix is singular.
    """
    size = len(matrix)
    work = [row + [Fraction(int(i == j)) for j in range(size)] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = next((i for i in range(column, size) if work[i][column] != 0), None)
        if pivot is None:
            raise ZeroDivisionError("the matrix is singular")
        work[column], work[pivot] = work[pivot], work[column]
        work[column] = [entry / work[column][column] for entry in work[column]]
        for i in range(size):
            if i != column and work[i][column] != 0:
                factor = work[i][column]
                work[i] = [a - factor * b for a, b in zip(work[i], work[column], strict=True)]
    return [row[size:] for row in work]
