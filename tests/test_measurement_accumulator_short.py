"""Short sums: float32 between flushes, within the written bound of float64 throughout; blocks and mapped files."""

import errno
import os
from itertools import pairwise

import pytest
import torch
from errors import refused
from hypothesis import given
from hypothesis import strategies as st

from ks_core.errors import StorageError
from ks_core.measurement.moments import accumulator as module
from ks_core.measurement.moments import blocks
from ks_core.measurement.moments.accumulator import FLUSH_TOKENS, FlushedAccumulator, SecondMomentAccumulator
from ks_core.theory.superposition import superposition
from ks_core.theory.whitening import ROUNDING_OF_SUMS, whiten

UNIT = 2.0**-24
"""float32's rounding, of a number"""


def drawn_keys(seed, tokens, d_key, massive):
    generator = torch.Generator().manual_seed(seed)
    keys = torch.randn(tokens, d_key, generator=generator) * torch.logspace(-2, 2, d_key)
    keys[::97] *= massive
    return keys


def strayed(found, keys):
    """The largest difference from float64 throughout, in units of √(S_ii S_jj)."""
    exact = keys.double().T @ keys.double()
    scale = exact.diagonal().sqrt()
    return float(((blocks.symmetric(found.packed()) - exact) / scale[:, None] / scale).abs().max())


@given(st.integers(0, 10**6), st.integers(1, 400), st.integers(1, 33), st.sampled_from([1.0, 300.0, 1e4]), st.data())
def test_short_sums_stay_within_their_bound(seed, tokens, d_key, massive, data):
    keys = drawn_keys(seed, tokens, d_key, massive)
    short = FlushedAccumulator(d_key)
    most = data.draw(st.integers(1, tokens))
    since = 0
    for batch in keys.split(data.draw(st.integers(1, tokens))):
        if since + len(batch) > most:
            short.flush()
            since = 0
        short.update(batch)
        since += len(batch)
    # the keys between two flushes, or of one larger batch; + 2 for what is left of second order
    assert strayed(short, keys) <= (max(most, min(tokens, 400)) + 2) * UNIT
    assert short.count == tokens


def test_the_most_that_a_flush_waits_for_is_what_whitening_admits():
    assert FLUSH_TOKENS * UNIT <= ROUNDING_OF_SUMS


def test_a_flush_of_many_batches_strays_by_far_less_than_the_bound():
    keys = drawn_keys(0, FLUSH_TOKENS, 24, 1.0)
    short = FlushedAccumulator(24)
    for batch in keys.split(2048):
        short.update(batch)
    # rounding of independent signs adds up as a root: ten standard deviations of it
    assert strayed(short, keys) <= 10 * FLUSH_TOKENS**0.5 * UNIT


def ordinary_p(accumulator, keys):
    return superposition(whiten(accumulator.result().matrix).whiten(keys))


@pytest.mark.parametrize("times", [300.0, 1e4])
def test_one_massive_key_among_small_ones_costs_short_sums_no_digits(times):
    generator = torch.Generator().manual_seed(0)
    keys = torch.randn(4000, 40, generator=generator)
    keys[3] *= times
    short, exact = FlushedAccumulator(40), SecondMomentAccumulator(40)
    for batch in keys.split(500):
        short.update(batch)
    exact.update(keys.double())
    torch.testing.assert_close(ordinary_p(short, keys[900:940]), ordinary_p(exact, keys[900:940]), rtol=0, atol=1e-4)


def test_planted_fault_a_massive_key_in_a_short_sum_is_caught(monkeypatch):
    monkeypatch.setattr(module, "LONG_KEY", float("inf"))
    generator = torch.Generator().manual_seed(0)
    keys = torch.randn(4000, 40, generator=generator)
    keys[3] *= 1e4
    short, exact = FlushedAccumulator(40), SecondMomentAccumulator(40)
    for batch in keys.split(500):
        short.update(batch)
    exact.update(keys.double())
    assert float((ordinary_p(short, keys[900:940]) - ordinary_p(exact, keys[900:940])).abs().max()) > 1e-2


def test_planted_fault_long_keys_that_a_flush_forgets_are_caught(monkeypatch):
    monkeypatch.setattr(FlushedAccumulator, "_flush_long", lambda _: None)
    keys = drawn_keys(0, 300, 8, 300.0)
    short = FlushedAccumulator(8)
    short.update(keys)
    assert strayed(short, keys) > 0.1


def test_mapped_sums_are_those_in_memory_and_leave_nothing_behind(tmp_path):
    keys = drawn_keys(1, 500, 30, 300.0)
    mapped, held = FlushedAccumulator(30, home=tmp_path / "new"), FlushedAccumulator(30)
    for batch in keys.split(100):
        for each in (mapped, held):
            each.update(batch)
    assert torch.equal(mapped.packed(), held.packed())
    assert list((tmp_path / "new").iterdir()) == []


def test_no_room_for_mapped_sums_is_one_error_before_anything_is_added(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with refused(StorageError, what="No space left", remedy="make room"):
        FlushedAccumulator(30, home=tmp_path)


@given(st.integers(1, 40), st.integers(0, 10**6))
def test_a_packed_triangle_is_the_upper_half_row_by_row_and_comes_back(d_key, seed):
    keys = torch.randn(5, d_key, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    sums = blocks.views_of(torch.zeros(blocks.numbers(d_key), dtype=torch.float64), d_key)
    blocks.add_products(sums, keys)
    packed, whole = blocks.pack(sums), keys.T @ keys
    rows, columns = torch.triu_indices(d_key, d_key)
    torch.testing.assert_close(packed, whole[rows, columns])
    torch.testing.assert_close(blocks.symmetric(packed), whole)
    assert torch.equal(blocks.symmetric(packed), blocks.symmetric(packed).T)
    blocks.unpack_into(sums, packed)
    assert torch.equal(blocks.pack(sums), packed)
    assert blocks.width_of(packed) == d_key


@pytest.mark.parametrize("d_key", [1024, 1025, 4096, 14336])
def test_blocks_are_no_wider_than_the_widest_and_cover_the_triangle(d_key):
    ends = blocks.edges(d_key)
    assert ends[0] == 0
    assert ends[-1] == d_key
    assert max(b - a for a, b in pairwise(ends)) <= blocks.WIDEST
    assert blocks.packed_numbers(d_key) <= blocks.numbers(d_key) <= 0.63 * d_key**2
