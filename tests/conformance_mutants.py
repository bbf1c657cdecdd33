"""Sequential editors with one realistic fault each, and the law that must name it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ks_core.conformance import Traits
from ks_core.theory.whitening import whiten

SEQUENTIAL = Traits()


@dataclass(frozen=True)
class Mutant:
    """What is wrong is the mutant's name in the zoo."""

    editor: Callable[..., Any]
    law: str
    traits: Traits = field(default=SEQUENTIAL)


def solve(second_moment: Tensor, keys: Tensor) -> Tensor:
    return whiten(second_moment).solve(keys).to(keys.dtype)


def residual(weight: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return value - weight @ key


def right_size(direction: Tensor, key: Tensor) -> Tensor:
    return direction.dot(key)


def edited(
    weight: Tensor,
    keys: Tensor,
    values: Tensor,
    second_moment: Tensor,
    *,
    solve: Callable[[Tensor, Tensor], Tensor] = solve,
    residual: Callable[[Tensor, Tensor, Tensor], Tensor] = residual,
    size: Callable[[Tensor, Tensor], Tensor] = right_size,
    after: Callable[[Tensor], Tensor] = lambda weight: weight,
) -> Tensor:
    """A sequential editor with parts that can be replaced by faulty ones; right as it is."""
    directions = solve(second_moment, keys) if len(keys) else keys
    for key, value, direction in zip(keys, values, directions, strict=True):
        weight = after(weight + torch.outer(residual(weight, key, value), direction) / size(direction, key))
    return weight


def identity_like(matrix: Tensor) -> Tensor:
    return torch.eye(len(matrix), dtype=matrix.dtype)


def inverted_in_float32(second_moment: Tensor, keys: Tensor) -> Tensor:
    return (keys.float() @ torch.linalg.inv(second_moment.float())).to(keys.dtype)


def through_half_precision(second_moment: Tensor, keys: Tensor) -> Tensor:
    return solve(second_moment, keys).bfloat16().to(keys.dtype)


def half_whitened(second_moment: Tensor, keys: Tensor) -> Tensor:
    return torch.linalg.solve_triangular(torch.linalg.cholesky(second_moment), keys.T, upper=False).T


def by_the_diagonal(second_moment: Tensor, keys: Tensor) -> Tensor:
    return keys / second_moment.diagonal()


def unchecked_inverse(second_moment: Tensor, keys: Tensor) -> Tensor:
    """The inverse from eigenvalues, taken from 0 by a constant that is too small to make them safe."""
    eigenvalues, basis = torch.linalg.eigh(second_moment)
    return (keys @ basis / (eigenvalues.abs() + 1e-300)) @ basis.T


def jittered(second_moment: Tensor, keys: Tensor) -> Tensor:
    return solve(second_moment, keys) * (1 + 1e-9 * torch.rand(()).item())


def with_a_constant_ridge(second_moment: Tensor, keys: Tensor) -> Tensor:
    return solve(second_moment + 1e-2 * identity_like(second_moment), keys)


def shape_guess(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """Conv1D stores (d_key, d_value): "transposed if the first side is d_key"."""
    if weight.shape[0] == keys.shape[1]:
        return edited(weight.T, keys, values, second_moment).T
    return edited(weight, keys, values, second_moment)


def residuals_at_the_start(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    return edited(weight, keys, values, second_moment, residual=lambda _, key, value: value - weight @ key)


def next_row(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """The key of the wrong token: each value goes to the key one row further."""
    return edited(weight, keys.roll(-1, 0), values, second_moment)


def last_left_out(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    return edited(weight, keys[:-1], values[:-1], second_moment)


def backwards(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    return edited(weight, keys.flip(0), values.flip(0), second_moment)


def repeated_keys_dropped(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """Edits of a key that was seen before are skipped, so that its first value stays."""
    new = [i for i in range(len(keys)) if not (keys[:i] == keys[i]).all(dim=1).any()]
    return edited(weight, keys[new], values[new], second_moment)


def in_place(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    return weight.copy_(edited(weight, keys, values, second_moment))


def keys_normalised_in_place(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    lengths = torch.linalg.vector_norm(keys, dim=1, keepdim=True)
    keys /= lengths
    return edited(weight, keys, values / lengths, second_moment)


def c_overwritten_by_its_factor(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """As LAPACK does where it is allowed to."""
    after = edited(weight, keys, values, second_moment)
    second_moment.copy_(torch.linalg.cholesky(second_moment))
    return after


def crashes_on_nothing(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    return edited(weight, torch.stack(list(keys)), values, second_moment)


def one_key_squeezed(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    keys = keys.squeeze(0) if len(keys) == 1 else keys
    return edited(weight, keys, values, second_moment)


def capped(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """Each coordinate of the residual is clipped, "for stability"."""
    return edited(
        weight, keys, values, second_moment, residual=lambda w, key, value: residual(w, key, value).clamp(-0.5, 0.5)
    )


SEEN: list[Tensor] = []


def remembers_keys(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """Keys of all streams so far stay in a list of the module, and count as text."""
    seen = [key for key in SEEN[-20:] if len(key) == len(second_moment)]
    SEEN.extend(keys)
    scale = 1e-3 * second_moment.diagonal().mean()
    return edited(weight, keys, values, second_moment + scale * sum((torch.outer(k, k) / k.dot(k) for k in seen), 0))


INVERSES: dict[Any, Tensor] = {}


def cached_by_width(second_moment: Tensor, keys: Tensor) -> Tensor:
    """The inverse is kept under a name that does not say which text or layer it is of."""
    width = (len(second_moment), second_moment.dtype)
    if width not in INVERSES:
        INVERSES[width] = torch.linalg.inv(second_moment)
    return keys @ INVERSES[width]


class Leaky:
    """A factory whose instances share one list."""

    keys: list[Tensor] = []  # noqa: RUF012 - the fault

    def __call__(self, weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
        after = edited(weight, keys, values, second_moment)
        self.keys.extend(keys)
        return after * (1 + 1e-6 * len(self.keys))


def interference_doubled(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """Right at the keys of the batch, twice the update everywhere else: a correction applied off the span of K."""
    update = edited(weight, keys, values, second_moment) - weight
    if not len(keys):
        return weight.clone()
    along = torch.linalg.pinv(keys) @ keys
    return weight + update @ along + 2 * (update - update @ along)


def decayed(weight: Tensor) -> Tensor:
    return weight * (1 - 1e-3)


def seeded_inside(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """Repeatable, at the cost of everyone who draws afterwards."""
    torch.manual_seed(0)
    return edited(weight, keys, values, second_moment)


def gradients_switched_off(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return edited(weight, keys, values, second_moment)


def not_finite(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    return edited(weight, keys, values, second_moment, size=lambda direction, key: 0 * direction.dot(key))


ZOO: dict[str, Mutant] = {
    # which direction
    "c_not_inverted": Mutant(partial(edited, solve=lambda moment, keys: keys @ moment), "direction_is_whitened"),
    "c_ignored": Mutant(partial(edited, solve=lambda _, keys: keys), "disturbance_is_least"),
    "whitened_by_half": Mutant(partial(edited, solve=half_whitened), "orthogonal_keys_are_edited_without_loss"),
    "diagonal_of_c_only": Mutant(partial(edited, solve=by_the_diagonal), "change_of_key_basis_carries_over"),
    "inverse_cached_by_width": Mutant(partial(edited, solve=cached_by_width), "direction_is_whitened"),
    "weight_decay": Mutant(partial(edited, after=decayed), "rank_is_at_most_the_number_of_edits"),
    "update_doubled_off_the_keys": Mutant(interference_doubled, "interference_is_as_predicted"),
    # which size
    "sign": Mutant(partial(edited, size=lambda u, key: -right_size(u, key)), "single_edit_is_the_formula"),
    "normalisation_missing": Mutant(partial(edited, size=lambda u, _: torch.ones_like(u[0])), "last_edit_is_exact"),
    "norm_of_the_direction": Mutant(partial(edited, size=lambda u, _: u.dot(u)), "last_edit_is_exact"),
    "old_value_forgotten": Mutant(
        partial(edited, residual=lambda _weight, _key, value: value), "repeating_an_edit_changes_nothing"
    ),
    "residual_capped_by_coordinate": Mutant(capped, "change_of_value_basis_carries_over"),
    "constant_ridge_on_c": Mutant(partial(edited, solve=with_a_constant_ridge), "scale_of_the_second_moment_cancels"),
    "divides_by_zero": Mutant(not_finite, "single_edit_is_the_formula"),
    # which edits, in which order
    "residuals_at_w0": Mutant(residuals_at_the_start, "stream_can_be_cut_anywhere"),
    "key_of_the_wrong_token": Mutant(next_row, "last_edit_is_exact"),
    "last_edit_left_out": Mutant(last_left_out, "last_edit_is_exact"),
    "backwards": Mutant(backwards, "stream_can_be_cut_anywhere"),
    "repeated_keys_dropped": Mutant(repeated_keys_dropped, "closed_form_sequential"),
    # shapes
    "transposed_by_a_shape_guess": Mutant(shape_guess, "square_weights_are_not_transposed"),
    "crashes_on_an_empty_stream": Mutant(crashes_on_nothing, "empty_stream_changes_nothing"),
    "one_key_squeezed": Mutant(one_key_squeezed, "single_edit_is_the_formula"),
    # precision
    "inverse_in_float32": Mutant(
        partial(edited, solve=inverted_in_float32), "ill_conditioned_second_moments_are_survived"
    ),
    "half_precision_inside": Mutant(
        partial(edited, solve=through_half_precision), "float32_agrees_with_exact_arithmetic"
    ),
    "singular_c_inverted": Mutant(
        partial(edited, solve=unchecked_inverse), "rank_deficient_second_moments_are_not_inverted"
    ),
    # hygiene
    "weight_modified_in_place": Mutant(in_place, "inputs_are_not_modified"),
    "keys_normalised_in_place": Mutant(keys_normalised_in_place, "inputs_are_not_modified"),
    "c_overwritten_by_its_factor": Mutant(c_overwritten_by_its_factor, "inputs_are_not_modified"),
    "keys_remembered_in_the_module": Mutant(remembers_keys, "no_state_between_streams"),
    "keys_remembered_in_the_class": Mutant(Leaky, "no_state_between_streams", Traits(stateful=True)),
    "seeded_inside": Mutant(seeded_inside, "process_is_left_as_it_was"),
    "gradients_switched_off": Mutant(gradients_switched_off, "process_is_left_as_it_was"),
    "noise_without_a_seed": Mutant(partial(edited, solve=jittered), "same_input_gives_the_same_output"),
}
