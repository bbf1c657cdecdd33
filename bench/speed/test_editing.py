"""1,000 lifelong edits as one triangular solve against the loop that updates the weight."""

import time

import pytest
import torch

from ks_core.theory.editing import lifelong_edits, single_edit
from ks_core.theory.whitening import whiten

pytestmark = pytest.mark.speed

EDITS, D_VALUE, D_KEY = 1000, 576, 1536
LOOP_EDITS = 100
LEAST_SPEEDUP = 40.0
"""An edit of the loop passes over C's factor twice (its direction) and over the weight three times (read, form the
update, add): 50 MB of memory, and little arithmetic to each byte. The closed form passes over both once for all edits,
in products that a processor does at full speed."""

AGREES = 1e-12
"""Of the largest entry: rounding, where second moments have condition number 10."""


def loop(weight, keys, values, whitening):
    for key, value in zip(keys, values, strict=True):
        weight = single_edit(weight, key, value, whitening).apply(weight)
    return weight


@pytest.fixture(scope="module")
def problem():
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    text = draw(4 * D_KEY, D_KEY)
    return draw(D_VALUE, D_KEY), draw(EDITS, D_KEY), draw(EDITS, D_VALUE), whiten(text.T @ text / len(text))


def test_lifelong_edits_beat_the_step_by_step_loop(benchmark, problem):
    weight, keys, values, whitening = problem
    closed = lambda: lifelong_edits(weight, keys, values, whitening).edit.apply(weight)  # noqa: E731
    benchmark.pedantic(closed, rounds=5, warmup_rounds=1)
    start = time.perf_counter()
    loop(weight, keys[:LOOP_EDITS], values[:LOOP_EDITS], whitening)
    stepwise = (time.perf_counter() - start) / LOOP_EDITS * EDITS
    speedup = stepwise / benchmark.stats["min"]
    benchmark.extra_info.update(speedup=speedup, edits=EDITS, d_key=D_KEY)
    assert speedup > LEAST_SPEEDUP


def test_lifelong_edits_equal_the_step_by_step_loop(benchmark, problem):
    weight, keys, values, whitening = problem
    expected = benchmark.pedantic(loop, (weight, keys, values, whitening), rounds=1)
    found = lifelong_edits(weight, keys, values, whitening).edit.apply(weight)
    difference = float((found - expected).abs().max() / expected.abs().max())
    benchmark.extra_info.update(relative_difference=difference, edits=EDITS)
    assert difference < AGREES
