"""Checkpoints from folders: the asked dtype, a fingerprint of the weights, and refusals in one sentence."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from checkpoints import rewritten
from errors import refused
from tiny_models import CONTEXT_LENGTH, byte_level_tokenizer, save_tiny_checkpoint, tiny_config, tiny_model

from ks_core.errors import AssetError, InputError
from ks_core.models.fingerprint import config_sha256, tokenizer_sha256, weights_sha256
from ks_core.models.loading import load_model


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("llama"))


def test_load_model_describes_what_it_loaded(checkpoint):
    loaded = load_model(checkpoint)
    assert not loaded.model.training
    assert (loaded.name, loaded.revision, loaded.dtype) == (str(checkpoint), None, "float32")
    assert loaded.context_length == loaded.adapter.context_length == CONTEXT_LENGTH
    assert loaded.tokenizer.is_fast
    assert loaded.adapter.num_layers == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        loaded.name = "other"


def test_load_model_gives_the_saved_weights(checkpoint):
    loaded, original = load_model(str(checkpoint)), tiny_model("llama", dtype=torch.float32)
    for name, parameter in original.named_parameters():
        assert torch.equal(loaded.model.get_parameter(name), parameter)
    assert loaded.weights_sha256 == weights_sha256(original)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_load_model_dtype_is_the_one_asked_for_not_the_stored_one(tmp_path, dtype):
    save_tiny_checkpoint(tmp_path, dtype=torch.bfloat16)
    loaded = load_model(tmp_path, dtype=dtype)
    assert {str(parameter.dtype) for parameter in loaded.model.parameters()} == {f"torch.{dtype}"}
    assert loaded.dtype == dtype


def test_weights_sha256_is_independent_of_the_file_format(checkpoint, tmp_path):
    sharded = tmp_path / "sharded"
    load_model(checkpoint).model.save_pretrained(sharded, max_shard_size="4KB")
    byte_level_tokenizer().save_pretrained(sharded)
    assert len(list(sharded.glob("*.safetensors"))) > 1
    assert load_model(sharded).weights_sha256 == load_model(checkpoint).weights_sha256


@pytest.mark.parametrize(
    "fault",
    [
        lambda layers: layers[0].mlp.down_proj.weight.view(torch.int32)[0, 0].bitwise_xor_(1),  # one last bit
        lambda layers: layers[0].mlp.down_proj.weight.copy_(layers[1].mlp.down_proj.weight),
        lambda layers: _swap(layers[0].mlp.gate_proj, layers[0].mlp.up_proj),  # same bytes under other names
    ],
    ids=["bit", "copy", "swap"],
)
def test_weights_sha256_sees_any_change_of_values_and_names(fault):
    model = tiny_model("llama", dtype=torch.float32)
    before = weights_sha256(model)
    with torch.no_grad():
        fault(model.model.layers)
    assert weights_sha256(model) != before


def _swap(first: torch.nn.Linear, second: torch.nn.Linear) -> None:
    first.weight, second.weight = second.weight, first.weight


def test_weights_sha256_sees_shape_and_dtype():
    model = torch.nn.Linear(4, 3, bias=False)
    torch.nn.init.zeros_(model.weight)
    other = torch.nn.Linear(3, 4, bias=False)
    torch.nn.init.zeros_(other.weight)
    assert len({weights_sha256(model), weights_sha256(other), weights_sha256(model.half())}) == 3


def test_tokenizer_sha256_sees_the_vocabulary_but_not_padding():
    tokenizer = byte_level_tokenizer()
    before = tokenizer_sha256(tokenizer)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer(["one", "one two three"], padding=True, truncation=True, max_length=3)
    assert tokenizer_sha256(tokenizer) == before
    assert tokenizer_sha256(byte_level_tokenizer(single_digits=True)) != before
    tokenizer.add_tokens(["Mayakovsky"])
    assert tokenizer_sha256(tokenizer) != before


@pytest.mark.parametrize(("setting", "value"), [("truncation_side", "left"), ("split_special_tokens", True)])
def test_tokenizer_sha256_sees_settings_outside_the_tokenizer_file(setting, value):
    tokenizer = byte_level_tokenizer()
    before = tokenizer_sha256(tokenizer)
    encoded = tokenizer("one <s> two three", truncation=True, max_length=5)["input_ids"]
    setattr(tokenizer, setting, value)
    assert tokenizer("one <s> two three", truncation=True, max_length=5)["input_ids"] != encoded
    assert tokenizer_sha256(tokenizer) != before


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"rms_norm_eps": 1e-3},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
        {"num_attention_heads": 1, "head_dim": 8, "num_key_value_heads": 1},
        {"max_position_embeddings": 32},
    ],
    ids=lambda change: next(iter(change)),
)
def test_config_sha256_sees_settings_that_no_weight_shows(change):
    config = tiny_config("llama")
    before = config_sha256(config)
    config.update(change)
    assert config_sha256(config) != before


def test_config_sha256_is_of_the_loaded_model_whatever_its_folder_dtype_and_labels(checkpoint, tmp_path):
    stored = json.loads((checkpoint / "config.json").read_text())
    labels = {"dtype": "bfloat16", "transformers_version": "5.0.0", "use_cache": False, "architectures": ["Another"]}
    relabelled = rewritten(checkpoint, tmp_path, config_json=json.dumps(stored | labels).encode())
    loaded = load_model(checkpoint)
    assert loaded.config_sha256 == load_model(checkpoint).config_sha256
    assert load_model(relabelled, dtype="float64").config_sha256 == loaded.config_sha256


def test_models_of_equal_weights_and_another_activation_differ_in_their_config_only(checkpoint, tmp_path):
    stored = json.loads((checkpoint / "config.json").read_text()) | {"hidden_act": "gelu"}
    one, other = (
        load_model(checkpoint),
        load_model(rewritten(checkpoint, tmp_path, config_json=json.dumps(stored).encode())),
    )
    assert other.weights_sha256 == one.weights_sha256
    assert other.config_sha256 != one.config_sha256


def test_load_model_prints_nothing_when_not_at_a_terminal(checkpoint, capfd):
    load_model(checkpoint)
    assert capfd.readouterr() == ("", "")


def test_load_model_refuses_a_folder_that_is_not_there():
    with refused(InputError, what="'/no/such/folder'", remedy="smollm2-135m-instruct"):
        load_model("/no/such/folder")


def test_load_model_refuses_a_folder_without_a_checkpoint(tmp_path):
    with refused(InputError, what=str(tmp_path), expected="config.json"):
        load_model(tmp_path)


def test_load_model_refuses_a_folder_without_safetensors(checkpoint, tmp_path):
    folder = rewritten(checkpoint, tmp_path, model_safetensors=None)
    with refused(InputError, expected=("config.json", "tokenizer.json", "*.safetensors")):
        load_model(folder)


def test_load_model_does_not_blame_pickles_that_lie_beside_damaged_safetensors(checkpoint, tmp_path):
    folder = rewritten(checkpoint, tmp_path, model_safetensors=b"damaged")
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="expected an undamaged checkpoint"):
        load_model(folder)


def test_load_model_refuses_truncated_weights(checkpoint, tmp_path):
    content = (checkpoint / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match=r"cannot be loaded: .*expected an undamaged checkpoint"):
        load_model(rewritten(checkpoint, tmp_path, model_safetensors=content[:-100]))


def test_load_model_refuses_a_damaged_tokenizer(checkpoint, tmp_path):
    with pytest.raises(InputError, match="cannot be loaded"):
        load_model(rewritten(checkpoint, tmp_path, tokenizer_json=b'{"model":'))


def test_load_model_refuses_an_unknown_family_before_its_weights(checkpoint, tmp_path):
    folder = rewritten(checkpoint, tmp_path, config_json=b'{"model_type": "mamba"}', model_safetensors=None)
    with pytest.raises(InputError, match="'mamba' is not known; expected one of"):
        load_model(folder)


def test_load_model_never_runs_code_of_a_checkpoint(checkpoint, tmp_path):
    config = json.loads((checkpoint / "config.json").read_text())
    config |= {"model_type": "their_own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}}
    folder = rewritten(checkpoint, tmp_path, config_json=json.dumps(config).encode())
    (folder / "own.py").write_text("raise SystemExit('this code must not run')\n")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_model(folder)


def test_load_model_takes_a_hub_id_from_the_hub_cache_and_records_the_commit(checkpoint, monkeypatch, tmp_path):
    commit = "0123456789abcdef" * 2 + "01234567"
    repository = tmp_path / "models--someone--some-model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots" / commit).mkdir(parents=True)
    rewritten(checkpoint, repository / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for revision in (None, "main", commit):
        loaded = load_model("someone/some-model", revision=revision)
        assert loaded.revision == commit
        assert loaded.weights_sha256 == load_model(checkpoint).weights_sha256


def test_load_model_says_in_one_sentence_that_the_hub_cannot_be_reached(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with refused(AssetError, what="someone/some-model", remedy="packaged model"):
        load_model("someone/some-model", revision="v1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int8"}, "dtype is 'int8'; expected one of float32"),
        ({"device": "nowhere"}, "device 'nowhere' cannot be used here"),
        ({"device": "meta"}, "device 'meta' cannot be used here: .*; 'cpu' always can"),
        ({"device": "cuda:99"}, "device 'cuda:99' cannot be used here"),
        ({"revision": "main"}, "is not a hub model, so revision 'main' means nothing"),
    ],
)
def test_load_model_refuses_options_that_cannot_be_met(checkpoint, options, message):
    with pytest.raises(InputError, match=message):
        load_model(checkpoint, **options)


def test_load_model_refuses_a_revision_of_a_packaged_model():
    with pytest.raises(InputError, match="smollm2-135m-instruct is not a hub model"):
        load_model("smollm2-135m-instruct", revision="main")
