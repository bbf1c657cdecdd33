"""Models that are in memory already: the same `LoadedModel` as from a folder, with the same refusals."""

from pathlib import Path

import pytest
import torch
from errors import refused
from measured import write_facts
from tiny_models import byte_level_tokenizer, save_tiny_checkpoint, tiny_model
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Model

from ks_core.data.facts import load_facts
from ks_core.errors import InputError
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.known import known_facts
from ks_core.measurement.values import target_values
from ks_core.models.loading import load_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def model():
    return tiny_model("llama", dtype=torch.float32)


def test_model_in_memory_is_the_one_that_is_loaded_from_its_folder(folder):
    in_memory = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    wrapped, loaded = load_model(in_memory, AutoTokenizer.from_pretrained(folder)), load_model(folder)
    assert wrapped.fingerprints == loaded.fingerprints
    assert (wrapped.name, wrapped.revision) == (str(folder), None)
    assert wrapped.model is in_memory
    assert all(parameter.requires_grad for parameter in in_memory.parameters()), "nothing of it is changed"


def test_numbers_of_a_model_in_memory_are_those_of_the_loaded_one(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))
    facts = load_facts(write_facts(tmp_path / "facts.json"))
    wrapped = load_model(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), byte_level_tokenizer())
    loaded = load_model(folder)
    for layer, keys in subject_keys(loaded, facts).items():
        assert torch.equal(keys, subject_keys(wrapped, facts)[layer])
    of_both = [target_values(of, facts.facts[:3], layer=1) for of in (wrapped, loaded)]
    assert torch.equal(of_both[0].values, of_both[1].values)
    assert known_facts(wrapped, facts) == known_facts(loaded, facts)


def test_loaded_model_passes_through_unchanged(folder):
    loaded = load_model(folder)
    assert load_model(loaded) is loaded


@pytest.mark.parametrize("option", [{"dtype": "float64"}, {"device": "cpu"}, {"revision": "main"}])
def test_options_that_mean_nothing_are_refused(folder, model, option):
    name = next(iter(option))
    with pytest.raises(InputError, match=f"{name} was given with a model in memory"):
        load_model(model, byte_level_tokenizer(), **option)
    with pytest.raises(InputError, match=f"{name} was given with a model that is loaded already"):
        load_model(load_model(folder), **option)


def test_tokenizer_beside_a_name_is_refused(folder):
    with pytest.raises(InputError, match="tokenizer was given with a model that is loaded by name"):
        load_model(folder, byte_level_tokenizer())


def test_model_without_a_tokenizer_is_told_to_bring_it(model):
    with refused(InputError, got="no tokenizer", remedy="load_model(model, tokenizer)"):
        load_model(model)
    with pytest.raises(InputError, match="was given with 'gpt2' for a tokenizer"):
        load_model(model, "gpt2")


@pytest.mark.parametrize("nothing", [None, 5, torch.nn.Linear(2, 2), b"gpt2"])
def test_what_is_no_model_is_refused(nothing):
    with pytest.raises(InputError, match="expected a name, a folder, a transformers model"):
        load_model(nothing)


def _train(model):
    model.train()


def _train_a_part(model):
    model.model.layers[1].train()


def _hook(model):
    model.model.layers[0].register_forward_hook(lambda _module, _inputs, output: output)


def _nan(model):
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[0, 0] = float("nan")


def _quantise(model):
    model.config.quantization_config = {"quant_method": "gptq"}


def _move_to_meta(model):
    model.model.layers[1].mlp.down_proj.to("meta")


def _no_context(model):
    model.config.max_position_embeddings = 0


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (_train, "is in training mode.*call model.eval"),
        (_train_a_part, "is in training mode"),
        (_hook, "has the hook .*remove it"),
        (_nan, r"1 of \d+ values of model.layers.1.mlp.up_proj.weight of LlamaForCausalLM are NaN"),
        (_quantise, "LlamaForCausalLM is quantised by 'gptq'"),
        (_move_to_meta, "weights on the meta device"),
        (_no_context, "max_position_embeddings in the config of LlamaForCausalLM is 0"),
    ],
)
def test_planted_fault_in_a_model_in_memory_is_refused(model, fault, message):
    load_model(model, byte_level_tokenizer())
    fault(model)
    with pytest.raises(InputError, match=message):
        load_model(model, byte_level_tokenizer())


def test_tokens_without_a_row_are_refused(model):
    tokenizer = byte_level_tokenizer()
    tokenizer.add_tokens([f"<extra{number}>" for number in range(200)])
    with pytest.raises(InputError, match=r"token ids up to .* but its embedding has 512 rows"):
        load_model(model, tokenizer)


def test_backbone_without_its_head_is_refused():
    with pytest.raises(InputError, match="expected an unwrapped model from AutoModelForCausalLM"):
        load_model(GPT2Model(tiny_model("gpt2").config).eval(), byte_level_tokenizer())
