"""Faulty implementations of the theory, one fault each, to show that its laws would notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch
from theory_laws import Theory
from torch import Tensor

from ks_core.theory.editing import Edit, LifelongEdits, joint_edit, lifelong_edits, single_edit
from ks_core.theory.interference import predicted_earlier, predicted_original
from ks_core.theory.whitening import Whitening, whiten

PACKAGE = Theory()


class Unwhitened(Whitening):
    """C where C⁻¹ should be."""

    def whiten(self, keys: Tensor) -> Tensor:
        return keys @ self.factor

    def solve(self, keys: Tensor) -> Tensor:
        return keys @ self.factor @ self.factor.T


class TransposedFactor(Whitening):
    """L⁻ᵀ k where L⁻¹ k should be."""

    def whiten(self, keys: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(self.factor.T, keys.T, upper=True).T


class ForgottenWhitening(Whitening):
    """Keys as they are."""

    def whiten(self, keys: Tensor) -> Tensor:
        return keys

    def solve(self, keys: Tensor) -> Tensor:
        return keys


def whitened_by(kind: type[Whitening]) -> Theory:
    def faulty(second_moment: Tensor) -> Whitening:
        good = whiten(second_moment)
        return kind(*(getattr(good, field.name) for field in fields(good)))

    return replace(PACKAGE, whiten=faulty)


def overlaps(rows: Tensor, whitening: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Directions C⁻¹k, P, and the squared norms it is divided by."""
    directions = whitening.solve(rows)
    products = directions @ rows.T
    return directions, products / products.diagonal()[:, None], products.diagonal()


def stream_with(residuals_from: Callable[[Tensor, Tensor], Tensor]) -> Theory:
    """Lifelong edits whose residuals come from P and the residuals at W_0 in another way."""

    def faulty(weight: Tensor, keys: Tensor, values: Tensor, whitening: Any) -> LifelongEdits:
        directions, shares, norms = overlaps(keys, whitening)
        residuals = residuals_from(shares, values - keys @ weight.T)
        return LifelongEdits(residuals, Edit((residuals / norms[:, None]).T, directions))

    return replace(PACKAGE, lifelong_edits=faulty)


def solved(system: Tensor, residuals: Tensor) -> Tensor:
    return torch.linalg.solve(system, residuals)


def unit(size: int) -> Tensor:
    return torch.eye(size, dtype=torch.float64)


def lifelong_changed(change: Callable[[LifelongEdits, Tensor], LifelongEdits]) -> Theory:
    def faulty(weight: Tensor, keys: Tensor, values: Tensor, whitening: Any) -> LifelongEdits:
        return change(lifelong_edits(weight, keys, values, whitening), keys)

    return replace(PACKAGE, lifelong_edits=faulty)


def single_with(direction_and_norm: Callable[[Tensor, Any], tuple[Tensor, Tensor]], start: float = 1.0) -> Theory:
    def faulty(weight: Tensor, key: Tensor, value: Tensor, whitening: Any) -> Edit:
        direction, norm = direction_and_norm(key, whitening)
        return Edit(((value - start * (weight @ key)) / norm)[:, None], direction[None, :])

    return replace(PACKAGE, single_edit=faulty)


