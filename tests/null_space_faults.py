"""Null spaces with one fault each, for `test_theory_methods_faults.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from methods_oracles import Methods
from torch import Tensor

from ks_core.theory.key_spaces import ALPHAEDIT_EIGENVALUE, NullSpace, null_space

PACKAGE = Methods()


def null_by(choose: Callable[[Tensor, Tensor, int], Tensor], share: Callable[[float], float] = float) -> Methods:
    """Null spaces whose eigenvectors are chosen in another way, from eigenvalues, vectors and the right size."""

    def faulty(matrix: Tensor, *, variance: float | None = None, eigenvalue: float | None = None) -> NullSpace:
        good = null_space(matrix, variance=variance, eigenvalue=eigenvalue)
        eigenvalues, vectors = torch.linalg.eigh(matrix)
        return NullSpace(choose(eigenvalues, vectors, len(good.basis)).T, share(good.variance))

    return replace(PACKAGE, null_space=faulty)


def cut_at(move: Callable[[float, Tensor], float]) -> Methods:
    """Null spaces that are cut at another eigenvalue than the one asked for."""

    def faulty(matrix: Tensor, *, variance: float | None = None, eigenvalue: float = 0.0) -> NullSpace:
        if variance is not None:
            return null_space(matrix, variance=variance)
        eigenvalues, vectors = torch.linalg.eigh(matrix)
        inside = eigenvalues < move(eigenvalue, eigenvalues)
        return NullSpace(vectors[:, inside].T, float(eigenvalues[inside].sum() / eigenvalues.sum()))

    return replace(PACKAGE, null_space=faulty)


NULLS = {
    "large_eigenvalues": null_by(lambda _, vectors, size: vectors[:, -size:]),
    "one_too_many": null_by(lambda _, vectors, size: vectors[:, : size + 1]),
    "one_too_few": null_by(lambda _, vectors, size: vectors[:, : size - 1]),
    "rows_for_columns": null_by(lambda _, vectors, size: vectors.T[:, :size]),
    "absolute_threshold": null_by(lambda eigenvalues, vectors, _: vectors[:, eigenvalues < 0.02]),
    "scaled_by_eigenvalues": null_by(lambda eigenvalues, vectors, size: (vectors * eigenvalues.abs())[:, :size]),
    "share_of_the_rest": null_by(lambda _, vectors, size: vectors[:, :size], share=lambda kept: 1 - kept),
}
CUTS = {
    "of_the_largest": cut_at(lambda cut, eigenvalues: cut * float(eigenvalues[-1])),
    "of_the_trace": cut_at(lambda cut, eigenvalues: cut * float(eigenvalues.sum())),
    "root": cut_at(lambda cut, _: cut**0.5),
    "always_published": cut_at(lambda _, __: ALPHAEDIT_EIGENVALUE),
}
