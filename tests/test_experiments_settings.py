"""Settings hold what their fields say, whatever they are made from."""

import json
import re
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest

import ks_core
from ks_core.errors import InputError
from ks_core.experiments.request.options import in_pytest
from ks_core.experiments.request.settings import CHECKS, Settings
from ks_core.pytest_options import OPTIONS

WHOLE = ("num_facts", "num_edits", "tokens", "longest_text", "batch_tokens", "resamples", "seed")
WRONG = [
    *((name, bad) for name in WHOLE for bad in (3.5, 50.0, True, "50", None, [50], float("nan"), 2**70, -1)),
    *(("ridge", bad) for bad in (True, "0", None, float("nan"), float("inf"), -0.5, 10**400)),
    *(
        (name, bad)
        for name in ("model", "corpus", "device", "dtype")
        for bad in (None, 5, "", " ", "a\0b", b"x", ["x"])
    ),
    *((name, bad) for name in ("revision", "facts") for bad in (5, "", "a\0b", ["x"])),
    *(("layers", bad) for bad in ("01", 0, (), (0, 0), (0.5,), (True,), (-1,), ("0",))),
    *(("families", bad) for bad in ("abc", ("ab", "cd"), ((5,),), (("a", "b\0"),), 5)),
    ("resamples", 10**9),
    ("num_facts", 2),
    ("num_edits", 3),
    ("resamples", 39),
]


@pytest.mark.parametrize(("name", "bad"), WRONG, ids=lambda value: repr(value)[:20])
def test_what_no_measurement_could_use_is_refused_by_name_in_one_line(name, bad):
    with pytest.raises(InputError, match=rf"^{name}(\[\d\])*.* is .*; expected") as caught:
        Settings(**{name: bad})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_every_field_is_checked():
    assert set(CHECKS) == {field.name for field in fields(Settings)}


def test_values_of_other_libraries_become_plain_ones():
    given = Settings(
        model=Path("a/b"), corpus=Path("c"), num_facts=np.int64(8), ridge=np.float32(0.5), layers=np.array([0, 1]),
        families=[["a", Path("b").name]],
    )  # fmt: skip
    assert given == Settings(model="a/b", corpus="c", num_facts=8, ridge=0.5, layers=(0, 1), families=(("a", "b"),))
    assert json.loads(json.dumps(asdict(given)))["num_facts"] == 8
    assert hash(given)


@pytest.mark.parametrize("field", [field.name for field in fields(Settings) if field.name != "own_models"])
def test_errors_name_an_option_that_there_is(field):
    """`own_models` follows from where the tests stand."""
    assert in_pytest(field).removeprefix("in pytest: ") in OPTIONS


@pytest.mark.parametrize("room", ["theory", "statistics", "models", "data", "measurement", "experiments", "claims"])
def test_what_a_notebook_shows_says_where_an_option_belongs(room):
    for path in sorted((Path(ks_core.__file__).parent / room).rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if path.name != "options.py":
            assert lone_options(source) == [], path


def test_an_option_alone_is_found():
    assert lone_options('"ask for fewer (--ks-num-facts)"') == ["--ks-num-facts"]
    assert lone_options('"(in pytest: --ks-model A --ks-facts B)"') == []


def lone_options(source):
    return re.findall(r"--ks-[a-z-]+", re.sub(r"in pytest: [^)]*\)", "", source))


def test_the_defaults_pass():
    assert Settings().layers is None
