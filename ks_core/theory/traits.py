"""What an editor claims to be: the laws that are applied to it follow from that."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import torch

from ks_core.errors import InputError

ORDERS = ("sequential", "joint")
DTYPES = {"float64": torch.float64, "float32": torch.float32}
ARRAYS = ("torch", "numpy")

Implementation = TypeVar("Implementation", bound=Callable[..., Any])


@dataclass(frozen=True)
class Traits:
    """The claims of one editor.

    Attributes:
        order: "sequential" (each edit sees the weight that the one before left) or "joint" (all keys at once).
        ridge: 0 where every edit is exact; else what is added to G = K C⁻¹ Kᵀ, in MEMIT the weight of C.
        protected: takes a fifth argument, (p, d_key) keys whose values must not change.
        dtype: "float64" or "float32", of the arrays it is given and returns.
        array: "torch" or "numpy".
        stateful: what is given is a factory, called without arguments for each new stream of edits.
    """

    order: str = "sequential"
    ridge: float = 0.0
    protected: bool = False
    dtype: str = "float64"
    array: str = "torch"
    stateful: bool = False

    def __post_init__(self) -> None:
        for name, known in (("order", ORDERS), ("dtype", tuple(DTYPES)), ("array", ARRAYS)):
            if getattr(self, name) not in known:
                raise InputError(f"trait {name} is {getattr(self, name)!r}; expected {' or '.join(map(repr, known))}")
        for name in ("protected", "stateful"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"trait {name} is {getattr(self, name)!r}; expected True or False")
        if isinstance(self.ridge, bool) or not isinstance(self.ridge, (int, float)) or not 0 <= self.ridge < math.inf:
            raise InputError(f"trait ridge is {self.ridge!r}; expected a finite number, 0 for exact edits")

    @property
    def words(self) -> tuple[str, ...]:
        """The claims as words, those that laws ask for among them.

        Example:
            >>> Traits(order="joint", ridge=0.5).words
            ('joint', 'ridge', 'float64', 'torch')
        """
        regularised = "ridge" if self.ridge else "exact"
        flags = [name for name in ("protected", "stateful") if getattr(self, name)]
        return (self.order, regularised, *flags, self.dtype, self.array)


def traits(**claims: Any) -> Callable[[Implementation], Implementation]:
    """Declare an editor's traits where it is defined.

    Raises:
        InputError: an unknown trait or value.

    Example:
        >>> @traits(order="joint", ridge=0.5)
        ... def edit(weight, keys, values, second_moment): ...
        >>> traits_of(edit).ridge
        0.5
    """
    known = [field.name for field in fields(Traits)]
    unknown = sorted(set(claims) - set(known))
    if unknown:
        raise InputError(f"unknown trait {unknown[0]!r}; expected some of {', '.join(known)}")
    declared = Traits(**claims)

    def attach(implementation: Implementation) -> Implementation:
        implementation.ks_traits = declared  # type: ignore[attr-defined]
        return implementation

    return attach


def name_of(implementation: Any) -> str:
    """What to call an implementation that was given as an object."""
    return str(getattr(implementation, "__qualname__", type(implementation).__qualname__))


def traits_of(implementation: Any) -> Traits:
    """The declared traits; those of a sequential, exact float64 editor on torch tensors where none were declared."""
    declared = getattr(implementation, "ks_traits", Traits())
    if not isinstance(declared, Traits):
        raise InputError(f"ks_traits is a {type(declared).__name__}; expected Traits: use the decorator traits(...)")
    return declared
