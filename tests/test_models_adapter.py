"""Every family through one interface: the stored weight, read as (d_value, d_key), maps keys to values."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from errors import refused
from tiny_models import CONTEXT_LENGTH, D_VALUE, tiny_model
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from ks_core.errors import InputError
from ks_core.models.adapter import Adapter
from ks_core.models.architectures import FAMILIES, family_of
from ks_core.models.editing import edited
from ks_core.models.passes import position_ids

BATCH, TOKENS = 3, 5
FLOAT32_EPS = torch.finfo(torch.float32).eps


def input_batch() -> tuple[Tensor, Tensor]:
    ids = torch.randint(2, 512, (BATCH, TOKENS), generator=torch.Generator().manual_seed(1))
    return ids, torch.ones_like(ids)


def captured(adapter: Adapter, ids: Tensor, mask: Tensor) -> dict[int, Tensor]:
    keys: dict[int, Tensor] = {}
    with torch.inference_mode(), adapter.capture_keys(range(adapter.num_layers), keys.__setitem__):
        adapter.hidden_states(ids, mask)
    return keys


def assert_weight_maps_keys_to_outputs(adapter: Adapter) -> None:
    """The law of every adapter, on all layers of one real forward pass."""
    outputs: dict[int, Tensor] = {}
    for layer in range(adapter.num_layers):
        adapter.projection(layer).register_forward_hook(
            # a copy, because Falcon adds the attention's output to it in place
            lambda _module, _args, output, layer=layer: outputs.__setitem__(layer, output.clone())
        )
    keys = captured(adapter, *input_batch())
    assert list(keys) == list(range(adapter.num_layers))
    for layer, key in keys.items():
        assert key.shape == (BATCH, TOKENS, adapter.d_key)
        weight, bias = adapter.weight(layer), adapter.bias(layer)
        expected = outputs[layer].reshape(BATCH, TOKENS, adapter.d_value)
        got = torch.einsum("vk,btk->btv", weight, key) + (0 if bias is None else bias)
        # Two sums of d_key + 1 terms, each off by at most (d_key + 1) eps times the sum of the terms' sizes.
        size = torch.einsum("vk,btk->btv", weight.abs(), key.abs()) + (0 if bias is None else bias.abs())
        bound = 2 * (adapter.d_key + 1) * torch.finfo(torch.float64).eps * size
        assert ((got - expected).abs() <= bound).all(), f"layer {layer}: off by {(got - expected).abs().max():.3g}"


@pytest.mark.parametrize("square", [False, True], ids=["non-square", "square"])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_adapter_weight_times_key_plus_bias_is_module_output(model_type, square):
    adapter = Adapter(tiny_model(model_type, square=square))
    assert (adapter.num_layers, adapter.d_value) == (2, D_VALUE)
    assert adapter.d_key == (D_VALUE if square else 12)
    assert adapter.context_length == CONTEXT_LENGTH
    assert_weight_maps_keys_to_outputs(adapter)


def test_adapter_law_catches_a_square_weight_read_in_the_wrong_layout():
    adapter = Adapter(tiny_model("gpt2", square=True))
    adapter._family = dataclasses.replace(adapter._family, transposed=False)
    with pytest.raises(AssertionError, match="layer 0"):
        assert_weight_maps_keys_to_outputs(adapter)


def test_adapter_law_catches_a_lost_bias():
    adapter = Adapter(tiny_model("gpt2"))
    adapter.bias = lambda _layer: None  # type: ignore[method-assign]
    with pytest.raises(AssertionError, match="layer 0"):
        assert_weight_maps_keys_to_outputs(adapter)


def test_adapter_law_catches_keys_of_the_wrong_module():
    adapter = Adapter(tiny_model("llama", square=True))
    projection = adapter.projection
    adapter.projection = lambda layer: projection(1 - layer)  # type: ignore[method-assign]
    adapter.weight = lambda layer: projection(layer).weight.detach()  # type: ignore[method-assign]
    with pytest.raises(AssertionError):
        assert_weight_maps_keys_to_outputs(adapter)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_adapter_padding_on_either_side_leaves_keys_unchanged(model_type):
    adapter = Adapter(tiny_model(model_type, dtype=torch.float32))
    ids, _ = input_batch()
    alone = captured(adapter, ids[:1], torch.ones(1, TOKENS, dtype=torch.int64))
    mask = torch.tensor([[0, 0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0]])
    padded = torch.ones_like(mask)
    padded[0, 2:], padded[1, :TOKENS] = ids[0], ids[0]
    keys = captured(adapter, padded, mask)
    for layer, key in alone.items():
        # Two layers of about ten products of at most 13 terms each, so 260 roundings, of which few point the same way:
        # enough room for the ones that later layers enlarge. Wrong positions move keys by 10,000 times as much.
        tolerance = 260 * FLOAT32_EPS * key.abs().max()
        assert (keys[layer][0, 2:] - key[0]).abs().max() <= tolerance
        assert (keys[layer][1, :TOKENS] - key[0]).abs().max() <= tolerance


def test_adapter_padding_law_catches_positions_counted_over_padding():
    adapter = Adapter(tiny_model("gpt2"))
    ids, mask = input_batch()
    keys: dict[int, Tensor] = {}
    padded = torch.cat([torch.ones(BATCH, 2, dtype=torch.int64), ids], dim=1)
    padded_mask = torch.cat([torch.zeros(BATCH, 2, dtype=torch.int64), mask], dim=1)
    with torch.inference_mode(), adapter.capture_keys([0], keys.__setitem__):
        adapter.backbone(input_ids=padded, attention_mask=padded_mask)
    right = captured(adapter, ids, mask)[0]
    assert (keys[0][:, 2:] - right).abs().max() > 0.01 * right.abs().max()


def test_adapter_hidden_states_feed_the_head():
    adapter = Adapter(tiny_model("llama"))
    ids, mask = input_batch()
    with torch.inference_mode():
        expected = adapter.model.lm_head(adapter.hidden_states(ids, mask))
        assert torch.equal(adapter.logits(ids, mask), expected)


def test_adapter_weight_is_a_view_that_the_model_uses():
    for model_type in ("gpt2", "llama"):
        adapter = Adapter(tiny_model(model_type))
        ids, mask = input_batch()
        before = captured(adapter, ids, mask)[1]
        adapter.weight(0)[0, 1] += 1.0
        parameter = adapter.projection(0).weight
        assert adapter.weight(0).data_ptr() == parameter.data_ptr()
        assert not torch.equal(before, captured(adapter, ids, mask)[1])


def test_adapter_layer_name_is_the_module_path():
    adapter = Adapter(tiny_model("opt"))
    assert adapter.layer_name(1) == "model.decoder.layers.1.fc2"
    assert dict(adapter.model.named_modules())[adapter.layer_name(1)] is adapter.projection(1)


def test_capture_keys_removes_its_hooks_on_exceptions():
    adapter = Adapter(tiny_model("opt"))
    received: list[int] = []

    def run_and_fail() -> None:
        with adapter.capture_keys([0, 1], lambda layer, _keys: received.append(layer)):
            adapter.hidden_states(*input_batch())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_and_fail()
    adapter.hidden_states(*input_batch())
    assert received == [0, 1]
    assert all(not module._forward_pre_hooks for module in adapter.model.modules())


def test_capture_keys_refuses_layers_that_are_not_there_or_twice():
    adapter = Adapter(tiny_model("llama"))
    with pytest.raises(InputError, match="layer 2 does not exist; expected 0 to 1"), adapter.capture_keys([2], print):
        pass
    with pytest.raises(InputError, match="twice"), adapter.capture_keys([0, 0], print):
        pass
    with pytest.raises(InputError, match="layer -1"):
        adapter.weight(-1)


@pytest.mark.parametrize("model_type", ["gpt2", "llama"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_edited_adds_delta_inside_and_restores_bits_after(model_type, dtype):
    adapter = Adapter(tiny_model(model_type, dtype=dtype))
    parameter = adapter.projection(1).weight
    before = parameter.detach().clone()
    delta = torch.randn(adapter.d_value, adapter.d_key, generator=torch.Generator().manual_seed(2)).double()
    stored = before.T if model_type == "gpt2" else before
    with edited(adapter, 1, delta):
        assert torch.equal(adapter.weight(1), (stored.double() + delta).to(dtype))
    assert torch.equal(parameter, before)


def test_edited_restores_bits_where_subtracting_would_not():
    adapter = Adapter(tiny_model("llama", dtype=torch.float32))
    weight = adapter.weight(0)
    before, delta = weight.clone(), torch.full(weight.shape, 1e3)
    assert not torch.equal((before + delta) - delta, before)
    with edited(adapter, 0, delta):
        pass
    assert torch.equal(weight, before)


def test_edited_restores_after_an_exception_and_when_nested():
    adapter = Adapter(tiny_model("gpt2", dtype=torch.float32))
    before = adapter.weight(0).clone()
    delta = torch.full_like(before, 0.1)

    def edit_twice_and_fail() -> None:
        with edited(adapter, 0, delta), edited(adapter, 1, delta):
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        edit_twice_and_fail()
    assert torch.equal(adapter.weight(0), before)


def test_edited_refuses_a_delta_of_another_shape():
    adapter = Adapter(tiny_model("gpt2"))
    with (
        refused(InputError, got=("(12, 8)", "layer 0", "(8, 12)")),
        edited(adapter, 0, torch.zeros(12, 8)),
    ):
        pass


def test_family_of_refuses_unknown_types_and_lists_the_known():
    with pytest.raises(InputError, match=r"'bert' is not known; expected one of .*gpt2, .*llama"):
        family_of("bert")


def test_adapter_refuses_models_without_the_familys_modules():
    with refused(InputError, what=("GPT2Model", "'gpt2'"), got="'transformer.h'"):
        Adapter(tiny_model("gpt2").transformer)


def test_adapter_refuses_unknown_architecture_of_a_real_model():
    config = AutoConfig.for_model("mamba", vocab_size=16, hidden_size=8, num_hidden_layers=1, state_size=4)
    with pytest.raises(InputError, match="'mamba' is not known"):
        Adapter(AutoModelForCausalLM.from_config(config))


def test_adapter_refuses_a_projection_that_was_replaced():
    model = tiny_model("gpt2")
    model.transformer.h[1].mlp.c_proj = torch.nn.Linear(12, 8)
    with refused(InputError, what="transformer.h.1.mlp.c_proj", got="Linear", expected="Conv1D"):
        Adapter(model)


def test_position_ids_ignore_padding():
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 0]])
    assert position_ids(mask).tolist() == [[0, 0, 0, 1], [0, 1, 2, 2]]


@pytest.mark.parametrize("model_type", ["gpt2", "llama"])
def test_numbers_are_of_the_weights_own_dtype_inside_autocast(model_type):
    adapter, ids = Adapter(tiny_model(model_type).float()), torch.arange(2, 12)[None]
    expected = adapter.logits(ids, torch.ones_like(ids))
    with torch.autocast("cpu", torch.bfloat16):
        found = adapter.logits(ids, torch.ones_like(ids))
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


@pytest.mark.parametrize("part", [lambda adapter: adapter.model, lambda adapter: adapter.model.transformer.h[1]])
def test_a_model_in_training_mode_is_refused_and_runs_again_in_evaluation_mode(part):
    adapter, ids = Adapter(tiny_model("gpt2")), torch.arange(2, 12)[None]
    expected = adapter.logits(ids, torch.ones_like(ids))
    part(adapter).train()
    for run in (adapter.logits, adapter.hidden_states):
        with pytest.raises(InputError, match=r"training mode.*call model\.eval\(\)"):
            run(ids, torch.ones_like(ids))
    adapter.model.eval()
    assert torch.equal(adapter.logits(ids, torch.ones_like(ids)), expected)


def test_a_token_without_a_row_of_the_embedding_is_refused_by_its_id():
    adapter = Adapter(tiny_model("llama"))
    rows = adapter.model.get_input_embeddings().weight.shape[0]
    ids = torch.tensor([[1, rows]])
    for run in (adapter.hidden_states, adapter.logits):
        with pytest.raises(InputError, match=rf"token id {rows} has no row .*it has {rows}.*add none"):
            run(ids, torch.ones_like(ids))
