"""What an editor, a collector or an extractor claims to be: the laws that are applied to it follow from that."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import torch

from ks_core.errors import InputError

ORDERS = ("sequential", "joint")
METRICS = ("second_moment", "identity")
DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
ARITHMETIC = ("float64", "float32")
ARRAYS = ("torch", "numpy")
FAMILIES = ("llama", "gpt2")

Implementation = TypeVar("Implementation", bound=Callable[..., Any])


@dataclass(frozen=True)
class Traits:
    """The claims of one editor, second-moment collector or key extractor.

    Attributes:
        order: "sequential" (each edit sees the weight that the one before left) or "joint" (all keys at once).
        ridge: 0 where every edit is exact; else what is added to G = K C⁻¹ Kᵀ, in MEMIT the weight of C.
        share: of the residual that is written, from above 0 to 1: 1/L or 1/√L where an edit is spread over L layers.
        metric: what edits move least: "second_moment" (ΔW C^½, the text's values) or "identity" (ΔW itself: C is taken
            and not used, as in AlphaEdit, and in ROME with its adjustment switched off).
        protected: takes a fifth argument, (p, d_key) keys whose values must not change.
        stateful: what is given is a factory, called without arguments for each new stream of edits.
        remembers: keeps the keys of its stream's earlier calls and counts them in the next: K_p K_pᵀ of AlphaEdit.
        dtype: of the arrays it is given: "float64", "float32", "bfloat16" or "float16"; of a model for an extractor.
        computes: dtype of its arithmetic, "float64" or "float32"; left out, that of its arrays, float32 for halves.
        returns: dtype of its result; left out, that of its arrays.
        array: "torch" or "numpy".
        accumulates: of a collector, dtype of its running sums, "float64" or "float32".
        families: of an extractor, the architectures that it reads: "llama" (rotary positions), "gpt2" (absolute ones).
    """

    order: str = "sequential"
    ridge: float = 0.0
    share: float = 1.0
    metric: str = "second_moment"
    protected: bool = False
    stateful: bool = False
    remembers: bool = False
    dtype: str = "float64"
    computes: str = ""
    returns: str = ""
    array: str = "torch"
    accumulates: str = "float64"
    families: tuple[str, ...] = FAMILIES

    def __post_init__(self) -> None:
        for name, known in _WORDS.items():
            if getattr(self, name) not in known:
                raise InputError(f"trait {name} is {getattr(self, name)!r}; expected {_one_of(known)}")
        for name in ("protected", "stateful", "remembers"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"trait {name} is {getattr(self, name)!r}; expected True or False")
        if not _is_number(self.ridge) or not 0 <= self.ridge < math.inf:
            raise InputError(f"trait ridge is {self.ridge!r}; expected a finite number, 0 for exact edits")
        if not _is_number(self.share) or not 0 < self.share <= 1:
            raise InputError(f"trait share is {self.share!r}; expected a number above 0 and at most 1, 1 for all of it")
        known_ones = isinstance(self.families, tuple) and all(family in FAMILIES for family in self.families)
        if not known_ones or not self.families:
            raise InputError(f"trait families is {self.families!r}; expected a tuple of some of {_one_of(FAMILIES)}")
        self._check_together()

    def _check_together(self) -> None:
        """Refuse claims that contradict each other.

        Raises:
            InputError: names both claims.
        """
        if self.remembers and not (self.stateful and self.order == "joint" and self.ridge):
            raise InputError(
                "trait remembers is True; expected order='joint', a ridge and stateful=True with it: earlier keys "
                "count as text beside the ridge, and belong to one stream, which a factory gives an editor of its own"
            )
        if self.array == "numpy" and "bfloat16" in (self.dtype, self.returns):
            raise InputError("trait array is 'numpy' with 'bfloat16'; expected 'torch': NumPy has no such numbers")

    @property
    def arithmetic(self) -> torch.dtype:
        """What it claims to compute in: half precision is for arrays only, sums are float32 at least."""
        return DTYPES[self.computes or ("float64" if self.dtype == "float64" else "float32")]

    @property
    def result(self) -> torch.dtype:
        """What it claims to return."""
        return DTYPES[self.returns or self.dtype]

    @property
    def words(self) -> tuple[str, ...]:
        """The claims of an editor as words, those that laws ask for among them.

        Example:
            >>> Traits(order="joint", ridge=0.5).words
            ('joint', 'ridge', 'whitened', 'float64', 'computes float64', 'torch')
        """
        exact = not self.ridge and self.share == 1
        flags = [name for name in ("protected", "stateful", "remembers") if getattr(self, name)]
        whitened = "whitened" if self.metric == "second_moment" else "unwhitened"
        partly = self.share < 1
        named = (("ridge", self.ridge), ("share", partly), ("unridged", partly and not self.ridge), ("exact", exact))
        sizes = [word for word, holds in named if holds]
        dtypes = [self.dtype, f"computes {str(self.arithmetic).removeprefix('torch.')}"]
        if self.returns not in ("", self.dtype):
            dtypes.append(f"returns {self.returns}")
        return (self.order, *sizes, whitened, *flags, *dtypes, self.array)


_WORDS = {
    "order": ORDERS,
    "metric": METRICS,
    "dtype": tuple(DTYPES),
    "computes": (*ARITHMETIC, ""),
    "returns": (*DTYPES, ""),
    "array": ARRAYS,
    "accumulates": ARITHMETIC,
}


def _one_of(known: tuple[str, ...]) -> str:
    return " or ".join(repr(name) for name in known if name)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


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


def traits_given(claims: Traits | None, implementation: Any) -> Traits:
    """The claims that are made for an implementation, or else its declared ones.

    Raises:
        InputError: they are no Traits.
    """
    if claims is None:
        return traits_of(implementation)
    if not isinstance(claims, Traits):
        raise InputError(f"traits are a {type(claims).__name__}; expected Traits(...)")
    return claims
