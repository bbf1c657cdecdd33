"""Which pairs are simulated in which round, counted."""

import pytest
import torch

from ks_core.auditing import rounds
from ks_core.auditing.rounds import simulate_foremost
from ks_core.measurement.standing import Standing

FACTS = 100


@pytest.fixture
def rounds_of(monkeypatch):
    """What each round asks for where facts lose what is given; the simulation itself has tests of its own."""

    def run(losses, order, count):
        asked = []

        def simulated(_model, _layer, _left, _right, _batches, chosen):
            asked.append(int(chosen.sum()))
            found = torch.where(chosen, -losses, torch.nan)
            return Standing(found, found, torch.zeros_like(chosen, dtype=torch.int64))

        monkeypatch.setattr(rounds, "simulate_alone", simulated)
        before = Standing(torch.zeros(FACTS, dtype=torch.float64), torch.ones(FACTS), torch.zeros(FACTS))
        after = simulate_foremost(None, 0, None, None, (), before, order, count)
        return asked, after.log_probability

    return run


def test_rounds_go_on_while_the_last_half_holds_one_of_the_worst_ten(rounds_of):
    falling = torch.linspace(1, 0, FACTS, dtype=torch.float64)[None]
    order = torch.arange(FACTS)[None]
    asked, after = rounds_of(falling, order, 40)
    assert asked == [40], "the worst come first: the screen was right"
    assert torch.isnan(after[0, 40:]).all()
    assert torch.equal(after[0, :40], -falling[0, :40])
    late = falling.clone()
    late[0, 30] = 2.0  # in the last half of the first round
    assert rounds_of(late, order, 40)[0] == [40, 20]
    late[0, 59] = 3.0  # and the last of the second
    assert rounds_of(late, order, 40)[0] == [40, 20, 20]


def test_each_edit_goes_on_alone_and_ends_with_its_facts(rounds_of):
    falling = torch.linspace(1, 0, FACTS, dtype=torch.float64)
    losses, order = torch.stack([falling, falling.flip(0)]), torch.arange(FACTS).repeat(2, 1)
    asked, after = rounds_of(losses, order, 40)
    assert asked == [80, 20, 20, 20], "the second edit's screen is the wrong way round"
    assert torch.isfinite(after[1]).all()
    assert rounds_of(losses, order, 1000)[0] == [2 * FACTS]
