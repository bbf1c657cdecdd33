"""Ratios of benchmarks: to the machine's limit and to the replaced procedure, with errors that are right."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from checkout import ROOT


@pytest.fixture
def limits(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "bench" / "speed"))
    import limits

    return limits


@pytest.fixture
def summary(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "bench" / "speed"))
    import summary

    return summary


def benchmark():
    return SimpleNamespace(extra_info={"threads": 1})


def test_a_note_stores_both_ratios_with_errors_and_words(limits):
    made = benchmark()
    noted = limits.note(
        made,
        seconds=[1.0, 3.0],
        limit_seconds=0.5,
        limit="products",
        replaced_seconds=[8.0, 9.0, 10.0],
        replaced="the loop",
        edits=7,
    )
    info = made.extra_info
    assert info["ratio_to_limit"] == noted.to_limit.value == 4.0
    assert info["ratio_to_limit_error"] == pytest.approx(2.0)  # 1 of 2 s, and none is known of the limit
    assert info["ratio_to_replaced"] == pytest.approx(2 / 9)
    assert info["ratio_to_replaced_error"] == pytest.approx(2 / 9 * math.hypot(1 / 2, 1 / 9 / math.sqrt(3)))
    assert (info["limit"], info["replaced"], info["edits"], info["threads"]) == ("products", "the loop", 7, 1)


def test_one_number_has_no_error(limits):
    made = benchmark()
    noted = limits.note(made, seconds=2.0, limit_seconds=1.0, limit="products")
    assert noted.to_limit == limits.Amount(2.0)
    assert noted.to_replaced is None
    assert made.extra_info["ratio_to_limit_error"] is None


def test_what_slows_both_down_in_turn_cancels(limits):
    weather = [1.0, 5.0, 2.0, 9.0]
    ratio = limits.amount([3 * of for of in weather]).over(limits.amount(weather))
    assert ratio.value == pytest.approx(3.0)
    assert ratio.error == pytest.approx(0.0, abs=1e-14)
    apart = limits.amount([3 * of for of in weather]).over(limits.amount(weather[:3]))
    assert apart.error > 1.0


def test_the_error_of_a_ratio_over_pairs_is_its_spread_over_many_runs(limits):
    """The oracle draws the runs: 2,000 of 40 rounds give the spread to 2 %, and each error has 11 % of its own."""
    generator = np.random.default_rng(0)
    runs = []
    for _ in range(2000):
        weather = generator.gamma(20.0, size=40)
        own, of = (weather * generator.normal(mean, 0.1, 40) for mean in (2.0, 1.0))
        runs.append(limits.amount(own.tolist()).over(limits.amount(of.tolist())))
    spread = np.std([of.value for of in runs])
    assert np.mean([of.error for of in runs]) == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf, [], [1.0, 0.0]])
def test_a_time_that_is_none_is_refused(limits, seconds):
    with pytest.raises(ValueError, match="expected one number above zero"):
        limits.note(benchmark(), seconds=seconds, limit_seconds=1.0, limit="products")


@pytest.mark.parametrize("given", [{"limit": ""}, {"replaced": "the loop"}, {"replaced_seconds": 1.0}])
def test_a_number_without_words_and_words_without_a_number_are_refused(limits, given):
    with pytest.raises(ValueError, match="words that say what it is"):
        limits.note(benchmark(), **{"seconds": 1.0, "limit_seconds": 1.0, "limit": "products", **given})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_rate_is_of_the_product_that_was_asked_for(limits, dtype):
    rate = limits.matrix_rate(dtype, 8, 16, 4, repetitions=3)
    assert rate.best > 0
    assert rate.error >= 0
    assert (rate.repetitions, rate.words) == (3, f"torch.mm (8, 16) x (16, 4) in {str(dtype)[6:]} on cpu")
    assert rate.seconds(rate.best).value == 1.0


def test_a_product_is_the_product(limits):
    product = limits.Product(torch.float64, 3, 5, 2)
    product()
    torch.testing.assert_close(product.out, product.left @ product.right)
    assert product.flop == 2 * 3 * 5 * 2


def test_what_runs_beside_is_timed_each_time(limits):
    calls = []
    beside = limits.Beside(limit=lambda: calls.append("limit"), replaced=lambda: calls.append("replaced"))
    for _ in range(3):
        beside()
    assert calls == ["limit", "replaced"] * 3
    assert [len(of) for of in beside.seconds.values()] == [3, 3]


def test_the_table_says_what_is_known_and_no_more(limits, summary):
    known, once = benchmark(), benchmark()
    limits.note(known, seconds=[1.0, 1.1], limit_seconds=0.5, limit="bytes", replaced_seconds=4.0, replaced="loop")
    limits.note_memory(once, gib=2.0, limit_gib=0.5, limit="weights")
    header, *rows = summary.table([("known", known.extra_info), ("once", once.extra_info), ("bare", {"threads": 1})])
    assert header.split()[:2] == ["benchmark", "measured"]
    assert [row.split()[0] for row in rows] == ["known", "once"]
    assert "1.05 ± 0.05 s" in rows[0]
    assert "bytes; loop" in rows[0]
    assert rows[1].split() == ["once", "2", "±", "?", "GiB", "4", "±", "?", "-", "1", "weights"]
