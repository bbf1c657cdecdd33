"""Edits that are restrained where they are stronger than the weight: the dense formula, its edges, planted faults."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from errors import refused
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from methods_oracles import pruned_densely
from oracles import assert_close, tolerance
from strategies import generators, weights
from torch import Tensor

from ks_core.errors import InputError
from ks_core.theory.editing import Edit
from ks_core.theory.pruning import PUBLISHED_BASE, pruned

Pruned = Callable[..., Edit]


@st.composite
def strong_edits(draw: st.DrawFn) -> tuple[Edit, Tensor, float]:
    """An edit, a weight and a base: fewer or more edits than dimensions, some singular values of ΔW above the weight's.

    Weights have singular values between 0.5 and 2, times a scale; the base is the published one or more, and no less
    than what restrains at that scale.
    """
    d_value, d_key, count = (draw(st.integers(1, 7)) for _ in range(3))
    weight = draw(weights(d_value, d_key)) * 10.0 ** draw(st.integers(0, 3))
    largest = float(torch.linalg.matrix_norm(weight, 2))
    generator = draw(generators())
    sizes = largest * 10.0 ** generator.uniform(-1, 1.5, count)
    left, right = (torch.from_numpy(generator.standard_normal(shape)) for shape in ((d_value, count), (count, d_key)))
    least = max(PUBLISHED_BASE, math.exp(1 / largest) * 1.000001)
    return Edit(left * torch.from_numpy(sizes), right), weight, least * draw(st.sampled_from([1.0, 1.5, math.e]))


def pruning_is_the_dense_formula(prune: Pruned, edit: Edit, weight: Tensor, base: float) -> None:
    """The restraint is at most of slope 1, so ΔW moves by no more than the rounding of its factors and of W.

    (A function of singular values with that Lipschitz constant has it in the Frobenius norm: Andersson, Carlsson,
    Perfekt, "Operator-Lipschitz estimates for the singular value functional calculus", 2016.)
    """
    expected = pruned_densely(edit.delta(), weight, base)
    size = float(edit.left.norm() * edit.right.norm() + weight.norm())
    assert_close(
        prune(edit, weight, base=base).delta(), expected, tolerance(1.0, max(*weight.shape, len(edit.right))) * size
    )


@given(strong_edits())
def test_pruning_is_the_dense_formula(case: tuple[Edit, Tensor, float]) -> None:
    pruning_is_the_dense_formula(pruned, *case)


@given(strong_edits())
def test_pruning_lengthens_nothing_and_keeps_the_order(case: tuple[Edit, Tensor, float]) -> None:
    edit, weight, base = case
    before, after = (torch.linalg.svdvals(of.delta()) for of in (edit, pruned(edit, weight, base=base)))
    assert bool((after <= before + tolerance(1.0, 7) * float(edit.left.norm() * edit.right.norm())).all())


@given(strong_edits())
def test_an_edit_that_is_weaker_than_the_weight_stays_to_the_bit(case: tuple[Edit, Tensor, float]) -> None:
    edit, weight, base = case
    norms = [float(torch.linalg.matrix_norm(of, 2)) for of in (weight, edit.delta())]
    weak = Edit(edit.left * (0.99 * norms[0] / norms[1]), edit.right)
    assert pruned(weak, weight, base=base) is weak


def test_pruning_costs_no_dense_matrix() -> None:
    """Two edits of a wide layer have two factors, whatever its width."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((30, 2), (2, 50)))
    found = pruned(Edit(left, right), torch.eye(30, 50, dtype=torch.float64), base=3.0)
    assert (found.left.shape, found.right.shape) == ((30, 2), (2, 50))


def test_pruning_by_hand() -> None:
    """With base 2 and s = 2: 8 becomes 3 − 1 + 2, 1 stays."""
    delta, weight = np.diag([8.0, 1.0]), np.diag([2.0, 0.5])
    assert pruned_densely(torch.from_numpy(delta), torch.from_numpy(weight), 2.0).tolist() == [[4.0, 0.0], [0.0, 1.0]]


