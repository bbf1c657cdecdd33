"""Streams of insertions as a table and as JSON: where a fifth is lost, and what is not known."""

import json

import numpy as np
import pytest

from ks_core.experiments.capacity.measure import Capacity
from ks_core.experiments.capacity.stream import METHODS, Damage, ModelCapacity
from ks_core.reporting.capacity import capacity_numbers, capacity_table
from ks_core.reporting.results import plain

WATCHED = 100


def model(name, halved, failed=False):
    """A model that has lost so many of its watched facts after 1, 2, 4, … edits by either method."""
    curve = [Damage(2**power, np.arange(WATCHED) < lost, 0.1) for power, lost in enumerate(halved)]
    if failed:
        curve.append(Damage(2 ** len(halved), np.empty(0, dtype=bool), float("nan"), "keys span too few directions"))
    return ModelCapacity(name, "family", 64, 1, 2 ** (len(curve) - 1), WATCHED, 0.9, 0.02, 0.01,
                         dict.fromkeys(METHODS, tuple(curve)))  # fmt: skip


@pytest.fixture
def measured():
    models = (model("falls", [0, 10, 30, 60]), model("never\nfalls", [0, 1, 2, 3]), model("ends", [0, 5, 40], True))
    return Capacity(models, resamples=100, seed=0, seconds={"falls": 1.0})


def test_a_table_says_after_how_many_edits_each_model_has_lost_a_fifth(measured):
    headings, falls, never, ends, *_ = capacity_table(measured)
    value, error = (float(of) for of in falls[headings.index("n until") :].split("  ")[0].split(" ± "))
    assert value == pytest.approx(2**1.5, rel=0.01), "half-way between 2 and 4 on a logarithmic axis"
    assert 0 < error < value
    assert never.split() == [r"never\nfalls", "64", "8", "100", "90", "0.08", "-", "-"]
    assert ends.startswith("ends ")


def test_numbers_have_shares_with_error_and_count_and_say_what_failed(measured):
    numbers = json.loads(json.dumps(plain(capacity_numbers(measured)), allow_nan=False))
    first, _, ends = numbers["models"]
    assert [of["halved"]["value"] for of in first["methods"]["joint"]] == [0.0, 0.1, 0.3, 0.6]
    assert first["methods"]["joint"][1]["halved"]["count"] == WATCHED
    assert first["methods"]["joint"][1]["halved"]["error"] == pytest.approx(0.03, abs=0.001)
    last = ends["methods"]["sequential"][-1]
    assert (last["halved"]["value"], last["growth"], last["failed"]) == (None, None, "keys span too few directions")
