"""Editors that claim a share of the residual, another metric or MEMIT's ridge, and do something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from conformance_mutants import Mutant, edited, identity_like
from torch import Tensor

from ks_core.conformance import Traits

LAYERS = 5
MEMIT = Traits(order="joint", ridge=15_000.0)
MEMIT_FLOAT32 = replace(MEMIT, dtype="float32")
SPREAD = replace(MEMIT, share=1 / LAYERS)
SPREAD_BY_ROOT = replace(MEMIT, share=LAYERS**-0.5)
IDENTITY = Traits(metric="identity")
RIDGED_IDENTITY = Traits(order="joint", ridge=10.0, metric="identity")


def memit(
    weight: Tensor,
    keys: Tensor,
    values: Tensor,
    second_moment: Tensor,
    *,
    share: float = 1.0,
    moment: Callable[[Tensor], Tensor] = lambda second_moment: second_moment,
    ridge: float = MEMIT.ridge,
) -> Tensor:
    """MEMIT's normal equations with parts that can be replaced by faulty ones; right as it is.

    Solved in float64 whatever the arrays, as the published code does.
    """
    wide = keys.double()
    system = ridge * moment(second_moment.double()) + wide.T @ wide
    update = torch.linalg.solve(system, wide.T @ (values.double() - wide @ weight.double().T)).T
    return weight + (share * update).to(weight.dtype)


def unwhitened(
    weight: Tensor,
    keys: Tensor,
    values: Tensor,
    second_moment: Tensor,
    *,
    moment: Callable[[Tensor], Tensor] = identity_like,
) -> Tensor:
    """A sequential editor that moves the weight least; right as it is."""
    return edited(weight, keys, values, second_moment, solve=lambda c, rows: torch.linalg.solve(moment(c), rows.T).T)


def same_size(second_moment: Tensor) -> Tensor:
    """The identity times the mean eigenvalue: C's size and nothing else of it."""
    return second_moment.diagonal().mean() * identity_like(second_moment)


def off_diagonal_lost(second_moment: Tensor) -> Tensor:
    return torch.diag(second_moment.diagonal())


def lightly_whitened(second_moment: Tensor) -> Tensor:
    """A little of C, "for stability", in what should not know it."""
    return identity_like(second_moment) + 1e-3 * second_moment / second_moment.diagonal().mean()


def cut_at_a_constant(second_moment: Tensor) -> Tensor:
    """AlphaEdit's threshold: directions of eigenvalues above it are as good as closed."""
    eigenvalues, basis = torch.linalg.eigh(second_moment)
    return (basis * torch.where(eigenvalues < 2e-2, 1.0, 1e6)) @ basis.T


def unchanged(weight: Tensor, *_: Tensor) -> Tensor:
    return weight.clone()


def transposed_if_square(
    edit: Callable[..., Tensor], weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor
) -> Tensor:
    """The update is transposed where its shape does not forbid it, as by "if shape == weight.T.shape" tried first."""
    after = edit(weight, keys, values, second_moment)
    if weight.shape[0] == weight.shape[1]:
        return weight + (after - weight).T
    return after


def shared_after_the_first(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """The share is taken of every residual but the first of a batch."""
    shares = torch.full((len(keys), 1), 1 / LAYERS, dtype=keys.dtype)
    shares[:1] = 1
    return memit(weight, keys, keys @ weight.T + shares * (values - keys @ weight.T), second_moment)


def square_of_the_share(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """Divided by L where the targets are made, and again where they are written."""
    return memit(weight, keys, values, second_moment, share=LAYERS**-2)


_SHARE, _UNUSED = "share_of_the_residual_is_as_claimed", "second_moment_is_not_used"
CLAIMS_ZOO: dict[str, Mutant] = {
    # MEMIT's ridge, where faults are small beside rounding unless keys are long
    "unchanged_in_float64": Mutant(unchanged, "closed_form_ridge", MEMIT),
    "unchanged_in_float32": Mutant(unchanged, "closed_form_ridge", MEMIT_FLOAT32),
    "c_replaced_by_its_size": Mutant(partial(memit, moment=same_size), "closed_form_ridge", MEMIT),
    "c_replaced_by_its_size_in_float32": Mutant(partial(memit, moment=same_size), "closed_form_ridge", MEMIT_FLOAT32),
    "c_by_its_diagonal_in_float32": Mutant(
        partial(memit, moment=off_diagonal_lost), "change_of_key_basis_carries_over", MEMIT_FLOAT32
    ),
    "lambda_of_another_model": Mutant(partial(memit, ridge=20_000.0), "closed_form_ridge", MEMIT),
    # share of the residual
    "share_forgotten": Mutant(memit, _SHARE, SPREAD),
    "root_of_the_share": Mutant(partial(memit, share=LAYERS**-0.5), _SHARE, SPREAD),
    "share_for_its_root": Mutant(partial(memit, share=1 / LAYERS), _SHARE, SPREAD_BY_ROOT),
    "share_squared": Mutant(square_of_the_share, _SHARE, SPREAD),
    "share_of_all_but_the_first": Mutant(shared_after_the_first, _SHARE, SPREAD),
    "share_where_none_is_claimed": Mutant(partial(memit, share=1 / LAYERS), "closed_form_ridge", MEMIT),
    # metric
    "c_used_where_the_identity_is_claimed": Mutant(edited, _UNUSED, IDENTITY),
    "a_little_of_c_used": Mutant(partial(unwhitened, moment=lightly_whitened), _UNUSED, IDENTITY),
    "c_cut_at_a_constant": Mutant(partial(unwhitened, moment=cut_at_a_constant), _UNUSED, IDENTITY),
    "size_of_c_used": Mutant(partial(memit, moment=same_size, ridge=10.0), _UNUSED, RIDGED_IDENTITY),
    # layout
    "transposed_if_square": Mutant(partial(transposed_if_square, edited), "square_weights_are_not_transposed"),
    "transposed_if_square_in_memit": Mutant(
        partial(transposed_if_square, memit), "square_weights_are_not_transposed", MEMIT
    ),
}