# --- refused ----------------------------------------------------------------------------------------------------------


def some() -> Edit:
    return Edit(torch.ones(2, 1, dtype=torch.float64), torch.ones(1, 3, dtype=torch.float64))


@pytest.mark.parametrize("base", [1.0, 0.5, -2.0, float("nan"), float("inf"), "2", None])
def test_a_base_that_is_none_is_refused(base: Any) -> None:
    with refused(InputError, what="base is", expected="a finite number above 1"):
        pruned(some(), torch.ones(2, 3), base=base)


@pytest.mark.parametrize(("size", "least"), [(2.0, "1.649"), (1e-3, "1.014e+304")])
def test_a_base_that_lengthens_is_refused(size: float, least: str) -> None:
    """1 / (s ln α) is the slope just above s; from exp(1/s) on it is no more than 1."""
    with refused(InputError, what="base is 1.2", got=f"{size:g}", expected=("exp(1 /", least), remedy="a larger base"):
        pruned(some(), size * torch.eye(2, 3))


def test_the_least_base_is_accepted() -> None:
    assert_close(
        pruned(some(), torch.eye(2, 3), base=math.e).delta(),
        pruned_densely(some().delta(), torch.eye(2, 3).double(), math.e),
        1e-14,
    )


def test_a_weight_of_zeros_is_refused() -> None:
    with refused(InputError, what="weight is zero", expected="singular values"):
        pruned(some(), torch.zeros(2, 3))


def test_a_weight_of_another_shape_is_refused() -> None:
    with refused(InputError, what="weight", got=("(3, 2)", "(2, 3)")):
        pruned(some(), torch.ones(3, 2))


# --- faults -----------------------------------------------------------------------------------------------------------


def by(restrain: Callable[[Tensor, float, float], Tensor], norm: Any = 2) -> Pruned:
    """Other restraints, from (singular values, the weight's largest, base)."""

    def faulty(edit: Edit, weight: Tensor, *, base: float) -> Edit:
        left, singular, right = torch.linalg.svd(edit.delta(), full_matrices=False)
        largest = float(torch.linalg.matrix_norm(weight, norm))
        return Edit(left * torch.where(singular > largest, restrain(singular, largest, base), singular), right)

    return faulty


def published(singular: Tensor, largest: float, base: float) -> Tensor:
    return (singular / largest).log() / math.log(base) + largest


FAULTS: dict[str, Pruned] = {
    "natural_logarithm": by(lambda singular, largest, _: (singular / largest).log() + largest),
    "base_inverted": by(lambda singular, largest, base: (singular / largest).log() * math.log(base) + largest),
    "cut_off": by(lambda singular, largest, _: torch.full_like(singular, largest)),
    "without_the_weight": by(lambda singular, largest, base: (singular / largest).log() / math.log(base)),
    "not_relative": by(lambda singular, largest, base: singular.log() / math.log(base) + largest),
    "linear": by(lambda singular, largest, _: (singular + largest) / 2),
    "frobenius": by(published, norm="fro"),
    "smallest": by(published, norm=-2),
    "not_pruned": lambda edit, _, base=0.0: edit,  # noqa: ARG005
}


@given(strong_edits())
def test_the_published_restraint_is_no_fault(case: tuple[Edit, Tensor, float]) -> None:
    pruning_is_the_dense_formula(by(published), *case)


@pytest.mark.parametrize("faulty", FAULTS.values(), ids=FAULTS)
def test_planted_fault_is_caught(faulty: Pruned) -> None:
    @settings(phases=[Phase.generate], report_multiple_bugs=False)
    @given(strong_edits())
    def property_test(case: tuple[Edit, Tensor, float]) -> None:
        pruning_is_the_dense_formula(faulty, *case)

    with pytest.raises(AssertionError, match="off by up to"):
        property_test()
