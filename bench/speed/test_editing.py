"""1,000 lifelong edits as one triangular solve against the loop that updates the weight."""

import pytest
import torch
from limits import matrix_rate, note, rounds, timed

from ks_core.theory.editing import lifelong_edits, single_edit
from ks_core.theory.whitening import whiten

pytestmark = pytest.mark.speed

EDITS, D_VALUE, D_KEY = 1000, 576, 1536
PIECES = 10
"""That the loop is timed in: its error is that of their mean."""

LARGEST_RATIO = 1 / (20 * min(torch.get_num_threads(), 2))
"""An edit of the loop passes over C's factor twice (its direction) and over the weight three times (read, form the
update, add): 50 MB of memory, and little arithmetic to each byte. The closed form passes over both once for all edits,
in products that a processor does at full speed. A second thread halves the products' time, and not the memory's."""

MOST_OVER_LIMIT = 2.0
"""A triangular solve has half of a product's work and is cut into blocks of less than its shape; the weight, the edit
and P are written and read once between the products."""

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
    found = benchmark.pedantic(closed, rounds=5, warmup_rounds=1)
    expected, stepwise = [weight], []
    for part in range(0, EDITS, EDITS // PIECES):
        at = slice(part, part + EDITS // PIECES)
        stepwise += timed(lambda at=at: expected.append(loop(expected[-1], keys[at], values[at], whitening)))
    difference = float((found - expected[-1]).abs().max() / expected[-1].abs().max())
    rate = matrix_rate(torch.float64, EDITS, D_KEY, D_KEY)
    noted = note(
        benchmark,
        seconds=rounds(benchmark),
        limit_seconds=rate.seconds(FLOP),
        limit=f"its products and triangular solves at the rate of {rate.words}",
        replaced_seconds=[seconds * PIECES for seconds in stepwise],
        replaced="the loop over edits",
        relative_difference=difference,
        edits=EDITS,
        d_key=D_KEY,
    )
    assert difference < AGREES
    assert noted.to_replaced.value < LARGEST_RATIO
    assert noted.to_limit.value - 2 * noted.to_limit.error < MOST_OVER_LIMIT
