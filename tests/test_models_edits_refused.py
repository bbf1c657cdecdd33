"""Edits that no one could undo, or that are no change of a weight, are refused, and the weight stays."""

from __future__ import annotations

import pytest
import torch
from tiny_models import tiny_model
from torch import nn

from ks_core.errors import InputError
from ks_core.models.adapter import Adapter
from ks_core.models.editing import edited


def _one_module(layers):
    layers[1].mlp.down_proj = layers[0].mlp.down_proj


def _one_parameter(layers):
    layers[1].mlp.down_proj.weight = layers[0].mlp.down_proj.weight


def _one_memory(layers):
    layers[1].mlp.down_proj.weight = nn.Parameter(layers[0].mlp.down_proj.weight.data, requires_grad=False)


@pytest.mark.parametrize("share", [_one_module, _one_parameter, _one_memory])
def test_overlapping_edits_of_layers_that_share_a_weight_are_refused_and_it_is_put_back(share):
    adapter = Adapter(tiny_model("llama"))
    share(adapter.model.model.layers)
    before, delta = adapter.weight(0).clone(), torch.ones(adapter.d_value, adapter.d_key)
    with (
        edited(adapter, 0, delta),
        pytest.raises(InputError, match=r"layer 1 has its weight in one memory with layer 0"),
        edited(adapter, 1, delta),
    ):
        pass
    assert torch.equal(adapter.weight(0), before)
    with edited(adapter, 1, delta):
        assert torch.equal(adapter.weight(0), before + 1)
    assert torch.equal(adapter.weight(0), before)


def test_overlapping_edits_of_two_models_that_share_a_layer_are_refused():
    first, second = Adapter(tiny_model("llama")), Adapter(tiny_model("llama"))
    second.model.model.layers[1] = first.model.model.layers[0]
    before, delta = first.weight(0).clone(), torch.ones(first.d_value, first.d_key)
    with edited(first, 0, delta), pytest.raises(InputError, match="one memory"), edited(second, 1, delta):
        pass
    assert torch.equal(first.weight(0), before)


def _expanded(module):
    module.weight = nn.Parameter(torch.ones(1, 1).expand(module.weight.shape), requires_grad=False)


@pytest.mark.parametrize(
    ("make", "words"),
    [(nn.utils.parametrizations.weight_norm, "made of others"), (_expanded, "one place in memory")],
)
def test_a_weight_that_does_not_hold_what_is_written_is_refused_and_stays(make, words):
    adapter = Adapter(tiny_model("llama"))
    make(adapter.projection(0))
    before = adapter.weight(0).clone()
    with pytest.raises(InputError, match=words), edited(adapter, 0, torch.ones(adapter.d_value, adapter.d_key)):
        pass
    assert torch.equal(adapter.weight(0), before)


@pytest.mark.parametrize("delta", [[[1.0]], torch.ones(8, 24, dtype=torch.complex64), torch.ones(1, 1), None])
def test_a_delta_that_is_no_real_matrix_of_the_weights_shape_is_refused(delta):
    adapter = Adapter(tiny_model("llama"))
    before = adapter.weight(0).clone()
    with pytest.raises(InputError, match=r"delta is .* expected a tensor of real numbers"), edited(adapter, 0, delta):
        pass
    assert torch.equal(adapter.weight(0), before)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_delta_that_is_not_finite_is_refused_and_changes_nothing(bad):
    adapter = Adapter(tiny_model("llama"))
    before = adapter.weight(0).clone()
    delta = torch.zeros(adapter.d_value, adapter.d_key)
    delta[1, 2] = bad
    with pytest.raises(InputError, match="delta for layer 0 holds NaN or infinity"), edited(adapter, 0, delta):
        pass
    assert torch.equal(adapter.weight(0), before)
