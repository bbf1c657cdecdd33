"""Differences of weights: norms against NumPy, and a rank that rounding does not raise."""

import numpy as np
import pytest
import torch

from ks_core.theory.differences import difference, numerical_rank


def low_rank(rank, size=(24, 40), seed=0):
    generator = torch.Generator().manual_seed(seed)
    left, right = (
        torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((size[0], rank), (rank, size[1]))
    )
    weight = torch.randn(*size, generator=generator, dtype=torch.float64)
    return weight, 0.05 * left @ right


def test_norms_are_those_of_float64_whatever_is_stored():
    weight, delta = low_rank(3)
    before, after = weight.float(), (weight + delta).bfloat16()
    found = difference(before, after)
    exact = after.double().numpy() - before.double().numpy()
    assert found.norm == pytest.approx(np.linalg.norm(exact))
    assert found.growth == pytest.approx(np.linalg.norm(exact) / np.linalg.norm(before.double().numpy()))
    assert (found.entries, found.changed) == (exact.size, np.count_nonzero(exact))


def test_nothing_is_no_growth_and_something_of_nothing_is_infinite():
    zero, one = torch.zeros(3), torch.ones(3)
    assert difference(zero, zero).growth == 0
    assert difference(zero, one).growth == float("inf")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rank", [1, 4])
def test_rank_is_that_of_the_edit_after_it_was_stored(dtype, rank):
    weight, delta = low_rank(rank)
    before = weight.to(dtype)
    after = (before.double() + delta).to(dtype)
    rounding = torch.finfo(dtype).eps / 2 * float(after.double().norm())
    stored = after.double() - before.double()
    assert numerical_rank(stored, rounding) == rank
    if dtype != torch.float64:
        assert numerical_rank(stored, 0.0) == min(delta.shape), "planted fault: rounding taken for the edit"


def test_a_zero_difference_has_no_rank():
    assert numerical_rank(torch.zeros(3, 4), 0.0) == 0
