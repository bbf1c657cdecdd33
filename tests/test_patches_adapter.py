"""Edits as a LoRA: plain PEFT loads, merges, disables and deletes it, and it is the edit that was in memory."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from patched import EPS32, LAYER, MODELS, SEARCH, TRAINED, dense, some_edits, text, tiny
from peft import PeftModel
from safetensors.torch import load_file
from tiny_models import byte_level_tokenizer, tiny_model
from transformers import AutoModelForCausalLM, AutoTokenizer

import ks_core as ks
from ks_core.models.architectures import FAMILIES
from ks_core.patches.adapter import lora_pair, write_adapter
from ks_core.patches.base import Base
from ks_core.theory.editing import Edit

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module", params=TRAINED)
def saved(request, tmp_path_factory):
    """A trained model's name, edits of it, and their folder."""
    where = MODELS / request.param
    model = ks.load_model(where)
    folder = tmp_path_factory.mktemp(request.param) / "edits"
    edits = some_edits(model, ks.load_facts()[:3])
    ks.save_edits(edits, folder)
    return where, model, edits, folder


def plain(where, dtype=torch.float32):
    return AutoModelForCausalLM.from_pretrained(where, dtype=dtype)


def weight_of(model, edits):
    weight = model.get_submodule(edits.base.projection(edits.layer)).weight.detach().double()
    return weight.T if edits.base.transposed else weight


def rounding(folder, edits, weight, dtype):
    """Of W + B A, entry by entry: a sum of rank products in float32, of factors rounded once; the rest in dtype."""
    down, up = (rows.double().abs() for _, rows in sorted(load_file(folder / "adapter_model.safetensors").items()))
    delta = dense(edits)
    return EPS32 * (len(down) + 4) * (up @ down) + torch.finfo(dtype).eps * (delta.abs() + (weight + delta).abs())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_merged_by_peft_it_is_the_edit_in_memory(saved, dtype):
    where, _, edits, folder = saved
    base = plain(where, dtype)
    before = weight_of(base, edits).clone()
    merged = PeftModel.from_pretrained(base, str(folder)).merge_and_unload()
    off = (weight_of(merged, edits) - (before + dense(edits))).abs()
    assert bool((off <= rounding(folder, edits, before, dtype)).all())
    assert float(dense(edits).abs().max()) > 10 * float(off.max()), "the edit itself would pass for rounding"


@pytest.mark.parametrize("model_type", sorted(FAMILIES))
def test_peft_merges_it_into_every_family(tmp_path, model_type):
    loaded = ks.load_model(tiny_model(model_type, dtype=torch.float32), byte_level_tokenizer())
    base, size = Base.of(loaded), tuple(loaded.adapter.weight(LAYER).shape)
    edit = Edit(torch.randn(size[0], 2, dtype=torch.float64), torch.randn(2, size[1], dtype=torch.float64))
    expected = loaded.adapter.weight(LAYER).double() + edit.delta()
    write_adapter(tmp_path, base, {LAYER: edit})
    merged = PeftModel.from_pretrained(loaded.model, str(tmp_path)).merge_and_unload()
    weight = merged.get_submodule(base.projection(LAYER)).weight.detach().double()
    torch.testing.assert_close(weight.T if base.transposed else weight, expected, rtol=1e-5, atol=1e-5)


def generated(model, where, prompt):
    ids = AutoTokenizer.from_pretrained(where)(prompt, return_tensors="pt").input_ids
    return model.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0)[0].tolist()


