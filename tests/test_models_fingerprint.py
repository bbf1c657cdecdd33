"""A model's hashes are of what it is now: any change shows, whatever changes no number does not."""

import pytest
import torch
from changed_models import CHANGES, SETTINGS, WEIGHTS
from tiny_models import byte_level_tokenizer, save_tiny_checkpoint, tiny_model

from ks_core.errors import InputError
from ks_core.models.adapter import Adapter
from ks_core.models.families import FAMILIES
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
