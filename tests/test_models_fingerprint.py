"""A model's hashes are of what it is now: any change shows, whatever changes no number does not."""

import types
from functools import partial

import pytest
import torch
from changed_models import CHANGES, SETTINGS, WEIGHTS
from tiny_models import byte_level_tokenizer, save_tiny_checkpoint, tiny_model

from ks_core.errors import InputError
from ks_core.models.adapter import Adapter
from ks_core.models.architectures import FAMILIES
from ks_core.models.fingerprint import modules_sha256
from ks_core.models.loaded import FINGERPRINTS, LoadedModel
from ks_core.models.loading import load_model


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def checkpoint(request, tmp_path_factory):
    return save_tiny_checkpoint(tmp_path_factory.mktemp(request.param), request.param)


def differing(before, after):
    return {name for name, one, other in zip(FINGERPRINTS, before, after, strict=True) if one != other}


@pytest.mark.parametrize("change", CHANGES)
def test_fingerprints_see_a_change_after_loading(checkpoint, change):
    model = load_model(checkpoint)
    before = model.fingerprints
    CHANGES[change](model)
    part = "weights" if change in WEIGHTS else "settings" if change in SETTINGS else "tokenizer"
    assert part in differing(before, model.fingerprints)
    with pytest.raises(InputError, match=rf"{part}.* of .* changed while it was measured"):
        model.require(before)


@pytest.mark.parametrize("change", [*(name for name in WEIGHTS if name != "one bit"), "epsilon", "activation"])
def test_a_change_that_fingerprints_see_changes_what_the_model_says(checkpoint, change):
    model, ids = load_model(checkpoint), torch.arange(2, 12)[None]
    before = model.adapter.logits(ids, torch.ones_like(ids))
    CHANGES[change](model)
    assert not torch.equal(model.adapter.logits(ids, torch.ones_like(ids)), before)


def test_fingerprints_are_those_of_before_once_a_change_is_taken_back(checkpoint):
    model = load_model(checkpoint)
    before, weight = model.fingerprints, model.adapter.weight(1).clone()
    model.adapter.weight(1).mul_(1.5)
    model.adapter.weight(1).copy_(weight)
    assert model.fingerprints == before == load_model(checkpoint).fingerprints
    model.require(before)


def test_a_config_changed_after_loading_is_not_taken_for_a_model_that_was_loaded_with_it(checkpoint, tmp_path):
    """Its modules were made from the old config: its numbers are those of before, not those of such a model."""
    changed = load_model(checkpoint)
    name = "layer_norm_epsilon" if changed.adapter.model_type == "gpt2" else "rms_norm_eps"
    setattr(changed.model.config, name, 0.5)
    saved = tmp_path / "saved"
    changed.model.save_pretrained(saved)
    changed.tokenizer.save_pretrained(saved)
    loaded = load_model(saved)
    assert getattr(loaded.model.config, name) == 0.5
    assert loaded.weights_sha256 == changed.weights_sha256
    assert loaded.config_sha256 != changed.config_sha256


@pytest.mark.parametrize("rotary", ["llama", "gpt_neox"])
def test_settings_see_a_buffer_that_no_checkpoint_holds(rotary):
    model = LoadedModel(Adapter(tiny_model(rotary)), byte_level_tokenizer(), name=rotary, revision=None)
    before = model.fingerprints
    next(iter(model.model.buffers())).mul_(2)
    assert differing(before, model.fingerprints) == {"settings"}


@pytest.mark.parametrize("model_type", FAMILIES)
def test_settings_of_any_family_stay_through_a_forward_pass_and_are_those_of_an_equal_model(model_type):
    model, ids = tiny_model(model_type), torch.arange(2, 12)[None]
    before = modules_sha256(model)
    Adapter(model).logits(ids, torch.ones_like(ids))
    assert modules_sha256(model) == before == modules_sha256(tiny_model(model_type))


def test_the_adapter_reads_a_backbone_that_was_replaced():
    model, other, ids = tiny_model("llama"), tiny_model("llama"), torch.arange(2, 12)[None]
    with torch.no_grad():
        other.model.norm.weight.mul_(2)
    adapter = Adapter(model)
    model.model = other.model
    assert torch.equal(
        adapter.hidden_states(ids, torch.ones_like(ids)), Adapter(other).hidden_states(ids, torch.ones_like(ids))
    )


def _hook(_module, _args, output):
    return 0 * output


def _forward_of_its_own(model, factor):
    block = model.model.get_submodule(model.adapter.layer_name(1).rpartition(".")[0])
    block.forward = types.MethodType(lambda self, x: factor * type(self).forward(self, x), block)


UNNAMED = {
    "a hook": lambda model: model.adapter.projection(1).register_forward_hook(_hook),
    "a hook on the model": lambda model: model.model.register_forward_hook(lambda *_: None),
    "a lambda as activation": lambda model: setattr(model.model.get_submodule("lm_head"), "scale", lambda x: 2 * x),
    "a forward made inside a function": lambda model: _forward_of_its_own(model, 0.5),
    "a lambda in a partial": lambda model: setattr(model.model, "scale", partial(lambda x: x, 1)),
}


@pytest.mark.parametrize("change", UNNAMED)
def test_what_cannot_be_told_apart_is_refused_by_its_place(checkpoint, change):
    model = load_model(checkpoint)
    UNNAMED[change](model)
    with pytest.raises(InputError, match=r"cannot be told .* remove it"):
        _ = model.fingerprints


def test_a_hook_on_every_module_is_refused_until_it_is_removed(checkpoint):
    model = load_model(checkpoint)
    before = model.fingerprints
    with torch.nn.modules.module.register_module_forward_hook(_hook), pytest.raises(InputError, match="every module"):
        _ = model.fingerprints
    assert model.fingerprints == before


def test_hooks_that_transformers_leaves_on_a_model_are_let_be(checkpoint):
    model, ids = load_model(checkpoint), torch.arange(2, 12)[None]
    before = model.fingerprints
    model.model(ids, output_hidden_states=True, output_attentions=True)
    assert model.fingerprints == before


@pytest.mark.parametrize(
    "change",
    [
        lambda module, factor: setattr(module, "extra", factor * torch.ones(3)),
        lambda module, factor: setattr(module, "extra", {"factor": factor}),
        lambda module, factor: setattr(module, "extra", partial(torch.add, alpha=factor)),
    ],
    ids=["a tensor", "a mapping", "a partial"],
)
def test_settings_see_what_is_inside_an_attribute(checkpoint, change):
    hashes = []
    for factor in (1.0, 2.0):
        model = load_model(checkpoint)
        change(model.adapter.projection(1), factor)
        hashes.append(model.config_sha256)
    assert hashes[0] != hashes[1]


def test_a_tensor_in_a_weights_place_counts(checkpoint):
    model = load_model(checkpoint)
    module = model.adapter.projection(1)
    weight = module.weight.detach()
    del module.weight
    module.weight = weight
    before = model.fingerprints
    weight.mul_(1.5)
    assert differing(before, model.fingerprints) == {"settings"}
