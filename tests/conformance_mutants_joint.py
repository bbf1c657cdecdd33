"""Joint editors and editors that protect keys, with one realistic fault each, and the law that must name it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from conformance_mutants import Mutant, edited, identity_like, solve
from torch import Tensor

from ks_core.conformance import Traits
from ks_core.conformance.reference import RIDGE

JOINT, RIDGED = Traits(order="joint"), Traits(order="joint", ridge=RIDGE)
PROTECTED = Traits(protected=True)


def jointly(
    weight: Tensor,
    keys: Tensor,
    values: Tensor,
    second_moment: Tensor,
    *,
    system: Callable[[Tensor, Tensor], Tensor] = lambda gram, _: gram,
    solve: Callable[[Tensor, Tensor], Tensor] = solve,
) -> Tensor:
    """A joint editor with parts that can be replaced by faulty ones; right as it is."""
    if not len(keys):
        return weight.clone()
    directions = solve(second_moment, keys)
    matrix = system(directions @ keys.T, second_moment)
    return weight + torch.linalg.solve(matrix, values - keys @ weight.T).T @ directions


def one_by_one(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    return edited(weight, keys, values, second_moment)


def first_of_a_call(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """As EasyEdit's ROME: the first request is taken from the list that it is given."""
    return jointly(weight, keys[:1], values[:1], second_moment)


def least_change_of_the_weight(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """(K Kᵀ)⁻¹ for (K C⁻¹ Kᵀ)⁻¹: exact for all keys, but blind to the text."""
    return jointly(weight, keys, values, second_moment, solve=lambda _, rows: rows)


def weighted_by_position(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """A regularised batch in which later edits count less."""
    ridges = RIDGE * (1 + 0.1 * torch.arange(len(keys), dtype=keys.dtype))
    return jointly(weight, keys, values, second_moment, system=lambda gram, _: gram + torch.diag(ridges))


def ridge_in_the_wrong_place(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """Added to C, relative to its size, instead of to G."""
    return jointly(
        weight,
        keys,
        values,
        second_moment + RIDGE * second_moment.diagonal().mean() * identity_like(second_moment),
        system=lambda gram, _: gram + 1e-9 * identity_like(gram),
    )


def with_ridge(amount: Callable[[int], float], weight: Tensor, keys: Tensor, values: Tensor, moment: Tensor) -> Tensor:
    return jointly(weight, keys, values, moment, system=lambda gram, _: gram + amount(len(keys)) * identity_like(gram))


def protection_ignored(
    weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor, protected: Tensor
) -> Tensor:
    del protected
    return edited(weight, keys, values, second_moment)


def first_protected_only(
    weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor, protected: Tensor
) -> Tensor:
    return protected_by(solve(second_moment, protected[:1]), protected[:1], weight, keys, values, second_moment)


def protected_without_whitening(
    weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor, protected: Tensor
) -> Tensor:
    """The direction is projected off the protected keys in activation space: they are safe, the text pays."""
    return protected_by(protected, protected, weight, keys, values, second_moment)


def protected_above_a_constant(
    weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor, protected: Tensor
) -> Tensor:
    """Of the protected keys' span, what is long enough for a constant: AlphaEdit's cut of eigenvalues at 2e-2."""
    eigenvalues, basis = torch.linalg.eigh(protected.T @ protected)
    large = basis[:, eigenvalues > 2e-2].T
    return protected_by(solve(second_moment, large), large, weight, keys, values, second_moment)


def protected_by(
    spanned: Tensor, protected: Tensor, weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor
) -> Tensor:
    """Directions C⁻¹k less their part along `spanned`, such that protected keys do not see what is left."""

    def projected(moment: Tensor, rows: Tensor) -> Tensor:
        directions = solve(moment, rows)
        return directions - directions @ protected.T @ torch.linalg.solve(spanned @ protected.T, spanned)

    return edited(weight, keys, values, second_moment, solve=projected)


JOINT_ZOO: dict[str, Mutant] = {
    # joint edits
    "one_after_another": Mutant(one_by_one, "order_of_a_batch_does_not_matter", JOINT),
    "ridge_where_exact_was_claimed": Mutant(partial(with_ridge, lambda _: 1e-2), "every_edit_holds", JOINT),
    "diagonal_of_gram_only": Mutant(
        partial(jointly, system=lambda gram, _: torch.diag(gram.diagonal())), "every_edit_holds", JOINT
    ),
    "least_change_of_the_weight": Mutant(least_change_of_the_weight, "closed_form_joint", JOINT),
    "ridge_ignored": Mutant(partial(with_ridge, lambda _: 1e-9), "closed_form_ridge", RIDGED),
    "ridge_squared": Mutant(partial(with_ridge, lambda _: RIDGE**2), "closed_form_ridge", RIDGED),
    "ridge_times_the_batch": Mutant(partial(with_ridge, lambda count: RIDGE * count), "closed_form_ridge", RIDGED),
    "ridge_on_c": Mutant(ridge_in_the_wrong_place, "closed_form_ridge", RIDGED),
    "weighted_by_position": Mutant(weighted_by_position, "order_of_a_batch_does_not_matter", RIDGED),
    "first_of_a_call_only": Mutant(first_of_a_call, "no_edit_of_a_call_is_left_out", JOINT),
    # protected keys
    "protected_above_a_constant": Mutant(protected_above_a_constant, "scale_of_protected_keys_cancels", PROTECTED),
    "protection_ignored": Mutant(protection_ignored, "protected_keys_are_untouched", PROTECTED),
    "first_protected_key_only": Mutant(first_protected_only, "protected_keys_are_untouched", PROTECTED),
    "protected_without_whitening": Mutant(protected_without_whitening, "disturbance_is_least", PROTECTED),
}
