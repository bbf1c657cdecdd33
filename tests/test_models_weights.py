"""The numbers of a model in memory: finite, in the asked type, and one head where one is meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from checkpoints import with_settings, with_tensors
from errors import refused
from safetensors.torch import load_file
from tiny_models import save_tiny_checkpoint

from ks_core.errors import InputError
from ks_core.models.loading import load_model

DOWN = "model.layers.1.mlp.down_proj.weight"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("llama"))


def changed(checkpoint: Path, folder: Path, name: str, place: int, value: float) -> Path:
    tensor = load_file(checkpoint / "model.safetensors")[name].clone()
    tensor.view(-1)[place] = value
    return with_tensors(checkpoint, folder, {name: tensor})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", [DOWN, "model.norm.weight", "model.embed_tokens.weight", "lm_head.weight"])
@pytest.mark.parametrize("place", [0, 5, -1])
def test_load_model_names_a_weight_that_is_not_finite(checkpoint, tmp_path, value, name, place):
    with refused(InputError, what=("1 of ", name), got=("NaN or infinite", "float32")):
        load_model(changed(checkpoint, tmp_path / "damaged", name, place, value))


def test_load_model_counts_what_is_not_finite(checkpoint, tmp_path):
    weight = torch.full((8, 12), float("nan"))
    with pytest.raises(InputError, match=rf"^96 of 96 values of {DOWN}"):
        load_model(with_tensors(checkpoint, tmp_path / "damaged", {DOWN: weight}))


@pytest.mark.parametrize(("dtype", "value"), [("float16", 7e4), ("bfloat16", 3.4e38)])
def test_load_model_refuses_a_dtype_that_does_not_hold_the_weights(checkpoint, tmp_path, dtype, value):
    folder = changed(checkpoint, tmp_path / "large", DOWN, 3, value)
    assert load_model(folder).adapter.weight(1).abs().max() == torch.tensor(value)
    with refused(InputError, what=DOWN, got=("infinite", dtype), remedy="a dtype that holds its values"):
        load_model(folder, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_load_model_takes_large_finite_weights(checkpoint, tmp_path, dtype):
    large = torch.finfo(getattr(torch, dtype)).max
    tensor = load_file(checkpoint / "model.safetensors")[DOWN].to(getattr(torch, dtype))
    tensor[:] = large  # their sum is infinite
    loaded = load_model(with_tensors(checkpoint, tmp_path / "large", {DOWN: tensor}), dtype=dtype)
    assert (loaded.adapter.weight(1) == large).all()


def test_load_model_refuses_rotary_frequencies_that_are_not_finite(checkpoint, tmp_path):
    settings = {"rope_parameters": {"rope_type": "default", "rope_theta": 0.0}}
    with pytest.raises(InputError, match=r"rotary_emb\.inv_freq .*infinite"):
        load_model(with_settings(checkpoint, tmp_path / "theta", **settings))


def test_load_model_takes_a_tied_head_that_is_stored_too(tmp_path):
    plain = save_tiny_checkpoint(tmp_path / "plain", "gpt2")
    embedding = load_file(plain / "model.safetensors")["transformer.wte.weight"].clone()
    loaded = load_model(with_tensors(plain, tmp_path / "both", {"lm_head.weight": embedding}))
    assert loaded.weights_sha256 == load_model(plain).weights_sha256
    assert loaded.model.lm_head.weight is loaded.model.transformer.wte.weight


def test_load_model_takes_the_one_tensor_of_a_tied_pair_by_either_name(tmp_path):
    plain = save_tiny_checkpoint(tmp_path / "plain", "gpt2")
    embedding = load_file(plain / "model.safetensors")["transformer.wte.weight"]
    other = with_tensors(plain, tmp_path / "head", {"transformer.wte.weight": None, "lm_head.weight": embedding})
    loaded = load_model(other)
    assert loaded.weights_sha256 == load_model(plain).weights_sha256


def test_load_model_refuses_a_head_of_its_own_where_config_ties_it(tmp_path):
    plain = save_tiny_checkpoint(tmp_path / "plain", "gpt2")
    head = load_file(plain / "model.safetensors")["transformer.wte.weight"].clone()
    head[0, 0] += 1
    folder = with_tensors(plain, tmp_path / "two", {"lm_head.weight": head})
    with refused(InputError, got=("different values", "lm_head.weight"), remedy="tie_word_embeddings"):
        load_model(folder)
    untied = load_model(with_settings(folder, tmp_path / "untied", tie_word_embeddings=False))
    assert torch.equal(untied.model.lm_head.weight, head)


def _pickled(folder, change):
    """A float32 checkpoint as pytorch_model.bin, changed before it is saved; returns what was saved."""
    save_tiny_checkpoint(folder, "gpt2")
    state = {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}
    (folder / "model.safetensors").unlink()
    change(state)
    torch.save(state, folder / "pytorch_model.bin")
    return state


FIRST, SECOND = (f"transformer.h.{layer}.mlp.c_proj.weight" for layer in (0, 1))


def _aliased(state):
    state[SECOND] = state[FIRST]


def _overlapping_views(state):
    both = torch.randn(state[FIRST].numel() + 1)
    state[FIRST], state[SECOND] = both[:-1].view(state[FIRST].shape), both[1:].view(state[FIRST].shape)


def _expanded(state):
    state[FIRST] = torch.ones(1, 1).expand(state[FIRST].shape)


@pytest.mark.parametrize("change", [_aliased, _overlapping_views, _expanded])
def test_tensors_that_share_memory_in_a_pickle_are_loaded_apart(tmp_path, change):
    saved = {name: value.clone() for name, value in _pickled(tmp_path, change).items()}
    raw = (tmp_path / "pytorch_model.bin").read_bytes()
    adapter = load_model(tmp_path).adapter
    assert torch.equal(adapter.weight(0), saved[FIRST].T)
    adapter.weight(0).add_(1)
    assert torch.equal(adapter.weight(0), saved[FIRST].T + 1)
    assert torch.equal(adapter.weight(1), saved[SECOND].T)
    assert (tmp_path / "pytorch_model.bin").read_bytes() == raw


def test_a_checkpoint_with_more_layers_than_its_config_is_not_said_to_have_biases_too_many(tmp_path):
    save_tiny_checkpoint(tmp_path, "gpt2")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"n_layer": 1}))
    with refused(InputError, what="12 tensors", got="h.1.attn", remedy="config.json"):
        load_model(tmp_path)
