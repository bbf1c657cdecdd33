"""Anyone's editor behind one face: float64 tensors in and out, in its own dtype and library in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ks_core.conformance.arrays import called
from ks_core.conformance.strategies import EditProblem
from ks_core.theory.editors import EditFunction, arguments_of, as_edit_function, instance_of, new_weight
from ks_core.theory.traits import Traits, name_of, traits_given

Stream = Callable[[EditProblem], Tensor]
"""Makes a problem's edits in one call and returns the new weight, (d_value, d_key) float64."""


@dataclass(frozen=True, eq=False)
class Editor:
    """An implementation and what it claims to be."""

    implementation: EditFunction
    traits: Traits
    name: str

    subject = "editor"

    @classmethod
    def of(cls, implementation: Any, traits: Traits | None = None, name: str | None = None) -> Editor:
        """Wrap what a user has.

        Raises:
            InputError: it cannot be called, or its traits are not Traits.
        """
        function = as_edit_function(implementation)
        return cls(function, traits_given(traits, function), name or name_of(function))

    @property
    def words(self) -> tuple[str, ...]:
        """The claims, as laws ask for them."""
        return self.traits.words

    def arrays(self, problem: EditProblem) -> list[Any]:
        """The arguments of one call: weight, keys, values, second moment, and protected keys where it takes them."""
        parts = (problem.weight, problem.keys, problem.values, problem.second_moment)
        return arguments_of(self.traits, *parts, problem.protected)

    def instance(self) -> EditFunction:
        """What makes the edits of one stream: the editor itself, or a new one where it is stateful."""
        edit: EditFunction = called(instance_of, "the factory", self.implementation, self.traits)
        return edit

    def stream(self) -> Stream:
        """Start a stream of edits, to which several calls may add."""
        edit = self.instance()

        def edited(problem: EditProblem) -> Tensor:
            shape = tuple(problem.weight.shape)
            after: Tensor = called(new_weight, "the editor", edit, self.arrays(problem), shape)
            return after

        return edited

    def edited(self, problem: EditProblem) -> Tensor:
        """The weight after the problem's edits, in a stream of their own."""
        return self.stream()(problem)

    def with_traits(self, **changed: Any) -> Editor:
        """The same implementation, treated as if it had declared something else."""
        return replace(self, traits=replace(self.traits, **changed))
