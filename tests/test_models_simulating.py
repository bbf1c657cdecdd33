"""Changes of weights by hooks, and passes that begin in the middle, against weights that are really changed."""

import pytest
import torch
from tiny_models import tiny_model

from ks_core.errors import InputError
from ks_core.models.adapter import Adapter
from ks_core.models.architectures import FAMILIES
from ks_core.models.editing import edited
from ks_core.models.simulating import ending, resumed, simulated, states_before

LAYERS = 2


def prepared(model_type):
    adapter = Adapter(tiny_model(model_type, layers=LAYERS, dtype=torch.float32))
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(3, 60, (4, 7), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, :2] = 0  # padding left
    mask[2, 5:] = 0  # and right
    change = [
        torch.randn(shape, generator=generator, dtype=torch.float64) / 3
        for shape in ((adapter.d_value, 2), (2, adapter.d_key))
    ]
    return adapter, ids, mask, change


def logits(adapter, ids, mask):
    with torch.inference_mode():
        return adapter.logits(ids, mask)[mask.bool()].double()


def assert_same(one, other):
    """To the rounding of float32 over a few layers."""
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))


@pytest.mark.parametrize("layer", [0, LAYERS - 1])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_simulated_change_is_the_change_of_the_weight(model_type, layer):
    adapter, ids, mask, (left, right) = prepared(model_type)
    before = logits(adapter, ids, mask)
    with edited(adapter, layer, left @ right):
        expected = logits(adapter, ids, mask)
    with simulated(adapter, {layer: (left.float(), right.float())}):
        found = logits(adapter, ids, mask)
    assert_same(found, expected)
    assert not torch.allclose(expected, before, atol=1e-3)
    assert torch.equal(logits(adapter, ids, mask), before), "and gone after the block"


@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_resumed_pass_is_the_whole_pass_and_runs_no_block_below(model_type):
    adapter, ids, mask, (left, right) = prepared(model_type)
    whole, received, ran = logits(adapter, ids, mask), [], []
    with states_before(adapter, LAYERS - 1, received.append):
        adapter.hidden_states(ids, mask)
    hooks = [adapter.projection(n).register_forward_hook(lambda *_, n=n: ran.append(n)) for n in range(LAYERS)]
    rows = torch.tensor([2, 0, 2, 1, 3])
    change = [(factor * torch.arange(5.0)[:, None, None]).float() for factor in (left, right)]
    with resumed(adapter, LAYERS - 1, received[0].of(rows)):
        assert_same(logits(adapter, ids[rows], mask[rows]), logits_of(whole, mask, rows))
        with simulated(adapter, {LAYERS - 1: tuple(change)}):
            found = logits(adapter, ids[rows], mask[rows])
    assert set(ran) == {LAYERS - 1}
    for hook in hooks:
        hook.remove()
    starts = torch.cumsum(torch.tensor([0, *mask[rows].sum(dim=1)]), 0)
    for place, row in enumerate(rows.tolist()):
        with edited(adapter, LAYERS - 1, place**2 * (left @ right)):
            expected = logits(adapter, ids[row : row + 1], mask[row : row + 1])
        assert_same(found[starts[place] : starts[place + 1]], expected)
    assert torch.equal(logits(adapter, ids, mask), whole)


def logits_of(whole, mask, rows):
    parts = whole.split(mask.sum(dim=1).tolist())
    return torch.cat([parts[row] for row in rows.tolist()])


def test_changes_of_two_layers_act_on_each_other():
    adapter, ids, mask, (left, right) = prepared("llama")
    with edited(adapter, 0, left @ right), edited(adapter, 1, 2 * left @ right):
        expected = logits(adapter, ids, mask)
    with simulated(adapter, {0: (left.float(), right.float()), 1: (2 * left.float(), right.float())}):
        assert_same(logits(adapter, ids, mask), expected)


def test_an_error_inside_leaves_the_model_as_it_was():
    adapter, ids, mask, _ = prepared("gpt2")
    received = []
    with states_before(adapter, 1, received.append):
        adapter.hidden_states(ids, mask)
    block = adapter.block(0)
    own = block.forward
    for put in (False, True):
        if put:
            block.forward = own  # as accelerate puts one there
        with pytest.raises(ZeroDivisionError), resumed(adapter, 1, received[0]):
            raise ZeroDivisionError
        assert block.__dict__.get("forward") is (own if put else None)


def test_layers_that_are_not_there_are_refused():
    adapter, _, _, (left, right) = prepared("gpt2")
    with pytest.raises(InputError, match="layer 2 does not exist"), simulated(adapter, {2: (left, right)}):
        pass
    with pytest.raises(InputError, match="layer -1 does not exist"), states_before(adapter, 0, print):
        pass


@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_pass_that_ends_at_a_layer_has_its_keys_and_runs_no_block_above(model_type):
    adapter, ids, mask, _ = prepared(model_type)
    keys, ran = [], []
    with torch.inference_mode(), adapter.capture_keys([0], lambda _, of_layer: keys.append(of_layer)):
        adapter.hidden_states(ids, mask)
        hook = adapter.projection(1).register_forward_hook(lambda *_: ran.append(1))
        with ending(adapter, 0):
            adapter.hidden_states(ids, mask)
        hook.remove()
        assert torch.equal(*keys)
        assert not ran
        adapter.hidden_states(ids, mask)
    assert "forward" not in adapter.block(1).__dict__
