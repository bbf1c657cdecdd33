"""Interference: the change of a value at a key that the edit was not for, predicted and measured."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ks_core.arrays import as_float64
from ks_core.errors import InputError


def predicted_original(superposition: Any, residuals: Any) -> Tensor:
    """Predict how far a stream of edits moves the values at keys it was not for.

        Δ_o[j] = Σ_{i≤n} P[i, j] δ_i                                  (Hu et al. 2025)

    Args:
        superposition: (n, m), from n edited keys to m other keys.
        residuals: (n, d_value), δ_i = v_i − W_{i−1} k_i of each edit.

    Returns:
        (m, d_value) float64, one row per other key, in units of values.

    Raises:
        InputError: another number of edits in one than in the other.

    Example:
        >>> predicted_original([[0.5], [0.25]], [[2.0], [4.0]])
        tensor([[2.]], dtype=torch.float64)
    """
    shares, written = _checked_stream(superposition, residuals)
    return shares.T @ written


def predicted_earlier(superposition: Any, residuals: Any) -> Tensor:
    """Predict how far the later edits of a stream move the value that each edit had written.

        Δ_e[j] = Σ_{i>j} P[i, j] δ_i,   zero for the last edit            (Hu et al. 2025)

    Args:
        superposition: (n, n), among the edited keys in the order of the edits.
        residuals: (n, d_value), δ_i = v_i − W_{i−1} k_i of each edit.

    Returns:
        (n, d_value) float64, one row per edit, in units of values.

    Raises:
        InputError: superposition is not square, or another number of edits in one than in the other.

    Example:
        >>> predicted_earlier([[1.0, 0.0], [0.5, 1.0]], [[2.0], [4.0]])
        tensor([[2.],
                [0.]], dtype=torch.float64)
    """
    shares, written = _checked_stream(superposition, residuals)
    if shares.shape[0] != shares.shape[1]:
        raise InputError(f"superposition has shape {tuple(shares.shape)}; expected (n, n) among the edited keys")
    later_edits_only = shares.tril(diagonal=-1)  # row i edits, column j < i suffers
    return later_edits_only.T @ written


def predicted_at_edits(superposition: Any, written: Any, wanted: Any) -> Tensor:
    """Predict how far each edited value ends from what it was to be, for any method.

        Δ_e[j] = Σ_i P[i, j] written_i − (v_j − W_0 k_j)

    For lifelong edits the first of the sum up to i = j are v_j − W_0 k_j, and what is left is `predicted_earlier`; for
    a joint edit it is zero without a ridge, and what the ridge holds back with one.

    Args:
        superposition: (n, n), among the edited keys, in the space that the edits were made in.
        written: (n, d_value), what each edit writes at its own key, `Edit.written`.
        wanted: (n, d_value), v_j − W_0 k_j: how each value is to change.

    Returns:
        (n, d_value) float64, one row per edit, in units of values.

    Raises:
        InputError: superposition is not square, or another number of edits in one than in the others.

    Example:
        >>> predicted_at_edits([[1.0, 0.0], [0.5, 1.0]], written=[[2.0], [4.0]], wanted=[[2.0], [4.0]])
        tensor([[2.],
                [0.]], dtype=torch.float64)
    """
    reached = predicted_original(superposition, written)
    goal = as_float64("wanted", wanted, ndim=2)
    if goal.shape != reached.shape:
        raise InputError(f"wanted has shape {tuple(goal.shape)}; expected {tuple(reached.shape)}, one row per edit")
    return reached - goal


def measured_original(weight_before: Any, weight_after: Any, keys: Any) -> Tensor:
    """Measure how far the values at keys moved between two weights.

        Δ_o[j] = (W_n − W_0) k_j

    Args:
        weight_before: (d_value, d_key).
        weight_after: (d_value, d_key).
        keys: (m, d_key), keys that the edits were not for.

    Returns:
        (m, d_value) float64, one row per key, in units of values.

    Raises:
        InputError: shapes that do not fit each other.

    Example:
        >>> measured_original([[1.0, 0.0]], [[1.0, 2.0]], [[3.0, 1.0]])
        tensor([[2.]], dtype=torch.float64)
    """
    before = as_float64("weight_before", weight_before, ndim=2)
    after = as_float64("weight_after", weight_after, ndim=2)
    if before.shape != after.shape:
        raise InputError(f"weight_before has shape {tuple(before.shape)}, weight_after {tuple(after.shape)}")
    return _values_at(keys, after - before)


def measured_earlier(weight_after: Any, keys: Any, values: Any) -> Tensor:
    """Measure how far the values that edits had written have moved since.

        Δ_e[j] = W_n k_j − W_j k_j = W_n k_j − v_j             (each edit was exact when it was made)

    Args:
        weight_after: (d_value, d_key), the weight after the last edit, W_n.
        keys: (n, d_key), the edited keys.
        values: (n, d_value), the values that the edits wrote.

    Returns:
        (n, d_value) float64, one row per edit, in units of values.

    Raises:
        InputError: shapes that do not fit each other.

    Example:
        >>> measured_earlier([[1.0, 2.0]], [[3.0, 1.0]], [[4.0]])
        tensor([[1.]], dtype=torch.float64)
    """
    now = _values_at(keys, as_float64("weight_after", weight_after, ndim=2))
    written = as_float64("values", values, ndim=2)
    if written.shape != now.shape:
        raise InputError(f"values have shape {tuple(written.shape)}; expected {tuple(now.shape)}, one row per key")
    return now - written


def relative_difference(predicted: Any, measured: Any) -> float:
    """Say how far a prediction is from the measurement, relative to the larger of the two.

        ‖predicted − measured‖_F / max(‖predicted‖_F, ‖measured‖_F)

    Both are treated alike, so that it is finite and at most 2 whatever is zero: 0 when both are, 1 when one is.
    Between two that are zero but for rounding it is of order 1 and means nothing; compare their sizes instead.

    Args:
        predicted: (m, d_value).
        measured: (m, d_value).

    Returns:
        A number from 0 (equal) to 2 (opposite).

    Raises:
        InputError: two shapes.

    Example:
        >>> relative_difference([[3.0, 0.0]], [[4.0, 0.0]])
        0.25
    """
    left = as_float64("predicted", predicted, ndim=2)
    right = as_float64("measured", measured, ndim=2)
    if left.shape != right.shape:
        raise InputError(f"predicted has shape {tuple(left.shape)}, measured {tuple(right.shape)}; expected the same")
    return over_larger(*(float(torch.linalg.matrix_norm(part)) for part in (left - right, left, right)))


def over_larger(difference: float, predicted: float, measured: float) -> float:
    """The size of a difference over the larger of the two sizes that it is between; 0 where both are 0."""
    larger = max(predicted, measured)
    return difference / larger if larger > 0 else 0.0


def _checked_stream(superposition: Any, residuals: Any) -> tuple[Tensor, Tensor]:
    shares = as_float64("superposition", superposition, ndim=2)
    written = as_float64("residuals", residuals, ndim=2)
    if len(shares) != len(written):
        raise InputError(f"superposition has {len(shares)} rows of edits but there are {len(written)} residuals")
    return shares, written


def _values_at(keys: Any, weight: Tensor) -> Tensor:
    rows = as_float64("keys", keys, ndim=2)
    if rows.shape[1] != weight.shape[1]:
        raise InputError(
            f"keys have d_key={rows.shape[1]} but the weight has shape {tuple(weight.shape)}; "
            "expected (d_value, d_key): transpose the weight if it is stored the other way"
        )
    return rows @ weight.T
