"""Editors whose numbers are not what they claim: not finite, of another dtype, or summed in one that is too narrow."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from conformance_mutants import Mutant, edited, right_size
from torch import Tensor

from ks_core.conformance import Traits

FLOAT32 = Traits(dtype="float32")
HALVES = {name: Traits(dtype=name) for name in ("bfloat16", "float16")}
WIDENED = {name: Traits(dtype=name, returns="float32") for name in ("bfloat16", "float16")}

Edit = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def inverted(second_moment: Tensor, keys: Tensor) -> Tensor:
    """C⁻¹ in the dtype of C, as most editors have it."""
    return keys @ torch.linalg.inv(second_moment)


def computed_in(
    dtype: torch.dtype, weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor, *, edit: Edit = edited
) -> Tensor:
    """All of an editor in another dtype; the result in that of the arrays."""
    wide = (array.to(dtype) for array in (weight, keys, values, second_moment))
    return edit(*wide).to(weight.dtype)


def residual_in_float32(weight: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (value.float() - weight.float() @ key.float()).to(weight.dtype)


def residual_and_size_in_float32(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """Products of the model's width in float32 "for speed", and only the solve in float64."""
    size = lambda direction, key: right_size(direction.float(), key.float()).to(key.dtype)  # noqa: E731
    return edited(weight, keys, values, second_moment, residual=residual_in_float32, size=size)


def summed_in_half(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """C inverted in float32, as there is no other way; every product after that in the dtype of the arrays."""
    solve = lambda moment, rows: rows @ torch.linalg.inv(moment.float()).to(rows.dtype)  # noqa: E731
    return edited(weight, keys, values, second_moment, solve=solve)


def in_float32(edit: Edit, weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """What is said of arrays of half precision, which are the result's too unless that is claimed to be wider."""
    return edit(weight, keys, values, second_moment).float()


def widened(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """Right: half-precision arrays, arithmetic and result in float32."""
    return edited(*(array.float() for array in (weight, keys, values, second_moment)))


def never_a_number(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """0 / 0 in one entry, whatever it is given."""
    after = edited(weight, keys, values, second_moment)
    after[0, 0] = torch.nan
    return after


def overflowing(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """The residual is multiplied before it is divided, past the largest number."""
    huge = torch.finfo(weight.dtype).max
    return edited(weight, keys, values, second_moment, size=lambda direction, key: right_size(direction, key) / huge**2)


def change_of_another_layout(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    return edited(weight, keys, values, second_moment).T


def nothing_returned(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> None:
    """Edits in place, as code for models does, a weight that is a copy."""
    weight.copy_(edited(weight, keys, values, second_moment))


def keys_as_columns(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """Raises unless there are as many keys as coordinates."""
    return weight + (values.T - weight @ keys) @ torch.linalg.solve(second_moment, keys).T


HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}

CORRECT: dict[str, tuple[Edit, Traits]] = {
    **{f"{name}_computed_in_float32": (partial(computed_in, torch.float32), HALVES[name]) for name in HALF},
    **{f"{name}_widened": (widened, WIDENED[name]) for name in HALF},
    "float32_computed_in_float64": (partial(computed_in, torch.float64), FLOAT32),
    "float64_returned_as_claimed_float32": (partial(in_float32, edited), Traits(returns="float32")),
}
"""Editors in halves, and between dtypes, that do what they claim: scaffold of the mutants."""

_AS_CLAIMED = "arithmetic_is_as_precise_as_claimed"
PRECISION_ZOO: dict[str, Mutant] = {
    # no weight at all
    "never_a_number": Mutant(never_a_number, "result_is_a_weight"),
    "overflowing": Mutant(overflowing, "result_is_a_weight"),
    "another_layout_returned": Mutant(change_of_another_layout, "result_is_a_weight"),
    "nothing_returned": Mutant(nothing_returned, "result_is_a_weight"),
    "keys_taken_for_columns": Mutant(keys_as_columns, "result_is_a_weight"),
    # dtype of the result
    "float32_returned_for_float64": Mutant(partial(in_float32, edited), "result_has_the_claimed_dtype"),
    "float32_returned_for_bfloat16": Mutant(widened, "result_has_the_claimed_dtype", HALVES["bfloat16"]),
    "float32_returned_for_float16": Mutant(widened, "result_has_the_claimed_dtype", HALVES["float16"]),
    # dtype of the arithmetic
    "all_in_float32": Mutant(partial(computed_in, torch.float32), _AS_CLAIMED),
    "products_in_float32": Mutant(residual_and_size_in_float32, _AS_CLAIMED),
    "float32_inverse_where_float32_is_claimed": Mutant(
        partial(edited, solve=inverted), "ill_conditioned_second_moments_are_survived", FLOAT32
    ),
}

TOO_FINE: dict[str, Mutant] = {
    f"{name}_summed_in_{name}": Mutant(summed_in_half, "single_edit_is_the_formula", HALVES[name]) for name in HALF
}
"""Not seen: a few sums in half precision are off by about as much as a result that is rounded to it may be."""