def along(direction: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    return direction, direction.dot(key)


def solve_one(key: Tensor, whitening: Any) -> Tensor:
    return whitening.solve(key[None, :])[0]


def single_with_extra_rank(weight: Tensor, key: Tensor, value: Tensor, whitening: Any) -> Edit:
    good = single_edit(weight, key, value, whitening)
    if len(key) == 1:
        return good
    extra = torch.zeros_like(key)
    extra[0], extra[1] = key[1], -key[0]  # orthogonal to the key: still exact
    scale = good.delta().norm() / extra.norm()
    left = torch.cat([good.left, torch.linspace(0.5, 1.0, len(value), dtype=torch.float64)[:, None] * scale], dim=1)
    return Edit(left, torch.cat([good.right, extra[None, :]]))


def joint_with(ridge_of: Callable[[float], float]) -> Theory:
    def faulty(weight: Tensor, keys: Tensor, values: Tensor, whitening: Any, *, ridge: float = 0.0) -> Edit:
        return joint_edit(weight, keys, values, whitening, ridge=ridge_of(ridge))

    return replace(PACKAGE, joint_edit=faulty)


def joint_one_after_another(
    weight: Tensor, keys: Tensor, values: Tensor, whitening: Any, *, ridge: float = 0.0
) -> Edit:
    del ridge
    return lifelong_edits(weight, keys, values, whitening).edit


def superposed_by(function: Callable[[Tensor, Tensor], Tensor]) -> Theory:
    return replace(PACKAGE, superposition=lambda rows, others=None: function(rows, rows if others is None else others))


def squares(rows: Tensor) -> Tensor:
    return rows.square().sum(dim=1)


SHARES = {
    "transposed": superposed_by(lambda a, b: (b @ a.T / squares(b)[:, None]).T),
    "unnormalised": superposed_by(lambda a, b: a @ b.T),
    "cosine": superposed_by(lambda a, b: a @ b.T / (squares(a)[:, None] * squares(b)[None, :]).sqrt()),
    "norm_not_squared": superposed_by(lambda a, b: a @ b.T / squares(a).sqrt()[:, None]),
    "sign_lost": superposed_by(lambda a, b: (a @ b.T / squares(a)[:, None]).abs()),
}
RESIDUALS = {
    "taken_at_w0": stream_with(lambda _, start: start),
    "plus_for_minus": stream_with(lambda p, start: solved(unit(len(p)) - p.T.tril(-1), start)),
    "not_transposed": stream_with(lambda p, start: solved(unit(len(p)) + p.tril(-1), start)),
    "wrong_triangle": stream_with(lambda p, start: solved(unit(len(p)) + p.T.triu(1), start)),
    "diagonal_twice": stream_with(lambda p, start: solved(unit(len(p)) + p.T.tril(), start)),
    "both_triangles": stream_with(lambda p, start: solved(p.T + 1e-3 * unit(len(p)), start)),
    "one_step_back": stream_with(lambda p, start: start - p.T.tril(-1) @ start),
}
STREAMS = {
    "not_divided_by_norm": lifelong_changed(
        lambda good, _: LifelongEdits(good.residuals, Edit(good.residuals.T, good.edit.right))
    ),
    "last_edit_lost": lifelong_changed(
        lambda good, _: LifelongEdits(good.residuals, Edit(good.edit.left[:, :-1], good.edit.right[:-1]))
    ),
    "residuals_reversed": lifelong_changed(lambda good, _: LifelongEdits(good.residuals.flip(0), good.edit)),
    "along_the_key": lifelong_changed(lambda good, keys: LifelongEdits(good.residuals, Edit(good.edit.left, keys))),
}
SINGLES = {
    "along_the_key": single_with(lambda key, _: along(key, key)),
    "along_c_key": single_with(lambda key, w: along(key @ w.factor @ w.factor.T, key)),
    "along_half_whitened": single_with(lambda key, w: along(w.whiten(key[None, :])[0], key)),
    "norm_of_the_direction": single_with(lambda key, w: (solve_one(key, w), solve_one(key, w).square().sum())),
    "norm_of_the_key": single_with(lambda key, w: (solve_one(key, w), key.square().sum())),
    "old_value_forgotten": single_with(lambda key, w: along(solve_one(key, w), key), start=0.0),
    "old_value_added": single_with(lambda key, w: along(solve_one(key, w), key), start=-1.0),
    "extra_rank": replace(PACKAGE, single_edit=single_with_extra_rank),
}
JOINTS = {
    "one_after_another": replace(PACKAGE, joint_edit=joint_one_after_another),
    "ridge_left_in": joint_with(lambda ridge: ridge + 0.1),
    "ridge_ignored": joint_with(lambda _: 1e-9),
    "ridge_squared": joint_with(lambda ridge: ridge**2),
}
EARLIER = {
    name: replace(PACKAGE, predicted_earlier=faulty)
    for name, faulty in {
        "upper_triangle": lambda p, d: p.triu(1).T @ d,
        "diagonal_included": lambda p, d: p.tril().T @ d,
        "not_transposed": lambda p, d: p.tril(-1) @ d,
        "superposition_transposed": lambda p, d: predicted_earlier(p.T, d),
        "sign": lambda p, d: -predicted_earlier(p, d),
        "everything": lambda p, d: p.T @ d,
    }.items()
}
ORIGINAL = {
    name: replace(PACKAGE, predicted_original=faulty)
    for name, faulty in {
        "mean_for_sum": lambda p, d: predicted_original(p, d) / len(d),
        "last_edit_only": lambda p, d: predicted_original(p[-1:], d[-1:]),
        "first_edit_left_out": lambda p, d: p[1:].T @ d[1:],
        "sign": lambda p, d: -predicted_original(p, d),
        "reversed": lambda p, d: predicted_original(p.flip(0), d),
    }.items()
}
WHITENINGS = {
    "c_for_its_inverse": whitened_by(Unwhitened),
    "transposed_factor": whitened_by(TransposedFactor),
    "none": whitened_by(ForgottenWhitening),
}
