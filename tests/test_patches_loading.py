"""Changed models from adapters that PEFT wrote: what they are, what is left of them, and which are refused."""

import json
import shutil
from contextlib import suppress

import pytest
import torch
from adapters import lora, write_adapter
from errors import refused
from peft import IA3Config, LoHaConfig, PromptTuningConfig
from safetensors.torch import load_file, save_file
from tiny_models import byte_level_tokenizer, save_tiny_checkpoint, tiny_model

from ks_core.errors import InputError
from ks_core.models.loading import load_model
from ks_core.patches.loading import changed_model

FAMILIES = ("gpt2", "gpt_neox", "llama")
U = torch.finfo(torch.float32).eps


def in_memory(model_type, **settings):
    return load_model(tiny_model(model_type, dtype=torch.float32, **settings), byte_level_tokenizer())


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    model = in_memory("llama")
    return model, write_adapter(tmp_path_factory.mktemp("lora") / "adapter", model.model, lora("llama"))


@pytest.mark.parametrize("model_type", FAMILIES)
def test_an_adapter_is_merged_as_its_factors_say_and_the_base_is_put_back(model_type, tmp_path):
    model = in_memory(model_type)
    folder = write_adapter(tmp_path / "adapter", model.model, lora(model_type))
    before, weight = model.fingerprints, model.adapter.weight(0).clone()
    factors = load_file(folder / "adapter_model.safetensors")
    left, right = (next(of for name, of in factors.items() if part in name) for part in ("lora_B", "lora_A"))
    with changed_model(model, folder) as changed:
        delta = changed.model.adapter.weight(0) - weight
        assert torch.allclose(delta, left @ right, rtol=0, atol=4 * U * float(weight.abs().max()))
        assert delta.norm() > 0
        moved = [name for name, of in changed.before.items() if not torch.equal(of, changed.after[name])]
        assert moved == [f"{model.adapter.layer_name(0)}.weight"]
    assert model.fingerprints == before


@pytest.mark.parametrize(
    "config",
    [
        lora("llama", bias="all"),
        lora("llama", init_lora_weights="pissa"),
        lora("llama", use_dora=True),
        lora("llama", modules_to_save=["lm_head"]),
        LoHaConfig(r=2, target_modules=["down_proj", "q_proj"]),
        IA3Config(target_modules=["down_proj", "k_proj"], feedforward_modules=["down_proj"]),
    ],
    ids=["bias", "pissa", "dora", "saved-modules", "loha", "ia3"],
)
def test_the_base_is_put_back_after_any_type_of_adapter_and_any_error(config, tmp_path):
    model = in_memory("llama")
    folder = write_adapter(tmp_path / "adapter", model.model, config)
    before, names = model.fingerprints, [name for name, _ in model.model.named_modules()]
    flags = [of.requires_grad for of in model.model.parameters()]
    changed = ""
    with suppress(ZeroDivisionError), changed_model(model, folder) as of:
        changed = of.model.weights_sha256
        raise ZeroDivisionError
    assert changed != before[0]
    assert model.fingerprints == before
    assert [name for name, _ in model.model.named_modules()] == names
    assert [of.requires_grad for of in model.model.parameters()] == flags


def test_a_model_folder_is_loaded_as_it_is(tmp_path):
    model = load_model(save_tiny_checkpoint(tmp_path / "base"))
    with torch.no_grad():
        other = tiny_model("llama", dtype=torch.float32)
        other.model.layers[1].mlp.down_proj.weight[0, 0] += 1
    other.save_pretrained(tmp_path / "edited")
    byte_level_tokenizer().save_pretrained(tmp_path / "edited")
    with changed_model(model, tmp_path / "edited") as changed:
        moved = [name for name, of in changed.before.items() if not torch.equal(of, changed.after[name])]
        assert moved == ["model.layers.1.mlp.down_proj.weight"]


def test_a_model_of_another_architecture_is_refused(tmp_path):
    folder = save_tiny_checkpoint(tmp_path / "gpt2", "gpt2")
    with refused(InputError, what=str(folder), got="another architecture", expected="a model"):
        changed_model(in_memory("llama"), folder).__enter__()


def _truncate(folder):
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-5])


def _without(name):
    return lambda folder: (folder / name).unlink()


def _tensors(change):
    def damage(folder):
        path = folder / "adapter_model.safetensors"
        save_file(change(load_file(path)), path)

    return damage


def _settings(**fields):
    def damage(folder):
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return damage


def _pickle(folder):
    path = folder / "adapter_model.safetensors"
    torch.save(load_file(path), folder / "adapter_model.bin")
    path.unlink()


DAMAGES = {
    "no settings": (_without("adapter_config.json"), "has no adapter_config.json"),
    "no weights": (_without("adapter_model.safetensors"), "has no adapter_model.safetensors"),
    "pickled": (_pickle, "a pickle"),
    "half written": (_truncate, "half written"),
    "settings cut": (lambda folder: (folder / "adapter_config.json").write_text('{"r": 2'), "damaged"),
    "settings of another kind": (lambda folder: (folder / "adapter_config.json").write_text("[1]"), "[1]"),
    "unknown type": (_settings(peft_type="MINE\n"), r"'MINE\n'"),
    "no type": (_settings(peft_type=None), "type None"),
    "any module": (_settings(megatron_config={}, megatron_core="os"), "Megatron"),
    "a tensor missing": (_tensors(lambda of: dict(list(of.items())[1:])), "lacks"),
    "a tensor too many": (_tensors(lambda of: of | {"more": torch.ones(1)}), "'more'"),
    "another rank": (_tensors(lambda of: {name: t.repeat(2, 2) for name, t in of.items()}), "shape"),
    "not finite": (_tensors(lambda of: {name: t * float("nan") for name, t in of.items()}), "NaN"),
    "modules that are not there": (_settings(target_modules=["c_fc"]), "c_fc"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_adapter_that_does_not_fit_is_refused_before_the_model_is_touched(llama, tmp_path, damage):
    model, whole = llama
    folder = shutil.copytree(whole, tmp_path / "adapter")
    do, said = DAMAGES[damage]
    do(folder)
    before = model.fingerprints
    with refused(InputError, what=str(folder), got=said.strip("'"), expected=""):
        changed_model(model, folder).__enter__()
    assert model.fingerprints == before


def test_adapters_of_other_models_are_refused(llama, tmp_path):
    own, folder = llama
    for model in (in_memory("gpt2"), in_memory("llama", square=True)):
        with refused(InputError, what=str(folder), expected=""):
            changed_model(model, folder).__enter__()
    other = shutil.copytree(folder, tmp_path / "other")
    _settings(base_model_name_or_path="of/others")(other)
    with pytest.warns(UserWarning, match=r"made for 'of/others'.*the same shapes"), changed_model(own, other):
        pass


def test_adapters_that_change_no_weights_are_refused(tmp_path):
    model = in_memory("llama")
    folder = write_adapter(
        tmp_path / "prompt", model.model, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    )
    with refused(InputError, what=str(folder), got="'PROMPT_TUNING'", expected="one that can be merged"):
        changed_model(model, folder).__enter__()


def test_what_is_no_folder_is_refused(tmp_path):
    with refused(InputError, what=str(tmp_path / "none"), got="is no folder", expected="one with an adapter"):
        changed_model(in_memory("llama"), tmp_path / "none").__enter__()
