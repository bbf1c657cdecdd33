"""Superposition of keys: how much of an edit made at one key is felt at another."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ks_core.arrays import as_float64, finite
from ks_core.errors import InputError


def superposition(editors: Any, others: Any | None = None) -> Tensor:
    """Share of an edit's residual that is felt at each key (Hu et al. 2025, "How to Understand p(·)").

        P[i, j] = ⟨a_i, b_j⟩ / ⟨a_i, a_i⟩ = k_iᵀ C⁻¹ k_j / k_iᵀ C⁻¹ k_i,   a and b whitened

    Args:
        editors: (n, d_key), whitened keys that are edited.
        others: (m, d_key), whitened keys that are disturbed; the editors themselves when left out.

    Returns:
        (n, m) float64, dimensionless. Among the editors themselves: (n, n) with a diagonal of exactly 1.

    Raises:
        InputError: an editor of zero norm, two widths, or a share beyond the range of float64.

    Example:
        >>> superposition([[1.0, 0.0], [1.0, 1.0]])
        tensor([[1.0000, 1.0000],
                [0.5000, 1.0000]], dtype=torch.float64)
    """
    rows, units = _scaled(as_float64("whitened keys", editors, ndim=2))
    if others is None:
        other_units = units
        products = rows @ rows.T
        # The norms are read off the same product, so the diagonal is x / x: exactly 1.
        norms_squared = products.diagonal().clone()
    else:
        columns, other_units = _scaled(as_float64("other whitened keys", others, ndim=2))
        if columns.shape[1] != rows.shape[1]:
            raise InputError(
                f"editors have width {rows.shape[1]}, the other keys {columns.shape[1]}; expected the same"
            )
        products = rows @ columns.T
        norms_squared = rows.square().sum(dim=1)
    _refuse_zero_rows(norms_squared)
    shares = products.div_(norms_squared[:, None]).div_(units[:, None]).mul_(other_units)
    return finite("superposition", shares)


def gram(keys: Any) -> Tensor:
    """Inner products of the keys without whitening, the paper's Q.

        Q[i, j] = k_iᵀ k_j

    Args:
        keys: (n, d_key), one row per fact.

    Returns:
        (n, n) float64, symmetric, in squared units of the keys.

    Raises:
        InputError: not a matrix of finite numbers, or products beyond the range of float64.

    Example:
        >>> gram([[1.0, 0.0], [1.0, 1.0]])
        tensor([[1., 1.],
                [1., 2.]], dtype=torch.float64)
    """
    rows = as_float64("keys", keys, ndim=2)
    return finite("the Gram matrix", rows @ rows.T)


def cosines(vectors: Any) -> Tensor:
    """Cosines of the angles between all pairs of rows.

        cos[i, j] = ⟨x_i, x_j⟩ / (‖x_i‖ ‖x_j‖)

    Args:
        vectors: (n, d), whitened keys or keys as they are.

    Returns:
        (n, n) float64 in [-1, 1], symmetric, with a diagonal of exactly 1.

    Raises:
        InputError: a row of zero norm.

    Example:
        >>> cosines([[1.0, 0.0], [0.0, 2.0]])
        tensor([[1., 0.],
                [0., 1.]], dtype=torch.float64)
    """
    rows, _ = _scaled(as_float64("vectors", vectors, ndim=2))
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1)
    _refuse_zero_rows(norms)
    units = rows / norms[:, None]
    # Rounding takes parallel rows to 1 + a few eps, where the arc cosine is not a number.
    products = (units @ units.T).clamp(-1.0, 1.0)
    products.fill_diagonal_(1.0)
    return products


def _scaled(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows with their largest entries between 1/2 and 1, and the powers of two, (n,), that they were divided by.

    Squares of very long or very short rows would leave float64's range. A power of two changes no digit.
    """
    largest = rows.abs().amax(dim=1)
    # 2 to the exponent is largest / mantissa without rounding; it and its inverse are normal within these bounds.
    powers = (largest / torch.frexp(largest).mantissa).clamp(2.0**-1021, 2.0**1023)
    units = torch.where(largest > 0, powers, 1.0)
    return rows / units[:, None], units


def _refuse_zero_rows(norms: Tensor) -> None:
    zero = torch.nonzero(norms == 0).flatten().tolist()
    if zero:
        raise InputError(
            f"row {zero[0]} has zero norm ({len(zero)} such rows of {len(norms)}); a zero key has no direction: "
            "look for a padded or wrong token position"
        )
