"""Values shifted, projections promoted, weights edited: exact inside the block, bit for bit the old model after it."""

from __future__ import annotations

import pytest
import torch
from tiny_models import tiny_model

from ks_core.errors import InputError
from ks_core.models.adapter import Adapter
from ks_core.models.architectures import FAMILIES
from ks_core.models.editing import edited, module_change, promoted

BATCH, TOKENS = 2, 5
DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def input_batch():
    ids = torch.randint(2, 512, (BATCH, TOKENS), generator=torch.Generator().manual_seed(1))
    return ids, torch.ones_like(ids)


def drawn(*shape, seed=2):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def hooks_of(adapter):
    return [hook for module in adapter.model.modules() for hook in (*module._forward_hooks, *module._forward_pre_hooks)]


def outputs_before_and_with(adapter, layer, shift):
    """What a projection puts out in one forward pass, as a hook sees it before and behind the one that shifts."""
    seen = []
    module = adapter.projection(layer)

    def look(_module, _args, output):
        seen.append(output.detach().clone())  # a copy, because Falcon adds the attention's output to it in place

    with (
        torch.inference_mode(),
        module.register_forward_hook(look),
        adapter.shifted_values(layer, shift),
        module.register_forward_hook(look),
    ):
        adapter.logits(*input_batch())
    return seen


@pytest.mark.parametrize("model_type", FAMILIES)
def test_shifted_values_adds_exactly_that_and_leaves_no_hook(model_type):
    adapter = Adapter(tiny_model(model_type))
    shift = torch.zeros(BATCH, TOKENS, adapter.d_value, dtype=torch.float64)
    shift[1, 2] = drawn(adapter.d_value)
    before, shifted = outputs_before_and_with(adapter, 1, shift)
    shape = (BATCH, TOKENS, adapter.d_value)
    assert torch.equal(shifted.reshape(shape), before.reshape(shape) + shift)
    with torch.inference_mode():
        plain = adapter.logits(*input_batch())
        with adapter.shifted_values(1, shift):
            moved = adapter.logits(*input_batch())
        assert torch.equal(adapter.logits(*input_batch()), plain)
    rows, columns = torch.nonzero((moved != plain).any(dim=2), as_tuple=True)
    assert set(rows.tolist()) == {1}, "another row was moved"
    assert min(columns.tolist()) == 2, "an earlier token was moved, or the token itself was not"
    assert not hooks_of(adapter)


@pytest.mark.parametrize("dtype", DTYPES)
def test_shifted_values_adds_in_the_models_dtype(dtype):
    adapter = Adapter(tiny_model("gpt2", dtype=dtype))
    shift = drawn(BATCH, TOKENS, adapter.d_value)
    before, shifted = outputs_before_and_with(adapter, 0, shift)
    assert shifted.dtype == dtype
    assert torch.equal(shifted, before + shift.to(dtype))


def test_shifts_of_two_layers_add_up_and_gradients_flow_back():
    adapter = Adapter(tiny_model("llama"))
    shift = drawn(BATCH, TOKENS, adapter.d_value).requires_grad_(True)
    with adapter.shifted_values(0, shift), adapter.shifted_values(0, shift):
        twice = adapter.logits(*input_batch())
    with adapter.shifted_values(0, 2 * shift):
        double = adapter.logits(*input_batch())
    torch.testing.assert_close(twice, double)
    (gradient,) = torch.autograd.grad(double.square().sum(), [shift])
    assert (gradient.abs().amax(dim=2) > 0).all()


def test_shifted_values_leaves_no_hook_after_an_exception_outside_or_inside_the_pass():
    adapter = Adapter(tiny_model("llama"))
    with pytest.raises(KeyboardInterrupt), adapter.shifted_values(0, drawn(BATCH, TOKENS, adapter.d_value)):
        raise KeyboardInterrupt
    assert not hooks_of(adapter)
    with pytest.raises(RuntimeError, match="shape"), adapter.shifted_values(0, drawn(BATCH, 3, adapter.d_value)):
        adapter.logits(*input_batch())
    assert not hooks_of(adapter)
    with pytest.raises(InputError, match="layer 2 does not exist"), adapter.shifted_values(2, drawn(1)):
        pass


