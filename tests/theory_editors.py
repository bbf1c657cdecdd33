"""Editors as the conformance suite takes them, made of an implementation of the theory."""

from __future__ import annotations

from theory_laws import Theory
from torch import Tensor

from ks_core.conformance import Traits
from ks_core.conformance.editors import Editor

RIDGE = 0.5


def stream_of(theory: Theory) -> Editor:
    """Its lifelong edits."""

    def edit(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
        if len(keys) == 0:
            return weight.clone()
        return theory.lifelong_edits(weight, keys, values, theory.whiten(second_moment)).edit.apply(weight)

    return Editor.of(edit, Traits(order="sequential"))


def singles_of(theory: Theory) -> Editor:
    """Its single edits, one after another."""

    def edit(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
        weight = weight.clone()
        for key, value in zip(keys, values, strict=True):
            weight = theory.single_edit(weight, key, value, theory.whiten(second_moment)).apply(weight)
        return weight

    return Editor.of(edit, Traits(order="sequential"))


def joint_of(theory: Theory, ridge: float = 0.0) -> Editor:
    """Its joint edits."""

    def edit(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
        if len(keys) == 0:
            return weight.clone()
        return theory.joint_edit(weight, keys, values, theory.whiten(second_moment), ridge=ridge).apply(weight)

    return Editor.of(edit, Traits(order="joint", ridge=ridge))


def ridged_of(theory: Theory) -> Editor:
    """Its joint edits with a ridge."""
    return joint_of(theory, RIDGE)
