"""What is free enough to edit, which protected keys count as their own, and what no space can do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from errors import refused
from methods_oracles import Methods
from oracles import assert_close, tolerance

from ks_core.errors import InfeasibleEditError, InputError
from ks_core.theory.cholesky import EPS
from ks_core.theory.editing import lifelong_edits, single_edit
from ks_core.theory.key_spaces import NullSpace, null_space, protect
from ks_core.theory.whitening import whiten

PACKAGE = Methods()
IDENTITY = whiten(np.eye(2))


@pytest.mark.parametrize("part", [0.0, 1e-9])
def test_edit_of_a_key_in_the_protected_span_is_refused(part: float) -> None:
    """1e-9 of a key leaves 1e-18 of its squared length, less than the rounding, width² · eps."""
    space = protect(IDENTITY, [[2.0, 0.0]])
    keys, values = [[1.0, 1.0], [3.0, 3 * part]], [[1.0], [2.0]]
    for method in (PACKAGE.sequential(space), PACKAGE.joint(space)):
        with refused(InfeasibleEditError, what="edit 1", got=("1 protected directions", f"{part**2:g} of its key")):
            method.edit(np.zeros((1, 2)), keys, values)


def test_edit_of_a_key_that_is_just_free_is_made() -> None:
    """1e-7 of a key leaves 1e-14 of its squared length, which is more than 4 eps."""
    key = torch.tensor([1.0, 1e-7], dtype=torch.float64)
    edit = single_edit(np.zeros((1, 2)), key, [1.0], protect(IDENTITY, [[2.0, 0.0]]))
    assert_close(edit.delta(), torch.tensor([[0.0, 1e7]], dtype=torch.float64), 1e7 * tolerance(1e7, 2))


def test_least_freedom_is_width_squared_times_eps() -> None:
    """In five dimensions 25 eps of the squared length: 20 eps are rounding, 30 eps are an edit."""
    space = protect(whiten(np.eye(5)), [[2.0, 0.0, 0.0, 0.0, 0.0]])
    keys = torch.tensor([[1.0, part**0.5, 0.0, 0.0, 0.0] for part in (20 * EPS, 30 * EPS)], dtype=torch.float64)
    with pytest.raises(InfeasibleEditError, match=r"^edit 0 cannot be made"):
        space.solve(keys)
    assert space.solve(keys[1:]).tolist() == [[0.0, float(keys[1, 1]), 0.0, 0.0, 0.0]]


def test_freedom_is_a_share_however_the_basis_is_rounded() -> None:
    """A row that is an eps too long makes a square that is 2 eps too large."""
    space = NullSpace(torch.tensor([[1 + EPS, 0.0]], dtype=torch.float64), variance=0.0)
    assert space.freedom([[3.0, 0.0]]).tolist() == [1.0]


def test_short_protected_key_counts_as_much_as_a_long_one() -> None:
    assert protect(whiten(np.eye(3)), [[1e20, 0.0, 0.0], [0.0, 1e-3, 0.0]]).basis.shape == (2, 3)


def test_protected_keys_that_differ_by_more_than_rounding_are_two() -> None:
    """Half the condition number, 1e6, times eps would take 1e-11 for rounding; its root does not."""
    whitening = whiten(np.diag([1.0, 1.0, 1e-6]))
    assert protect(whitening, [[1.0, 0.0, 0.0], [1.0, 1e-11, 0.0]]).basis.shape == (2, 3)


def test_protected_key_that_differs_by_rounding_is_none_of_its_own() -> None:
    """The rank is decided against the largest singular value, which is the root of 101 keys, and 101 eps."""
    keys = np.tile([1.0, 0.0, 0.0], (101, 1))
    keys[-1, 1] = 3e-14
    assert protect(whiten(np.eye(3)), keys).basis.shape == (1, 3)


def test_repeated_protected_keys_are_one() -> None:
    space = protect(IDENTITY, [[1.0, 1.0], [1.0, 1.0], [-3.0, -3.0]])
    assert space.basis.shape == (1, 2)
    assert_close(space.freedom([[1.0, 0.0]]), torch.tensor([0.5], dtype=torch.float64), tolerance(1.0, 2))


def test_dependent_protected_keys_span_no_more_than_they_do_at_any_condition() -> None:
    """The third key is the sum of the others but for eps; whitening, with √κ = 1e3, makes √κ eps of that."""
    weak = np.array([1.0, -2.0, 3.0]) / 14**0.5
    whitening = whiten(np.eye(3) - (1 - 1e-6) * np.outer(weak, weak))
    assert protect(whitening, [[2.0, 1.0, 0.0], [0.3, 0.6, 0.3], [2.3, 1.6, 0.3]]).basis.shape == (2, 3)


def test_protected_keys_that_span_everything_are_refused() -> None:
    with refused(InfeasibleEditError, what="3 protected keys", got="all 2 directions", remedy="fewer"):
        protect(IDENTITY, [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def test_zero_protected_key_is_refused() -> None:
    with pytest.raises(InputError, match="protected key 1 is zero"):
        protect(IDENTITY, [[1.0, 0.0], [0.0, 0.0]])


def test_protected_keys_of_another_width_are_refused() -> None:
    with refused(InputError, what="keys", got=("d_key=3", "d_key=2")):
        protect(IDENTITY, [[1.0, 0.0, 0.0]])


def test_null_space_without_a_small_eigenvalue_is_refused() -> None:
    with refused(InfeasibleEditError, what="smallest eigenvalue", got="0.25"):
        null_space(np.diag([3.0, 1.0]), variance=0.2)


@pytest.mark.parametrize("variance", [0.0, 1.0, -0.1, float("nan"), float("inf")])
def test_null_space_refuses_a_share_that_is_none(variance: float) -> None:
    with refused(InputError, what="variance", got=f"{variance:g}", expected="between 0 and 1"):
        null_space(np.eye(2), variance=variance)


def test_null_space_without_an_eigenvalue_below_the_cut_is_refused() -> None:
    with refused(InfeasibleEditError, what="smallest eigenvalue", got="1", expected="less than 0.02", remedy="larger"):
        null_space(np.diag([3.0, 1.0]), eigenvalue=0.02)


@pytest.mark.parametrize("eigenvalue", [0.0, -0.02, float("nan"), float("inf")])
def test_null_space_refuses_a_cut_that_is_none(eigenvalue: float) -> None:
    with refused(InputError, what="eigenvalue", got=f"{eigenvalue:g}", expected="a finite number above 0"):
        null_space(np.eye(2), eigenvalue=eigenvalue)


def test_null_space_is_cut_in_one_way() -> None:
    with refused(InputError, what="variance", got=("0.1", "0.02"), expected="one of them", remedy="leave one out"):
        null_space(np.eye(2), variance=0.1, eigenvalue=0.02)


def test_null_space_refuses_what_is_no_second_moment() -> None:
    with pytest.raises(InputError, match="the second moment is not symmetric"):
        null_space([[1.0, 2.0], [0.0, 1.0]])


def test_edit_of_a_key_outside_the_null_space_is_refused() -> None:
    space = null_space(np.diag([1.0, 1e-3]))
    with refused(InfeasibleEditError, what="edit 0", got=("1 null directions", "0 of its key")):
        lifelong_edits(np.zeros((1, 2)), [[1.0, 0.0]], [[1.0]], space)