def with_extremes(adapter, layer):
    """Put the numbers into a projection that a careless trip through another dtype would lose."""
    weight = adapter.weight(layer)
    info = torch.finfo(weight.dtype)
    extremes = [-0.0, info.max, info.smallest_normal, info.smallest_normal * info.eps, float("inf"), 1 + info.eps]
    weight[0, : len(extremes)] = torch.tensor(extremes, dtype=weight.dtype)
    assert float(weight[0, 3]) > 0, "the smallest subnormal number should be there"


def bits(adapter):
    return {name: parameter.detach().clone().view(torch.uint8) for name, parameter in adapter.model.named_parameters()}


def assert_same_bits(adapter, before):
    after = bits(adapter)
    assert list(after) == list(before)
    for name, old in before.items():
        assert torch.equal(after[name], old), f"{name} is not what it was"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("model_type", ["gpt2", "gpt_neox", "llama", "opt"])
def test_promoted_computes_in_float64_and_gives_back_dtype_and_bits(model_type, dtype):
    adapter = Adapter(tiny_model(model_type, dtype=dtype))
    keys = drawn(3, adapter.d_key)
    bias = adapter.bias(1)
    expected = keys @ adapter.weight(1).double().T + (0 if bias is None else bias.double())
    with_extremes(adapter, 0)
    before = bits(adapter)
    for layer in (0, 1):
        with promoted(adapter, layer) as module:
            assert {parameter.dtype for parameter in module.parameters()} == {torch.float64}
            assert adapter.weight(1 - layer).dtype == dtype, "the other layer stays as it is"
            got = module(keys).detach()
    torch.testing.assert_close(got, expected)
    assert {parameter.dtype for parameter in adapter.model.parameters()} == {dtype}
    assert_same_bits(adapter, before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_promoted_gives_back_dtype_and_bits_after_an_exception(dtype, error):
    adapter = Adapter(tiny_model("gpt2", dtype=dtype))
    with_extremes(adapter, 1)
    before = bits(adapter)
    delta = drawn(adapter.d_value, adapter.d_key)
    with pytest.raises(error), promoted(adapter, 1), edited(adapter, 1, delta):
        raise error
    assert adapter.weight(1).dtype == dtype
    assert_same_bits(adapter, before)


@pytest.mark.parametrize("model_type", FAMILIES)
@pytest.mark.parametrize("square", [False, True], ids=["non-square", "square"])
def test_module_change_is_the_edit_times_the_keys(model_type, square):
    adapter = Adapter(tiny_model(model_type, square=square))
    before = bits(adapter)
    keys, delta = drawn(4, adapter.d_key), drawn(adapter.d_value, adapter.d_key, seed=3)
    moved = module_change(adapter, 1, delta, keys)
    weight, bias = adapter.weight(1), adapter.bias(1)
    size = keys.abs() @ (2 * weight.abs() + delta.abs()).T + (0 if bias is None else 2 * bias.abs())
    # Rounding W + delta once, then two outputs of d_key + 1 terms each and their difference.
    bound = (2 * (adapter.d_key + 1) + 2) * torch.finfo(torch.float64).eps * size
    assert ((moved - keys @ delta.T).abs() <= bound).all()
    assert_same_bits(adapter, before)


def test_module_change_of_a_float32_model_promoted_is_that_of_its_weights_in_float64():
    adapter = Adapter(tiny_model("gpt2", dtype=torch.float32))
    before = bits(adapter)
    keys, delta = drawn(4, adapter.d_key), drawn(adapter.d_value, adapter.d_key, seed=3)
    with promoted(adapter, 0):
        moved = module_change(adapter, 0, delta, keys)
    torch.testing.assert_close(moved, keys @ delta.T, rtol=1e-13, atol=1e-13)
    rounded = module_change(adapter, 0, delta, keys)
    assert rounded.dtype == torch.float64
    assert not torch.allclose(rounded, moved, rtol=1e-10, atol=1e-10), "without promotion it is float32"
    assert_same_bits(adapter, before)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_nested_edits_of_any_family_and_dtype_restore_each_others_bits(model_type):
    for dtype in DTYPES:
        adapter = Adapter(tiny_model(model_type, dtype=dtype))
        before = bits(adapter)
        delta = drawn(adapter.d_value, adapter.d_key)
        with edited(adapter, 0, delta):
            outer = bits(adapter)
            with pytest.raises(ValueError, match="inside"), edited(adapter, 1, delta):
                raise ValueError("inside")
            assert_same_bits(adapter, outer)
        assert_same_bits(adapter, before)
