"""An argument that cannot be used is named in the error, and small numbers are numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from errors import Parts, refused

from ks_core.errors import InputError, RankDeficientError
from ks_core.theory.editing import Edit, joint_edit, lifelong_edits, single_edit
from ks_core.theory.interference import (
    measured_earlier,
    measured_original,
    predicted_at_edits,
    predicted_earlier,
    predicted_original,
    relative_difference,
)
from ks_core.theory.key_spaces import NullSpace, null_space, protect
from ks_core.theory.ordering import gentlest_order, interfering_groups
from ks_core.theory.superposition import cosines, gram, superposition
from ks_core.theory.whitening import whiten

BAD, ONE = [[float("nan")]], [[1.0]]
IDENTITY = whiten(ONE)
EDIT = Edit(IDENTITY.factor, IDENTITY.factor)
NULL = NullSpace(IDENTITY.factor, variance=1.0)

CASES: list[tuple[str, Callable[[], Any]]] = [
    ("weight_before", lambda: measured_original(BAD, ONE, ONE)),
    ("weight_after", lambda: measured_original(ONE, BAD, ONE)),
    ("keys", lambda: measured_original(ONE, ONE, BAD)),
    ("weight_after", lambda: measured_earlier(BAD, ONE, ONE)),
    ("keys", lambda: measured_earlier(ONE, BAD, ONE)),
    ("values", lambda: measured_earlier(ONE, ONE, BAD)),
    ("predicted", lambda: relative_difference(BAD, ONE)),
    ("measured", lambda: relative_difference(ONE, BAD)),
    ("superposition", lambda: predicted_original(BAD, ONE)),
    ("residuals", lambda: predicted_original(ONE, BAD)),
    ("superposition", lambda: predicted_earlier(BAD, ONE)),
    ("residuals", lambda: predicted_earlier(ONE, BAD)),
    ("superposition", lambda: predicted_at_edits(BAD, ONE, ONE)),
    ("residuals", lambda: predicted_at_edits(ONE, BAD, ONE)),
    ("wanted", lambda: predicted_at_edits(ONE, ONE, BAD)),
    ("whitened keys", lambda: superposition(BAD)),
    ("other whitened keys", lambda: superposition(ONE, BAD)),
    ("keys", lambda: gram(BAD)),
    ("vectors", lambda: cosines(BAD)),
    ("weight", lambda: EDIT.apply(BAD)),
    ("keys", lambda: EDIT.written(BAD)),
    ("keys", lambda: NULL.whiten(BAD)),
    ("keys", lambda: NULL.freedom(BAD)),
    ("the second moment", lambda: null_space(BAD)),
    ("keys", lambda: protect(IDENTITY, BAD)),
    ("whitened_norms", lambda: gentlest_order(BAD[0])),
    ("sizes", lambda: gentlest_order(ONE[0], BAD[0])),
    ("superposition", lambda: interfering_groups(BAD, threshold=0.5)),
    ("key", lambda: single_edit(ONE, BAD[0], ONE[0], IDENTITY)),
    ("value", lambda: single_edit(ONE, ONE[0], BAD[0], IDENTITY)),
    *[
        (name, lambda method=method, arguments=arguments: method(*arguments, IDENTITY))
        for method in (lifelong_edits, joint_edit)
        for name, arguments in {
            "weight": (BAD, ONE, ONE),
            "keys": (ONE, BAD, ONE),
            "values": (ONE, ONE, BAD),
        }.items()
    ],
    ("keys", lambda: IDENTITY.whiten(BAD)),
    ("keys", lambda: IDENTITY.solve(BAD)),
    ("the second moment", lambda: whiten(BAD)),
]


@pytest.mark.parametrize(("name", "call"), CASES)
def test_argument_that_is_not_finite_is_named(name: str, call: Callable[[], Any]) -> None:
    with refused(InputError, what=name, got=("1", "NaN or infinite")):
        call()


def test_relative_difference_does_not_depend_on_the_unit() -> None:
    for unit in (1e-12, 1.0, 1e12):
        assert relative_difference([[3.0 * unit]], [[4.0 * unit]]) == pytest.approx(0.25)


NOT_POSITIVE = [[1.0, 1.1], [1.1, 1.0]]
SAYS: list[tuple[dict[str, Parts], Callable[[], Any]]] = [
    (
        {"what": "factors", "got": ("(3, 2)", "(3, 4)"), "expected": ("(d_value, n)", "(n, d_key)")},
        lambda: Edit(torch.zeros(3, 2), torch.zeros(3, 4)),
    ),
    ({"got": ("(3,)", "(3, 4)"), "expected": "(d_value, n)"}, lambda: Edit(torch.zeros(3), torch.zeros(3, 4))),
    ({"got": ("(3, 2)", "(2,)"), "expected": "(d_value, n)"}, lambda: Edit(torch.zeros(3, 2), torch.zeros(2))),
    (
        {"what": "2 keys", "got": "1 directions", "remedy": ("drop repeated keys", "larger ridge")},
        lambda: joint_edit(ONE, ONE * 2, ONE * 2, IDENTITY),
    ),
    (
        {"what": "weight", "got": "(1, 1)", "expected": "(d_value, d_key)", "remedy": "transpose"},
        lambda: measured_original(ONE, ONE, [[1.0, 1.0]]),
    ),
    ({"what": "row 0", "got": "zero norm", "remedy": "token position"}, lambda: superposition([[0.0]])),
    ({"what": "protected keys", "got": "all 1 directions", "remedy": "fewer keys"}, lambda: protect(IDENTITY, ONE)),
    ({"what": "norms", "got": "0", "expected": "positive norms"}, lambda: gentlest_order([0.0])),
    ({"what": "threshold", "got": "-1", "expected": "0 or more"}, lambda: interfering_groups(ONE, threshold=-1.0)),
    ({"what": "the second moment", "got": "eigenvalue -0.1"}, lambda: whiten(NOT_POSITIVE)),
]


@pytest.mark.parametrize(("parts", "call"), SAYS)
def test_error_says_what_was_got_and_expected(parts: dict[str, Parts], call: Callable[[], Any]) -> None:
    with refused(InputError, **parts):
        call()


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_rounding_below_zero_counts_in_units_of_the_trace(scale: float) -> None:
    """Sums may make an eigenvalue of −1/2000 of the trace; that is a missing direction, in any unit."""
    with pytest.raises(RankDeficientError, match="numerical rank 1"):
        whiten([[scale, 1.001 * scale], [1.001 * scale, scale]])
    with pytest.raises(InputError, match="something else"):
        whiten([[scale, 1.1 * scale], [1.1 * scale, scale]])


@pytest.mark.parametrize(("one", "other"), [(1.0, 1.0), (100.0, 100.0), (0.01, 0.01), (100.0, 0.01)])
def test_asymmetry_counts_in_units_of_both_keys(one: float, other: float) -> None:
    """Sums may stray by a thousandth of √(C_ii C_jj), in any unit; five thousandths are no rounding."""
    for share, rounding in ((5e-4, True), (5e-3, False)):
        matrix = [[one**2, 0.0], [share * one * other, other**2]]
        if rounding:
            assert whiten(matrix).rank == 2
        else:
            with pytest.raises(InputError, match="is not symmetric"):
                whiten(matrix)


def test_inverse_that_overflows_is_no_inverse() -> None:
    """LAPACK's reciprocal condition number is then 0."""
    with pytest.raises(RankDeficientError, match="numerical rank 1"):
        whiten([[1.0, 0.0], [0.0, 1e-320]])