def logits(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits


def test_peft_switches_it_on_and_off_and_deletes_it(saved):
    where, model, edits, folder = saved
    prompt = edits.facts[0].text
    base = plain(where)
    before = generated(base, where, prompt)
    untouched = logits(base, before)
    patched = PeftModel.from_pretrained(base, str(folder), adapter_name="edits")
    with ks.applied(model, edits):
        in_memory = logits(model.model, before)
        assert generated(patched, where, prompt) == generated(model.model, where, prompt)
    moved = (in_memory - untouched).abs().max()
    assert (logits(patched, before) - in_memory).abs().max() < 1e-3 * moved
    with patched.disable_adapter():
        assert torch.equal(logits(patched, before), untouched)
        assert generated(patched, where, prompt) == before
    patched.delete_adapter("edits")
    bare = patched.unload()
    assert torch.equal(logits(bare, before), untouched)
    assert generated(bare, where, prompt) == before


def test_its_settings_are_those_of_a_lora_without_scaling(saved):
    where, _, edits, folder = saved
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["peft_type"], config["task_type"]) == ("LORA", "CAUSAL_LM")
    assert config["r"] == config["lora_alpha"] == 3
    assert config["target_modules"] == [edits.base.projection(LAYER)]
    assert config["fan_in_fan_out"] == (where.name == "ks-gpt2-l4")
    assert config["base_model_name_or_path"] == str(where)


def test_its_factors_are_as_long_as_each_other(saved):
    *_, folder = saved
    down, up = (rows for _, rows in sorted(load_file(folder / "adapter_model.safetensors").items()))
    assert down.dtype == up.dtype == torch.float32
    torch.testing.assert_close(down.norm(dim=1), up.norm(dim=0), rtol=1e-5, atol=0)


def test_layers_of_different_ranks_are_one_adapter(tmp_path):
    model = tiny("gpt2")
    facts = ks.load_facts()[:3]
    moments = ks.second_moments(model, tokens=100, corpus=text())
    made = [
        ks.edit(model, chosen, layer, moments=moments, ridge=0.1, search=SEARCH)
        for layer, chosen in ((0, facts[:2]), (1, facts[2:]))
    ]
    ks.save_edits(made, tmp_path / "edits")
    expected = {edits.layer: model.adapter.weight(edits.layer).double() + dense(edits) for edits in made}
    merged = PeftModel.from_pretrained(model.model, str(tmp_path / "edits")).merge_and_unload()
    for edits in made:
        torch.testing.assert_close(weight_of(merged, edits), expected[edits.layer], rtol=1e-5, atol=1e-6)
    config = json.loads((tmp_path / "edits" / "adapter_config.json").read_text())
    assert (config["r"], config["rank_pattern"]) == (2, {made[1].base.projection(1): 1})


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 30), st.integers(0, 2**32 - 1), st.sampled_from([1, 1e6]))
def test_the_pair_is_the_edit_at_its_numerical_rank(d_value, d_key, count, seed, spread):
    """More edits than rows, factors that nearly cancel, and none at all."""
    generator = np.random.default_rng(seed)
    left, right = (torch.from_numpy(generator.standard_normal(shape)) for shape in ((d_value, count), (count, d_key)))
    left = torch.cat([left * spread, -left * spread], dim=1)  # what is left is a millionth of what is added up
    edit = Edit(left, torch.cat([right, right + torch.from_numpy(generator.standard_normal(right.shape)) / spread]))
    down, up = lora_pair(edit)
    rank = len(down)
    assert rank <= min(d_value, d_key, 2 * count)
    expected = edit.delta()
    cancelled = torch.finfo(torch.float64).eps * 8 * count * (left.abs() @ edit.right.abs())
    allowed = EPS32 * (rank + 4) * (up.double().abs() @ down.double().abs()) + cancelled * (d_value + d_key)
    assert bool(((up.double() @ down.double() - expected).abs() <= allowed).all())


def test_an_edit_of_nothing_is_a_pair_of_zeros():
    down, up = lora_pair(Edit(torch.zeros(3, 2), torch.ones(2, 4)))
    assert (down.shape, up.shape, float(up.abs().sum())) == ((1, 4), (3, 1), 0.0)


def test_without_peft_the_extra_is_named(tmp_path, monkeypatch):
    model = tiny()
    edits = some_edits(model, ks.load_facts()[:1])
    monkeypatch.setattr("ks_core.extras._is_installed", lambda name: name != "peft")
    with pytest.raises(ks.KsError, match=r'an adapter needs peft, which is not installed; .*"ks_core\[edit\]"'):
        ks.save_edits(edits, tmp_path / "edits")
    assert list(tmp_path.iterdir()) == []
