"""Laws of collectors: what rounding may do in claimed precisions, and that honest claims pass in every dtype."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from conformance_mutants_collectors import (
    COLLECTORS,
    Shards,
    batches_of,
    products_in_float32,
    running_mean_in_float32,
    running_sum_in_float32,
    summed_in_half_precision,
    tokens_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ks_core.conformance import Traits, check_collector, reference
from ks_core.conformance.checking import hold
from ks_core.conformance.collectors import (
    COARSER,
    Collected,
    Collector,
    Layout,
    Text,
    massive_keys,
    mean_of_outer_products,
    rounding_of_long_sums,
    texts,
    unit_roundoff,
)
from ks_core.conformance.registry import LAWS
from ks_core.theory.traits import DTYPES

PRECISION = "collector_sums_are_as_precise_as_claimed"


def broken(collector: Any, claims: Traits, max_examples: int = 10) -> list[str]:
    results = check_collector(collector, claims, max_examples=max_examples)
    return [result.law for result in results if result.outcome == "failed"]


def as_float32(shards: Shards) -> Tensor:
    return reference.collector(shards).float()


def in_numpy(shards: Any) -> Any:
    keys = np.concatenate([keys[mask > 0] for shard in shards for keys, mask in shard]).astype(np.float64)
    return (keys.T @ keys / len(keys)).astype(np.float32)[::-1, ::-1][::-1, ::-1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("collector", [reference.collector, as_float32])
def test_sums_in_float64_pass_for_keys_of_every_dtype_whatever_is_returned(collector: Any, dtype: str) -> None:
    assert broken(collector, Traits(dtype=dtype)) == []


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_result_in_half_precision_breaks_the_laws_of_its_numbers(half: torch.dtype) -> None:
    found = broken(lambda shards: reference.collector(shards).to(half), Traits(dtype="bfloat16", accumulates="float32"))
    assert {PRECISION, "collector_takes_the_uncentred_mean", "collector_widens_half_precision"} <= set(found)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_products_of_a_batch_in_float32_are_no_fault_of_the_sums(dtype: str) -> None:
    assert broken(products_in_float32, Traits(dtype=dtype)) == []


def test_products_in_float32_are_a_fault_where_float64_is_claimed() -> None:
    for claims in (Traits(), Traits(dtype="float32", computes="float64")):
        assert PRECISION in broken(products_in_float32, claims)
        assert broken(reference.collector, claims) == []


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("collector", [running_sum_in_float32, running_mean_in_float32, reference.collector])
def test_sums_in_float32_pass_where_that_is_claimed(collector: Any, dtype: str) -> None:
    assert broken(collector, Traits(dtype=dtype, accumulates="float32")) == []


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("collector", [running_sum_in_float32, running_mean_in_float32])
def test_sums_in_float32_break_one_law_where_nothing_is_claimed(collector: Any, dtype: str) -> None:
    assert broken(collector, Traits(dtype=dtype)) == [PRECISION]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_sums_in_half_precision_break_the_law_whatever_is_claimed_of_sums(dtype: str) -> None:
    assert PRECISION in broken(summed_in_half_precision, Traits(dtype=dtype, accumulates="float32"))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_numpy_collector_passes(dtype: str) -> None:
    assert broken(in_numpy, Traits(dtype=dtype, array="numpy")) == []


def test_collectors_claims_are_said_in_words() -> None:
    assert Collector.of(reference.collector).words == ("float64", "torch", "sums in float64")
    claims = Traits(dtype="bfloat16", computes="float64", accumulates="float32")
    expected = ("bfloat16", "torch", "computes float64", "sums in float32")
    assert Collector.of(reference.collector, claims).words == expected


@pytest.mark.parametrize("dtype", DTYPES)
def test_keys_arrive_in_the_claimed_dtype_as_they_were_drawn(dtype: str) -> None:
    seen = []

    def spy(shards: Shards) -> Tensor:
        seen.append(tokens_of(shards))
        return reference.collector(shards)

    text = Text(torch.tensor([[1.5, -2.0], [0.25, 3.0]]).double(), torch.tensor([1, 1]))
    got = Collector.of(spy, Traits(dtype=dtype)).collected(text, Layout())
    assert seen[0].dtype == DTYPES[dtype]
    assert torch.equal(seen[0].double(), text.keys)
    assert torch.equal(got.matrix, mean_of_outer_products(text))


@settings(max_examples=30)
@given(texts(Traits()))
def test_exact_mean_is_that_of_outer_products(text: Text) -> None:
    looped = sum(torch.outer(key, key) for key in text.keys) / len(text.keys)
    allowed = (len(text.keys) + 1) * unit_roundoff("float64") * float(text.keys.abs().max()) ** 2
    assert float((mean_of_outer_products(text) - looped).abs().max()) <= allowed


def summed_in(text: Text, dtype: torch.dtype, order: list[int]) -> Tensor:
    """Exact products, rounded once, one after another into a sum of this dtype."""
    total = torch.zeros(text.keys.shape[1], text.keys.shape[1], dtype=dtype)
    for i in order:
        total += torch.outer(text.keys[i], text.keys[i]).to(dtype)
    return (total / len(text.keys)).double()


@pytest.mark.parametrize("accumulates", COARSER)
@settings(max_examples=20)
@given(data=st.data())
def test_sums_of_the_claimed_precision_stay_within_the_bound_and_coarser_ones_leave_it(
    data: st.DataObject, accumulates: str
) -> None:
    """In any order for those claimed; the massive key first, where the coarser one stands still."""
    claims = Traits(dtype="float32", accumulates=accumulates)
    text = data.draw(massive_keys(claims))
    order = data.draw(st.permutations(range(len(text.keys))))
    exact = mean_of_outer_products(text)
    bound = rounding_of_long_sums(text, claims, Collected(exact, unit_roundoff(accumulates)))
    claimed, coarser = summed_in(text, DTYPES[accumulates], order), DTYPES[COARSER[accumulates]]
    assert float((claimed - exact).abs().max()) <= bound
    longest_first = text.keys.abs().sum(dim=1).argsort(descending=True).tolist()
    assert float((summed_in(text, coarser, longest_first) - exact).abs().max()) > 10 * bound


def test_bound_does_not_grow_with_the_text_but_by_the_precision_of_sums() -> None:
    """Twice as many tokens: the same for float64 sums of float32 products, twice for float32 sums."""
    one, two = (Text(torch.ones(n, 1).double(), torch.ones(n, dtype=torch.int64)) for n in (1000, 2000))
    got = Collected(torch.ones(1, 1).double(), unit_roundoff("float32"))
    for accumulates, growth in (("float64", 1.0), ("float32", 2.0)):
        claims = Traits(dtype="float32", accumulates=accumulates)
        ratio = rounding_of_long_sums(two, claims, got) / rounding_of_long_sums(one, claims, got)
        assert ratio == pytest.approx(growth, rel=2e-3)  # the constant roundings, two of 2,000


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("computes", ["float64", "float32"])
@pytest.mark.parametrize("accumulates", COARSER)
def test_law_of_sums_has_the_power_to_judge_every_example(dtype: str, computes: str, accumulates: str) -> None:
    claims = Traits(dtype=dtype, computes=computes, accumulates=accumulates)
    result = hold(LAWS[PRECISION], Collector.of(as_float32, claims), max_examples=20)
    assert (result.outcome, result.unjudged) == ("passed", 0)


def test_message_says_what_to_claim_instead() -> None:
    results = check_collector(running_sum_in_float32, max_examples=5, seed=1)
    message = {result.law: result.message for result in results}[PRECISION]
    for part in (PRECISION, "one key massive", "claim accumulates='float32'"):
        assert part in message


def test_every_batch_of_the_law_is_one_key() -> None:
    """What the bound supposes: products that are gathered would round as a sum."""
    seen = []

    def spy(shards: Shards) -> Tensor:
        seen.extend(map(len, batches_of(shards)))
        return reference.collector(shards)

    others = [name for name in {law for _, law in COLLECTORS.values()} if name != PRECISION]
    check_collector(spy, replace(Traits(), dtype="float32"), skips=others, max_examples=2)
    assert set(seen) == {1}
