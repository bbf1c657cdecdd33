"""What config.json alone tells: quantised weights, adapters, context lengths; refused before any weight is read."""

from __future__ import annotations

import pytest
from checkpoints import rewritten, with_settings
from errors import refused
from tiny_models import save_tiny_checkpoint

from ks_core.errors import InputError
from ks_core.models.loading import load_model
from ks_core.models.settings import load_config
from ks_core.models.sources import source_of


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_tiny_checkpoint(tmp_path_factory.mktemp("llama"))


@pytest.mark.parametrize(
    ("entry", "method"),
    [
        ({"quant_method": "gptq", "bits": 4}, "'gptq'"),
        ({"quant_method": "fp8", "activation_scheme": "static"}, "'fp8'"),
        ({"quant_method": "their_own"}, "'their_own'"),
        ({"quant_method": "x" * 100_000}, "'xxx"),
        ({"quant_method": None}, "None"),
        ({"quant_method": ["awq"]}, r"\['awq'\]"),
        ({"load_in_8bit": True}, "'bitsandbytes'"),
        ({"bits": 4}, r"a method without a name, \{'bits': 4\}"),
        ({}, r"a method without a name, \{\}"),
        ("int8", "'int8'"),
        ([], r"\[\]"),
        (8, "8"),
        (False, "False"),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["quantization_config", "compression_config"])
def test_load_model_refuses_quantised_weights_by_the_name_of_their_method(checkpoint, tmp_path, name, entry, method):
    folder = with_settings(checkpoint, tmp_path / "quantised", **{name: entry})
    (folder / "model.safetensors").unlink()  # the weights are not looked at
    with pytest.raises(InputError, match=rf"is quantised by {method}.*\({name} in its config\)") as caught:
        load_model(folder)
    assert len(str(caught.value)) < 600


def test_load_model_takes_a_config_that_says_that_nothing_is_quantised(checkpoint, tmp_path):
    folder = with_settings(checkpoint, tmp_path / "plain", quantization_config=None)
    assert load_model(folder).weights_sha256 == load_model(checkpoint).weights_sha256


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"])
@pytest.mark.parametrize("base", [True, False], ids=["beside", "alone"])
def test_load_model_refuses_an_adapter(checkpoint, tmp_path, name, base):
    folder = tmp_path / "adapted"
    folder.mkdir()
    if base:
        rewritten(checkpoint, folder)
    (folder / name).write_text('{"base_model_name_or_path": "owner/model", "peft_type": "LORA"}')
    with pytest.raises(InputError, match=rf"holds an adapter \({name}\), .* merge_and_unload"):
        load_model(folder)


def test_load_model_refuses_weights_that_config_names_itself(checkpoint, tmp_path):
    folder = with_settings(checkpoint, tmp_path / "named", transformers_weights="other.safetensors")
    with refused(InputError, what="transformers_weights", got="'other.safetensors'", expected="model.safetensors"):
        load_model(folder)


@pytest.mark.parametrize("length", [-1, 0, "64", None, True, 1.5, [64], 10**30 * -1], ids=str)
@pytest.mark.parametrize(("family", "name"), [("llama", "max_position_embeddings"), ("gpt2", "n_positions")])
def test_load_config_refuses_a_context_that_holds_no_token(tmp_path, family, name, length):
    folder = save_tiny_checkpoint(tmp_path / "whole", family)
    folder = with_settings(folder, tmp_path / "short", **{name: length})
    with pytest.raises(InputError, match=name) as caught:
        load_config(source_of(str(folder), None))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ({"vocab_size": "many"}, "'vocab_size'.*expected int, got str"),
        ({"num_attention_heads": 3}, "not a multiple of the number of attention heads"),
        ({"hidden_act": "nonsense"}, "KeyError 'nonsense'"),
    ],
    ids=str,
)
def test_load_model_gives_the_cause_that_transformers_gives_on_one_line(checkpoint, tmp_path, settings, cause):
    with pytest.raises(InputError, match=f"cannot be loaded: .*{cause}") as caught:
        load_model(with_settings(checkpoint, tmp_path / "odd", **settings))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("content", [b"[]", b"5", b"null", b'"text"'])
def test_load_config_refuses_what_is_no_object(checkpoint, tmp_path, content):
    folder = rewritten(checkpoint, tmp_path / "list", config_json=content)
    with pytest.raises(InputError, match=r"config\.json of .* is .*; expected a JSON object"):
        load_config(source_of(str(folder), None))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}", b"\0"])
def test_load_config_refuses_a_damaged_file_in_one_line(checkpoint, tmp_path, content):
    folder = rewritten(checkpoint, tmp_path / "damaged", config_json=content)
    with pytest.raises(InputError, match="cannot be loaded") as caught:
        load_config(source_of(str(folder), None))
    assert len(str(caught.value).splitlines()) == 1


def test_load_model_refuses_an_entry_of_config_that_comes_twice(tmp_path):
    folder = save_tiny_checkpoint(tmp_path / "model")
    config = folder / "config.json"
    config.write_text(config.read_text().replace("{", '{"hidden_act": "gelu",', 1))
    with pytest.raises(InputError, match="key 'hidden_act' comes twice in one object"):
        load_model(folder)
