"""Lifelong edits as one triangular solve against the loop that updates the weight."""

import time

import pytest
import torch

from ks_core.theory.editing import lifelong_edits
from ks_core.theory.whitening import whiten

pytestmark = pytest.mark.speed

EDITS, LOOP_EDITS, D_VALUE, D_KEY = 300, 40, 576, 1536
LEAST_SPEEDUP = 10.0
"""The loop passes over the whole weight three times for each edit (read, form the update, add), the solve three times
for all 300: ten is far below what that saves, and above what a step-by-step path could reach."""


def loop(weight, keys, values, directions):
    for key, value, direction in zip(keys, values, directions, strict=True):
        weight = weight + torch.outer((value - weight @ key) / (direction @ key), direction)
    return weight


def test_lifelong_edits_beat_the_step_by_step_loop(benchmark):
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    weight, keys, values = draw(D_VALUE, D_KEY), draw(EDITS, D_KEY), draw(EDITS, D_VALUE)
    text = draw(4 * D_KEY, D_KEY)
    whitening = whiten(text.T @ text / len(text))
    closed = lambda: lifelong_edits(weight, keys, values, whitening).edit.apply(weight)  # noqa: E731
    benchmark.pedantic(closed, rounds=3, warmup_rounds=1)
    directions = whitening.solve(keys)
    start = time.perf_counter()
    loop(weight, keys[:LOOP_EDITS], values[:LOOP_EDITS], directions[:LOOP_EDITS])
    stepwise = (time.perf_counter() - start) / LOOP_EDITS * EDITS
    speedup = stepwise / benchmark.stats["min"]
    benchmark.extra_info.update(speedup=speedup, edits=EDITS, d_key=D_KEY)
    assert speedup > LEAST_SPEEDUP
