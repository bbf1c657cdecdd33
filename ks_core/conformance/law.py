"""A law: what must hold, why anyone should care, and a check that measures by how much it does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis.strategies import SearchStrategy
from torch import Tensor

POWER = 0.1
"""An example is judged only where its tolerance is at most this share of the effect that is looked for: a fault that
changes values by a tenth of what an edit does is then seen, and one that forgets the edit is ten times too large."""


@dataclass(frozen=True, eq=False)
class Gap:
    """How far something is from what a law says it is.

    Attributes:
        what: the thing that is compared, for the message.
        got: what the implementation gave.
        expected: what the law says, of the same shape.
        allowed: difference that rounding may make, in each entry; 0 where the bits must agree.
        effect: what a fault would change here, as the size of the edit; infinite where any difference is a fault.
        allowance: what `allowed` is, in words.
    """

    what: str
    got: Tensor
    expected: Tensor
    allowed: float = 0.0
    effect: float = math.inf
    allowance: str = "that rounding allows"

    @property
    def judged(self) -> bool:
        """Whether what rounding may do is little beside what a fault would."""
        return self.allowed <= POWER * self.effect

    @property
    def size(self) -> float:
        """The largest difference; infinite where one is not a number, 0 where nothing is compared."""
        difference = (self.got.double() - self.expected.double()).abs()
        return float(difference.nan_to_num(nan=float("inf")).max()) if difference.numel() else 0.0

    @property
    def ratio(self) -> float:
        """Size over what is allowed: the law is broken above 1."""
        if self.size == 0:
            return 0.0
        return self.size / self.allowed if self.allowed else float("inf")


@dataclass(frozen=True, eq=False)
class Law:
    """One law, found by its name in `ks_core.conformance.registry.LAWS`.

    Attributes:
        name: as in reports and in files of skips and expected failures.
        subject: what it is about: "editor", "collector" or "extractor".
        formula: what must hold.
        why: what goes wrong for a user where it does not hold.
        usual_cause: the fault that most often breaks it.
        needs: the traits to which it applies, see `Traits.words`; "a or b" is met by either.
        first: what is broken with it breaks other laws too, which then "may follow from" it.
        examples: strategy of what the law is tried on, for given traits.
        check: measures an implementation on one example.
    """

    name: str
    subject: str
    formula: str
    why: str
    usual_cause: str
    needs: tuple[str, ...]
    examples: Callable[[Any], SearchStrategy[Any]]
    check: Callable[[Any, Any], Iterable[Gap]]
    first: bool = False

    def not_applied_because(self, words: Iterable[str]) -> str | None:
        """Say why the law says nothing of an implementation with these traits; None where it applies."""
        missing = [need for need in self.needs if not set(need.split(" or ")) & set(words)]
        return f"applies to {' and '.join(self.needs)} {self.subject}s only" if missing else None


def law(
    subject: str,
    examples: Callable[[Any], SearchStrategy[Any]],
    *,
    formula: str,
    why: str,
    usual_cause: str,
    needs: tuple[str, ...] = (),
    first: bool = False,
) -> Callable[[Callable[[Any, Any], Iterable[Gap]]], Law]:
    """Turn a check into the law that has the check's name."""

    def named(check: Callable[[Any, Any], Iterable[Gap]]) -> Law:
        return Law(check.__name__, subject, formula, why, usual_cause, needs, examples, check, first)

    return named


def bits(what: str, got: Tensor, expected: Tensor) -> Gap:
    """Compare to the last bit."""
    if got.shape != expected.shape:
        return Gap(f"{what} (shape {tuple(got.shape)}, expected {tuple(expected.shape)})", *_UNEQUAL)
    return Gap(what, got, expected)


def clear_error() -> Gap:
    """What is asked for where a law takes a clear error for an answer, and got one."""
    return Gap("a clear error", torch.zeros(1), torch.zeros(1))


_UNEQUAL = (torch.ones(1), torch.zeros(1))
