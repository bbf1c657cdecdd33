"""An argument that cannot be used is named in the error, and small numbers are numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ks_core.errors import InputError
from ks_core.theory.editing import Edit, joint_edit, lifelong_edits, single_edit
from ks_core.theory.interference import (
    measured_earlier,
    measured_original,
    predicted_earlier,
    predicted_original,
    relative_difference,
)
from ks_core.theory.superposition import angles, cosines, gram, superposition
from ks_core.theory.whitening import whiten

BAD, ONE = [[float("nan")]], [[1.0]]
IDENTITY = whiten(ONE)
EDIT = Edit(IDENTITY.factor, IDENTITY.factor)

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
    ("whitened keys", lambda: superposition(BAD)),
    ("other whitened keys", lambda: superposition(ONE, BAD)),
    ("keys", lambda: gram(BAD)),
    ("vectors", lambda: cosines(BAD)),
    ("cosines", lambda: angles(BAD)),
    ("weight", lambda: EDIT.apply(BAD)),
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
    ("second_moment", lambda: whiten(BAD)),
]


@pytest.mark.parametrize(("name", "call"), CASES)
def test_argument_that_is_not_finite_is_named(name: str, call: Callable[[], Any]) -> None:
    with pytest.raises(InputError, match=f"^{name} contains 1 NaN or infinite entries of 1; "):
        call()


def test_relative_difference_does_not_depend_on_the_unit() -> None:
    for unit in (1e-12, 1.0, 1e12):
        assert relative_difference([[3.0 * unit]], [[4.0 * unit]]) == pytest.approx(0.25)
