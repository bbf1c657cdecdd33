"""The check of an error's parts notices each that is missing, in another place, or on another line."""

from __future__ import annotations

import pytest
from errors import refused, says

MESSAGE = "ridge is -1; expected a finite number, 0 or more: leave it out for exact edits"
PARTS = {"what": "ridge", "got": "-1", "expected": ("finite", "0 or more"), "remedy": "leave it out"}


def test_error_with_all_its_parts_passes() -> None:
    says(MESSAGE, **PARTS)
    with refused(ValueError, **PARTS):
        raise ValueError(MESSAGE)


@pytest.mark.parametrize("field", PARTS)
def test_part_that_is_missing_or_elsewhere_is_noticed(field: str) -> None:
    with pytest.raises(AssertionError, match=f"^{field}: 'nonsense' is not in"):
        says(MESSAGE, **PARTS | {field: "nonsense"})


def test_parts_stand_in_their_order() -> None:
    with pytest.raises(AssertionError, match=r"^remedy: 'ridge' is not in"):
        says(MESSAGE, got="-1", remedy="ridge")
    with pytest.raises(AssertionError, match=r"^expected: 'finite' is not in"):
        says(MESSAGE, expected=("0 or more", "finite"))


def test_what_is_expected_is_said_to_be() -> None:
    with pytest.raises(AssertionError, match=r"^expected: 'expected ' is not in"):
        says("ridge is -1; a finite number", expected="finite")


def test_second_line_is_noticed() -> None:
    with pytest.raises(AssertionError, match=r"^more than one line"):
        says("ridge is -1\nexpected 0", what="ridge")
