"""Every tensor of a checkpoint is used, is known to be harmless, or the model is refused and the tensors named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from checkpoints import with_settings, with_tensors
from errors import refused
from safetensors.torch import load_file
from tiny_models import D_VALUE, save_tiny_checkpoint, tiny_config, tiny_model
from transformers import AutoModelForCausalLM

from ks_core.errors import InputError
from ks_core.models.architectures import FAMILIES
from ks_core.models.fingerprint import weights_sha256
from ks_core.models.loading import load_model
from ks_core.models.placing import HARMLESS, StoredTensor, place

D_KEY = 12
MLP = "model.layers.0.mlp.down_proj"
MASK = torch.ones(1, 1, 4, 4, dtype=torch.bool).tril()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("llama"))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_load_model_puts_every_tensor_of_every_family_in_its_place(tmp_path, family):
    save_tiny_checkpoint(tmp_path, family, dtype=torch.float32)
    assert load_model(tmp_path).weights_sha256 == weights_sha256(tiny_model(family, dtype=torch.float32))


@pytest.mark.parametrize(
    ("tensors", "named", "hint"),
    [
        ({f"{MLP}.bias": torch.ones(D_VALUE)}, f"1 tensors .*: {MLP}.bias", "no such biases"),
        (
            {f"{MLP}.lora_A.weight": torch.ones(2, D_KEY), f"{MLP}.lora_B.weight": torch.ones(D_VALUE, 2)},
            f"2 tensors .*: {MLP}.lora_A.weight, {MLP}.lora_B.weight",
            "merge_and_unload",
        ),
        (
            {f"{MLP}.weight": torch.ones(D_VALUE, D_KEY, dtype=torch.int8), f"{MLP}.weight_scale": torch.ones(1)},
            f"{MLP}.weight_scale",
            "quantised",
        ),
        (
            {
                f"{MLP}.weight": torch.ones(D_VALUE, D_KEY).to(torch.float8_e4m3fn),
                f"{MLP}.weight_scale_inv": torch.ones(1),
            },
            f"{MLP}.weight_scale_inv",
            "quantised",
        ),
        ({"model.layers.2.mlp.down_proj.weight": torch.ones(D_VALUE, D_KEY)}, r"model\.layers\.2\.mlp", "describe"),
        ({"score.weight": torch.ones(2, D_VALUE)}, "score.weight", "describe"),
        ({"model.layers.0.self_attn.bias": torch.ones(4)}, "self_attn.bias", "no such biases"),
        ({f"x{i}": torch.ones(1) for i in range(9)}, "9 tensors .*: x0, x1, x2 and 6 more", "describe"),
        ({"two\nlines": torch.ones(1)}, r"two\\nlines", "describe"),
    ],
    ids=["mlp_bias", "lora", "int8", "float8", "layer", "head", "attention", "many", "name"],
)
def test_load_model_refuses_tensors_without_a_place(checkpoint, tmp_path, tensors, named, hint):
    with refused(InputError, what="LlamaForCausalLM", remedy=hint) as caught:
        load_model(with_tensors(checkpoint, tmp_path / "more", tensors))
    assert re.search(named, str(caught.value))
    assert str(caught.value).isprintable()


def test_load_model_takes_mlp_biases_that_config_speaks_of(checkpoint, tmp_path):
    sizes = {"gate_proj": D_KEY, "up_proj": D_KEY, "down_proj": D_VALUE}
    biases = {
        f"model.layers.{layer}.mlp.{name}.bias": torch.full((size,), 0.25)
        for layer in (0, 1)
        for name, size in sizes.items()
    }
    with_tensors(checkpoint, tmp_path / "more", biases)
    loaded = load_model(with_settings(tmp_path / "more", tmp_path / "said", mlp_bias=True))
    assert loaded.adapter.bias(1).tolist() == [0.25] * D_VALUE


@pytest.mark.parametrize(
    ("family", "tensors"),
    [
        ("gpt2", {"transformer.h.0.attn.bias": MASK, "h.1.attn.masked_bias": torch.tensor(-1e4)}),
        ("gptj", {"transformer.h.1.attn.bias": MASK, "transformer.h.1.attn.masked_bias": torch.tensor(-1e9)}),
        ("gpt_neo", {"transformer.h.0.attn.attention.bias": MASK,
                     "transformer.h.0.attn.attention.masked_bias": torch.tensor([-1e9])}),
        ("gpt_neox", {"gpt_neox.layers.0.attention.bias": MASK,
                      "gpt_neox.layers.0.attention.masked_bias": torch.tensor(-1e9),
                      "gpt_neox.layers.0.attention.rotary_emb.inv_freq": torch.ones(2)}),
        ("codegen", {"transformer.h.0.attn.causal_mask": MASK.to(torch.uint8)}),
        ("llama", {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(2)}),
        ("falcon", {"transformer.h.0.self_attention.rotary.inv_freq": torch.ones(2)}),
        ("opt", {"lm_head.weight": None}),
        ("llama", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_load_model_takes_old_files_with_tensors_that_the_model_computes_itself(tmp_path, family, tensors):
    plain = save_tiny_checkpoint(tmp_path / "plain", family)
    old = with_tensors(plain, tmp_path / "old", tensors)
    assert load_model(old).weights_sha256 == load_model(plain).weights_sha256


def test_every_harmless_tensor_has_a_reason():
    assert all(len(kind.reason) > 20 for kind in HARMLESS)


@pytest.mark.parametrize(
    ("family", "tensors"),
    [
        ("gpt2", {"transformer.h.0.attn.bias": torch.ones(D_VALUE)}),
        ("gpt_neox", {"gpt_neox.layers.0.attention.bias": torch.ones(3 * D_VALUE)}),
        ("gpt_neox", {"gpt_neox.layers.0.attention.bias.lora_A": torch.ones(1, 1, 2, 2)}),
        ("gpt2", {"transformer.h.0.crossattention.bias": MASK}),
        ("llama", {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(2, 2)}),
        ("llama", {"model.layers.0.self_attn.rotary_emb.inv_freq_scale": torch.ones(2)}),
    ],
)
def test_load_model_refuses_tensors_that_only_look_like_harmless_ones(tmp_path, family, tensors):
    plain = save_tiny_checkpoint(tmp_path / "plain", family)
    with pytest.raises(InputError, match=f"has no place for: {next(iter(tensors))}"):
        load_model(with_tensors(plain, tmp_path / "old", tensors))


@pytest.mark.parametrize("family", ["gpt2", "opt", "gpt_neox"])
def test_load_model_takes_names_without_the_prefix_of_the_model_without_its_head(tmp_path, family):
    plain = save_tiny_checkpoint(tmp_path / "plain", family)
    prefix = f"{tiny_model(family).base_model_prefix}."
    stored = load_file(plain / "model.safetensors")
    renamed = dict.fromkeys(stored) | {name.removeprefix(prefix): tensor for name, tensor in stored.items()}
    bare = with_tensors(plain, tmp_path / "bare", renamed)
    assert load_model(bare).weights_sha256 == load_model(plain).weights_sha256


def test_load_model_refuses_two_tensors_for_one_place(tmp_path):
    plain = save_tiny_checkpoint(tmp_path / "plain", "gpt2")
    with pytest.raises(InputError, match=r"holds transformer\.ln_f\.weight twice, as "):
        load_model(with_tensors(plain, tmp_path / "two", {"ln_f.weight": torch.zeros(D_VALUE)}))


def test_load_model_names_what_is_missing(checkpoint, tmp_path):
    gone = {f"{MLP}.weight": None, "model.norm.weight": None}
    with refused(InputError, what="lack 2 parameters", got=(f"{MLP}.weight", "model.norm.weight")):
        load_model(with_tensors(checkpoint, tmp_path / "less", gone))


@pytest.mark.parametrize(
    ("settings", "name", "stored", "expected"),
    [
        ({"intermediate_size": 16}, MLP, "(8, 12)", "(8, 16)"),
        ({"vocab_size": 500}, "model.embed_tokens", "(512, 8)", "(500, 8)"),
        ({"num_key_value_heads": 2}, "model.layers.0.self_attn.k_proj", "(4, 8)", "(8, 8)"),
    ],
)
def test_load_model_names_a_tensor_of_another_shape_and_both_shapes(
    checkpoint, tmp_path, settings, name, stored, expected
):
    with pytest.raises(InputError) as caught:
        load_model(with_settings(checkpoint, tmp_path / "other", **settings))
    message = str(caught.value)
    assert stored in message
    assert expected in message
    assert ".weight of " in message
    assert name.rsplit(".", 1)[0] in message


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [
        (torch.int8, "I8"),
        (torch.uint8, "U8"),
        (torch.int32, "I32"),
        (torch.float8_e4m3fn, "F8_E4M3"),
        (torch.float8_e5m2, "F8_E5M2"),
        (torch.bool, "BOOL"),
    ],
)
def test_load_model_refuses_weights_that_are_not_stored_as_numbers(checkpoint, tmp_path, dtype, stored):
    weights = {f"{MLP}.weight": torch.ones(D_VALUE, D_KEY).to(dtype)}
    with refused(InputError, what=f"{MLP}.weight", got=stored, expected="float32", remedy="quantised"):
        load_model(with_tensors(checkpoint, tmp_path / "whole", weights))


def test_place_is_a_function_of_names_shapes_and_types_alone():
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(tiny_config("gpt2"))
    stored = {name: StoredTensor(tuple(tensor.shape), "bfloat16", None) for name, tensor in model.state_dict().items()}
    assert place(stored, model, "here") == {name: name for name in stored}
    del stored["lm_head.weight"]
    assert "lm_head.weight" not in place(stored, model, "here")
    del stored["transformer.wte.weight"]
    with refused(InputError, what="lack 2 parameters", got=("transformer.wte.weight", "lm_head")):
        place(stored, model, "here")
