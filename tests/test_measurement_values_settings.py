"""Settings of a search for values: numbers that can be used, of one type, refused by name where they cannot."""

import numpy as np
import pytest

from ks_core.errors import InputError
from ks_core.measurement.values import ValueSettings

NOT_POSITIVE = [0, -1.0, float("nan"), float("inf")]


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        *((name, bad) for name in ("steps", "learning_rate", "norm_bound") for bad in NOT_POSITIVE),
        *((name, bad) for name in ("weight_decay", "kl_weight") for bad in NOT_POSITIVE[1:]),
        *(("target_probability", bad) for bad in (*NOT_POSITIVE, 1, 1.5)),
    ],
)
def test_numbers_that_no_search_could_use_are_refused_by_name(name, bad):
    with pytest.raises(InputError, match=f"{name} is {bad}; expected"):
        ValueSettings(**{name: bad})


WRONG_TYPES = [
    *((name, bad) for name in ("steps", "learning_rate", "kl_weight") for bad in (True, "2", None, [2])),
    ("steps", 2.0),
    ("steps", 2**70),
    ("prefixes", "abc"),
    ("prefixes", b"abc"),
    ("prefixes", None),
    ("prefixes", ("fine", 5)),
    ("prefixes", ("fine", " ")),
    ("prefixes", ("\ud800",)),
]


@pytest.mark.parametrize(("name", "bad"), WRONG_TYPES)
def test_settings_of_another_type_are_refused_by_name(name, bad):
    with pytest.raises(InputError, match=rf"{name}(\[\d\])? is .*; expected"):
        ValueSettings(**{name: bad})


def test_settings_of_numpy_are_pythons_and_prefixes_come_from_any_collection():
    given = ValueSettings(steps=np.int64(2), norm_bound=np.float32(4), prefixes=["Apple."])
    assert given == ValueSettings(steps=2, prefixes=("Apple.",))
    assert [type(given.steps), type(given.norm_bound), type(given.prefixes)] == [int, float, tuple]
