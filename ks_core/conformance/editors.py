"""Anyone's editor behind one face: float64 tensors in and out, in its own dtype and library in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ks_core.arrays import given
from ks_core.conformance.arrays import Misbehaviour, called, name_of, returned
from ks_core.conformance.strategies import EditProblem
from ks_core.errors import InputError
from ks_core.theory.traits import DTYPES, Traits, traits_of

Stream = Callable[[EditProblem], Tensor]
"""Makes a problem's edits in one call and returns the new weight, (d_value, d_key) float64."""


@dataclass(frozen=True, eq=False)
class Editor:
    """An implementation and what it claims to be."""

    implementation: Callable[..., Any]
    traits: Traits
    name: str

    subject = "editor"

    @classmethod
    def of(cls, implementation: Any, traits: Traits | None = None, name: str | None = None) -> Editor:
        """Wrap what a user has.

        Raises:
            InputError: it cannot be called, or its traits are not Traits.
        """
        if not callable(implementation):
            raise InputError(
                f"the editor is a {type(implementation).__name__}; expected a function "
                "edit(weight, keys, values, second_moment), or a factory of such functions with stateful=True"
            )
        if traits is not None and not isinstance(traits, Traits):
            raise InputError(f"traits are a {type(traits).__name__}; expected Traits(...)")
        return cls(implementation, traits or traits_of(implementation), name or name_of(implementation))

    @property
    def words(self) -> tuple[str, ...]:
        """The claims, as laws ask for them."""
        return self.traits.words

    def arrays(self, problem: EditProblem) -> list[Any]:
        """The arguments of one call: weight, keys, values, second moment, and protected keys where it takes them."""
        parts = [problem.weight, problem.keys, problem.values, problem.moment.matrix]
        if self.traits.protected:
            if problem.protected is None:
                raise ValueError("a problem without protected keys was given to an editor that takes them")
            parts.append(problem.protected)
        return [given(part, self.traits.array, DTYPES[self.traits.dtype]) for part in parts]

    def instance(self) -> Callable[..., Any]:
        """What makes the edits of one stream: the editor itself, or a new one where it is stateful."""
        edit = called(self.implementation, "the factory") if self.traits.stateful else self.implementation
        if not callable(edit):
            raise Misbehaviour(f"the factory returned a {type(edit).__name__}; expected an editor", raised=False)
        return edit

    def stream(self) -> Stream:
        """Start a stream of edits, to which several calls may add."""
        edit = self.instance()

        def edited(problem: EditProblem) -> Tensor:
            result = called(edit, "the editor", *self.arrays(problem))
            return returned(result, "the editor", tuple(problem.weight.shape))

        return edited

    def edited(self, problem: EditProblem) -> Tensor:
        """The weight after the problem's edits, in a stream of their own."""
        return self.stream()(problem)

    def with_traits(self, **changed: Any) -> Editor:
        """The same implementation, treated as if it had declared something else."""
        return replace(self, traits=replace(self.traits, **changed))
