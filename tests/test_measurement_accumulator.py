"""The second moment does not depend on how the keys arrive."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ks_core.errors import InputError
from ks_core.measurement.moments.accumulator import SecondMomentAccumulator
from ks_core.theory.superposition import superposition
from ks_core.theory.whitening import whiten

# Sums of n products in another order differ by n roundings of float64 at most; the entries here are of order 1.
TOLERANCE = 1e-13


def naive_second_moment(keys: torch.Tensor) -> torch.Tensor:
    total = torch.zeros(keys.shape[1], keys.shape[1], dtype=torch.float64)
    for key in keys.double():
        total += torch.outer(key, key)
    return total / len(keys)


def some_keys(seed: int, tokens: int, d_key: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (tokens, d_key))).to(dtype)


def accumulated(batches: list[torch.Tensor]) -> SecondMomentAccumulator:
    accumulator = SecondMomentAccumulator(batches[0].shape[1])
    for batch in batches:
        accumulator.update(batch)
    return accumulator


@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 19))
def test_second_moment_equals_mean_of_outer_products(seed, tokens, d_key):
    keys = some_keys(seed, tokens, d_key)
    moment = accumulated([keys]).result()
    torch.testing.assert_close(moment.matrix, naive_second_moment(keys), rtol=0, atol=TOLERANCE)
    assert moment.count == tokens
    assert torch.equal(moment.matrix, moment.matrix.T)


@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(1, 19), st.data())
def test_second_moment_does_not_depend_on_batches_order_or_shards(seed, tokens, d_key, data):
    keys = some_keys(seed, tokens, d_key)
    cut = data.draw(st.integers(1, tokens - 1))
    whole = accumulated([keys]).result().matrix
    shuffled = accumulated([keys[torch.randperm(tokens)]]).result().matrix
    merged = accumulated([keys[:cut]])
    merged.merge(accumulated([keys[cut:]]))
    for other in (accumulated([keys[:cut], keys[cut:]]).result().matrix, shuffled, merged.result().matrix):
        torch.testing.assert_close(other, whole, rtol=0, atol=TOLERANCE)


@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(1, 19), st.data())
def test_restored_accumulator_continues_to_the_same_bits(seed, tokens, d_key, data):
    keys = some_keys(seed, tokens, d_key, torch.float32)
    cut = data.draw(st.integers(1, tokens - 1))
    first = accumulated([keys[:cut]])
    resumed = SecondMomentAccumulator(d_key)
    resumed.update(torch.ones(3, d_key))  # what was there before is forgotten
    resumed.resume(first.packed(), first.count)
    for accumulator in (first, resumed):
        accumulator.update(keys[cut:])
    assert torch.equal(first.result().matrix, resumed.result().matrix)
    assert first.count == resumed.count


@pytest.mark.parametrize("d_key", [1, 2, 3, 5, 7, 1025])
def test_second_moment_is_right_for_widths_that_the_blocks_do_not_divide(d_key):
    keys = some_keys(0, 3, d_key)
    torch.testing.assert_close(accumulated([keys]).result().matrix, keys.T @ keys / 3, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keys_are_widened_before_they_are_multiplied(dtype):
    keys = some_keys(1, 200, 8, dtype)
    # float32 products of the widened keys: 200 terms of order 1, each rounded to 2^-24
    torch.testing.assert_close(
        accumulated([keys]).result().matrix, naive_second_moment(keys), rtol=0, atol=200 * 2**-24
    )


def test_sum_over_many_batches_does_not_lose_small_ones():
    accumulator = accumulated([torch.full((1, 1), 4096.0)])
    for _ in range(1000):
        accumulator.update(torch.full((1, 1), 0.5))  # 0.25 beside 2^24: a float32 sum would never change
    assert accumulator.result().matrix.item() * 1001 == 4096.0**2 + 250


def p_of(moment: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    return superposition(whiten(moment).whiten(keys))


@pytest.mark.parametrize("rows", [1, 3, 20])
@pytest.mark.parametrize("neurons", ["all", "three", "all but one that is large everywhere"])
@pytest.mark.parametrize("times", [300.0, 1e4])
def test_massive_keys_cost_p_no_digits(rows, neurons, times):
    generator = torch.Generator().manual_seed(0)
    # unequal neurons, as in a real model, and a batch of the usual size
    keys = torch.randn(1000, 40, generator=generator) * torch.logspace(-1, 1, 40)
    if neurons == "all but one that is large everywhere":
        keys[:, 0] *= 1e6
    where = {"all": slice(None), "three": slice(0, 3)}.get(neurons, slice(1, None))
    keys[:rows, where] *= times
    ordinary = keys[500:540]
    found = p_of(accumulated([keys]).result().matrix, ordinary)
    expected = p_of(naive_second_moment(keys), ordinary)
    # what float32 products cost where no key is massive: n · 2^-24 at worst, √n typically, times a condition number
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_planted_fault_massive_keys_in_a_float32_product_are_caught(monkeypatch):
    monkeypatch.setattr("ks_core.measurement.moments.accumulator.LONG_KEY", float("inf"))
    generator = torch.Generator().manual_seed(0)
    keys = torch.randn(1000, 40, generator=generator)
    keys[0] *= 1e4
    found = p_of(accumulated([keys]).result().matrix, keys[500:540])
    assert float((found - p_of(naive_second_moment(keys), keys[500:540])).abs().max()) > 1e-2


def test_a_few_massive_keys_alone_in_a_batch_cost_no_digits_either():
    generator = torch.Generator().manual_seed(0)
    keys = torch.randn(1000, 40, generator=generator)
    massive = 1e4 * torch.randn(5, 40, generator=generator)
    found = p_of(accumulated([keys, massive]).result().matrix, keys[:40])
    expected = p_of(naive_second_moment(torch.cat([keys, massive])), keys[:40])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_wrong_width_nan_and_no_keys_are_refused():
    accumulator = SecondMomentAccumulator(3)
    with pytest.raises(InputError, match=r"\(n, 3\)"):
        accumulator.update(torch.ones(2, 4))
    with pytest.raises(InputError, match="0 tokens"):
        accumulator.result()
    with pytest.raises(InputError, match="d_key 3 and 4"):
        accumulator.merge(SecondMomentAccumulator(4))
    accumulator.update(torch.tensor([[1.0, float("nan"), 1.0]]))
    with pytest.raises(InputError, match="not finite"):
        accumulator.result()


def test_planted_fault_a_block_left_out_is_caught():
    class Forgetful(SecondMomentAccumulator):
        def update(self, keys):
            super().update(keys)
            self.sums[0][0, -1] = 0.0

    keys = some_keys(2, 9, 6)
    faulty = Forgetful(6)
    faulty.update(keys)
    assert not torch.allclose(faulty.result().matrix, naive_second_moment(keys), rtol=0, atol=TOLERANCE)
