"""One editor for any claims: what obeys the laws that apply to traits which no method of this package has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ks_core.errors import InputError
from ks_core.theory.key_spaces import protect
from ks_core.theory.traits import DTYPES, Traits, traits
from ks_core.theory.whitening import whiten


def editor_claiming(**claims: Any) -> Callable[..., Any]:
    """Make an editor of torch tensors that is what it claims: solved in float64, rounded to what is returned.

    Args:
        claims: as `ks_core.conformance.traits` takes them.

    Returns:
        The editor, or a factory of such where it is stateful.

    Raises:
        InputError: unknown claims, those that contradict each other, or NumPy arrays.

    Example:
        >>> from ks_core.conformance import check_editor
        >>> results = check_editor(editor_claiming(order="joint", metric="identity", ridge=10.0), max_examples=3)
        >>> sorted({result.outcome for result in results})
        ['passed', 'skipped']
    """
    claimed = Traits(**claims)
    if claimed.array != "torch":
        raise InputError(f"trait array is {claimed.array!r}; expected 'torch' of an editor that is made of its claims")

    def fresh() -> Callable[..., Tensor]:
        earlier: list[Tensor] = []

        def edit(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor, *protected: Tensor) -> Tensor:
            wide = [array.double() for array in (weight, keys, values, second_moment, *protected)]
            edited = _edited(claimed, torch.cat([*earlier, wide[1][:0]]), *wide)
            if claimed.remembers:
                earlier.append(wide[1])
            return edited.to(claimed.result)

        return edit

    named = fresh if claimed.stateful else fresh()
    named.__qualname__ = "editor_claiming(" + ", ".join(f"{name}={value!r}" for name, value in claims.items()) + ")"
    return traits(**claims)(named)


def _refuse_singular(claimed: Traits, moment: Tensor) -> None:
    """A C that is used and, in the digits of its dtype, has no inverse.

    Raises:
        InputError: the condition number is not below 1 / (d eps).
    """
    spectrum = torch.linalg.eigvalsh(moment)
    least = len(moment) * torch.finfo(DTYPES[claimed.dtype]).eps * float(spectrum[-1])
    if claimed.metric == "second_moment" and float(spectrum[0]) <= least:
        raise InputError(
            f"the second moment has an eigenvalue of {float(spectrum[0]):.2g}; expected above {least:.2g}, the "
            f"rounding of its {claimed.dtype} entries: collect more text, or pass more digits"
        )


def _edited(
    claimed: Traits, earlier: Tensor, weight: Tensor, keys: Tensor, values: Tensor, moment: Tensor, *protected: Tensor
) -> Tensor:
    """One call: the closed form, with the metric, the memory and the protected keys that are claimed."""
    if not len(keys):
        return weight
    _refuse_singular(claimed, moment)
    metric, ridge = (torch.eye(len(moment)).double() if claimed.metric == "identity" else moment), claimed.ridge
    if len(earlier):
        metric, ridge = ridge * metric + earlier.T @ earlier, 1.0
    space = protect(whiten(metric), *protected) if protected else whiten(metric)
    directions, sizes = space.solve(keys), space.whiten(keys)
    if claimed.order == "joint":
        system = sizes @ sizes.T + ridge * torch.eye(len(keys)).double()
        jointly: Tensor = weight + claimed.share * torch.linalg.solve(system, values - keys @ weight.T).T @ directions
        return jointly
    for key, value, direction, row in zip(keys, values, directions, sizes, strict=True):
        weight = weight + claimed.share * torch.outer(value - weight @ key, direction) / (ridge + row.dot(row))
    return weight
