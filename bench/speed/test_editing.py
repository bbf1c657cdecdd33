"""1,000 lifelong edits as one triangular solve against the loop that updates the weight."""

import pytest
import torch
from limits import Beside, Product, note, rounds

from ks_core.theory.editing import lifelong_edits, single_edit
from ks_core.theory.whitening import whiten

pytestmark = pytest.mark.speed

EDITS, D_VALUE, D_KEY = 1000, 576, 1536
PIECES = 10
"""That the loop is timed in, one before each round of the closed form, beside one product."""

LARGEST_RATIO = 0.1
"""An edit of the loop passes over C's factor twice (its direction) and over the weight three times (read, form the
update, add): 50 MB, with little arithmetic to each byte, and a millisecond on a machine that moves 50 GB a second. The
closed form passes over both once for all edits and needs 12 MFLOP an edit: a tenth of that at 120 GFLOP a second. How
far apart they are goes by the machine: measured 0.014 on one of two cores, 0.043 on another."""

LARGEST_TO_LIMIT = 2.0
"""Of its products and solves at the rate of a product: a triangular solve runs at some two thirds of that."""

FLOP = EDITS * (2 * D_KEY**2 + 4 * D_KEY * D_VALUE + 2 * EDITS * D_KEY + EDITS * D_VALUE)
"""Of the closed form: two triangular solves for the directions, the values as they are and the edit put together, the
keys' overlaps, and the triangular solve over the edits."""

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
    expected = [weight]
    parts = iter(torch.arange(EDITS).chunk(PIECES))

    def piece():
        at = next(parts)
        expected.append(loop(expected[-1], keys[at], values[at], whitening))

    product = Product(torch.float64, EDITS, D_KEY, D_KEY)
    beside = Beside(limit=product, replaced=piece)
    closed()
    found = benchmark.pedantic(closed, setup=beside, rounds=PIECES)
    difference = float((found - expected[-1]).abs().max() / expected[-1].abs().max())
    noted = note(
        benchmark,
        seconds=rounds(benchmark),
        limit_seconds=[seconds * FLOP / product.flop for seconds in beside.seconds["limit"]],
        limit=f"its products and triangular solves at the rate of {product.words}",
        replaced_seconds=[seconds * PIECES for seconds in beside.seconds["replaced"]],
        replaced="the loop over edits",
        relative_difference=difference,
        edits=EDITS,
        d_key=D_KEY,
    )
    assert difference < AGREES
    assert noted.to_limit.value < LARGEST_TO_LIMIT
    assert noted.to_replaced.value < LARGEST_RATIO
