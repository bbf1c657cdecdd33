"""In which order to make edits one after another, and which to make together."""

from __future__ import annotations

from typing import Any

import torch
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from ks_core.arrays import as_float64
from ks_core.errors import InputError


def gentlest_order(whitened_norms: Any, sizes: Any = None) -> Tensor:
    """Order a stream of edits so that later edits disturb earlier ones least.

        minimise Σ_j Σ_{i after j} (P[i, j] s_i)²:   by falling s_i / d_i,   d_i = k_iᵀC⁻¹k_i

    Proof. P[i, j] = c_ij / d_i with c symmetric, so of two edits the pair costs (c_ij s_i / d_i)² when i is the later
    and (c_ij s_j / d_j)² when j is: whatever the other edits, the one with the smaller s / d belongs after the other.
    One order does that for all pairs at once. The sum leaves out how the interferences of one edit add up or cancel,
    and that residuals change with the order.

    Args:
        whitened_norms: (n,), lengths of the whitened keys, √d_i.
        sizes: (n,), sizes s_i of the residuals; all equal where they are not known.

    Returns:
        (n,) int64, the edits in their best order, first to last.

    Raises:
        InputError: norms that are not positive, negative sizes, or different numbers of them.

    Example:
        >>> gentlest_order([3.0, 1.0, 2.0])
        tensor([1, 2, 0])
    """
    norms = as_float64("whitened_norms", whitened_norms, ndim=1)
    lengths = torch.ones_like(norms) if sizes is None else as_float64("sizes", sizes, ndim=1)
    if len(norms) != len(lengths):
        raise InputError(f"got {len(norms)} whitened norms and {len(lengths)} sizes; expected one of each per edit")
    if float(norms.min()) <= 0 or float(lengths.min()) < 0:
        raise InputError(
            f"whitened norms reach down to {float(norms.min()):.3g} and sizes to {float(lengths.min()):.3g}; "
            "expected positive norms and no negative sizes"
        )
    return torch.argsort(lengths / norms.square(), descending=True, stable=True)


def interfering_groups(superposition: Any, threshold: float) -> list[list[int]]:
    """Group edits that disturb one another, directly or through others: what to make jointly.

    Args:
        superposition: (n, n) among the edits.
        threshold: |P| above which one edit disturbs another.

    Returns:
        Groups of edits, each increasing, ordered by their first edit; every edit is in one, alone if nothing ties it.

    Raises:
        InputError: superposition is not square, or the threshold is negative.

    Example:
        >>> interfering_groups([[1.0, 0.0, 0.9], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], threshold=0.5)
        [[0, 2], [1]]
    """
    shares = as_float64("superposition", superposition, ndim=2)
    if shares.shape[0] != shares.shape[1] or not threshold >= 0:
        raise InputError(
            f"superposition has shape {tuple(shares.shape)} and the threshold is {threshold}; "
            "expected (n, n), and 0 or more"
        )
    count, labels = connected_components((shares.abs() > threshold).cpu().numpy(), directed=False)
    return sorted([i for i, label in enumerate(labels) if label == group] for group in range(count))
