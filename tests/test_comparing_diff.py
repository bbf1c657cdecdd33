"""What a change does to facts and text, whoever made it: an edit of rank one, a fine-tuned model, an adapter."""

import shutil

import numpy as np
import pytest
import rome
import torch
from adapters import lora, write_adapter
from edited_models import base_of, changed, fine_tuned
from errors import refused
from measured import write_facts, write_text
from tiny_models import sentencepiece_tokenizer

from ks_core.auditing.gate import Limits
from ks_core.comparing.diff import diff
from ks_core.data.corpus import load_corpus
from ks_core.data.facts import load_facts
from ks_core.errors import InputError
from ks_core.measurement.consequences import consequences, read
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.measurement.values import target_values
from ks_core.models.loading import load_model

LAYER, TOKENS = 1, 400


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    return load_facts(write_facts(tmp_path_factory.mktemp("facts") / "facts.json")).facts


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return load_corpus(str(write_text(tmp_path_factory.mktemp("text") / "text.txt", 700)))


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def romed(request, tmp_path_factory, facts, corpus):
    """A base and what ROME as published makes of it: one fact in one layer, by code that is not this package's."""
    folder = tmp_path_factory.mktemp(request.param)
    base = base_of(folder / "base", request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        model = load_model(base)
        moment = collect_second_moments(model, corpus, tokens=TOKENS).at(LAYER).matrix
    wanted = target_values(model, facts[:1], LAYER)
    weight = model.adapter.weight(LAYER)
    new = rome.edit(weight.double(), wanted.keys, wanted.values, moment)
    weight.copy_(new)
    model.model.save_pretrained(folder / "edited")
    model.tokenizer.save_pretrained(folder / "edited")
    return base, folder / "edited", moment


def test_an_edit_of_rank_one_is_seen_for_what_it_is(romed, facts, corpus):
    base, edited, moment = romed
    found = diff(base, edited, edits=facts[:1], keep=facts[6:], corpus=corpus, tokens=TOKENS)
    assert [(of.layer, found.ranks[of.name]) for of in found.changes] == [(LAYER, 1)]
    [layer] = found.layers
    assert layer.direction == "C⁻¹k"
    assert layer.within == pytest.approx(1, abs=1e-4), "ROME writes along C⁻¹k of its fact"
    assert layer.chance == pytest.approx(1 / 12)
    assert layer.along[0] == pytest.approx(1, abs=1e-4)
    weights = [load_model(folder).adapter.weight(LAYER).double() for folder in (base, edited)]
    delta = weights[1] - weights[0]
    factor = torch.linalg.cholesky(moment)
    assert layer.text_length == pytest.approx(float((delta @ factor).norm()), rel=1e-6)
    assert diff(base, edited, edits=facts[:1]).layers[0].direction == "k"


def test_values_move_as_the_module_says(romed, facts):
    base, edited, _ = romed
    [layer] = diff(base, edited, edits=facts[:1], keep=facts[6:]).layers
    one, other = load_model(base), load_model(edited)
    keys = subject_keys(one, [*facts[:1], *facts[6:]], [LAYER])[LAYER].float()
    with torch.no_grad():
        before, after = (model.adapter.projection(LAYER)(keys) for model in (one, other))
    np.testing.assert_allclose(layer.moved, ((after - before).norm(dim=1) / before.norm(dim=1)).numpy(), rtol=1e-4)


def test_what_the_models_say_is_read_from_both(romed, facts):
    base, edited, _ = romed
    found = diff(base, edited, edits=facts[:1], keep=facts[6:]).consequences
    readings = [read(load_model(folder), facts[:1], facts[6:], ()) for folder in (base, edited)]
    expected = consequences(*readings)
    assert (found.efficacy.after, found.loss, found.kept) == (expected.efficacy.after, expected.loss, expected.kept)
    assert found.log_perplexity.after.count == 0


def test_edited_facts_are_not_facts_to_keep(romed, facts):
    base, edited, _ = romed
    assert diff(base, edited, edits=facts[:1], keep=facts).keep == facts[1:]


def test_an_adapter_on_a_base_is_what_it_is_merged(tmp_path, facts):
    base = base_of(tmp_path / "base")
    adapter = write_adapter(tmp_path / "adapter", load_model(base).model, lora("llama", layers_to_transform=[0, 2]))

    def merge(model):
        from safetensors.torch import load_file

        factors = load_file(adapter / "adapter_model.safetensors")
        for layer in (0, 2):
            left, right = (
                factors[f"base_model.model.model.layers.{layer}.mlp.down_proj.lora_{part}.weight"] for part in "BA"
            )
            model.get_parameter(f"model.layers.{layer}.mlp.down_proj.weight").data += left @ right

    one = diff(base, adapter, edits=facts[:1], keep=facts[6:])
    other = diff(base, changed(base, tmp_path / "merged", merge), edits=facts[:1], keep=facts[6:])
    assert [of.layer for of in one.layers] == [of.layer for of in other.layers] == [0, 2]
    assert [of.name for of in one.changes] == [of.name for of in other.changes]
    assert one.ranks == other.ranks == dict.fromkeys(one.ranks, 2)
    for ours, theirs in zip(one.layers, other.layers, strict=True):
        np.testing.assert_allclose(ours.moved, theirs.moved, rtol=1e-4)
    assert one.consequences.loss.value == pytest.approx(other.consequences.loss.value, abs=1e-5)


def test_complaints_are_of_losses_of_facts_overtaken_and_of_other_layers(tmp_path, facts):
    base = base_of(tmp_path / "base")
    found = diff(base, changed(base, tmp_path / "tuned", fine_tuned), edits=facts[:1], keep=facts[6:])
    worst, overtaken = found.consequences.worst, len(found.consequences.overtaken)
    assert worst > 0
    assert found.complaints(Limits(worst, overtaken)) == []
    [said] = found.complaints(Limits(fail_over=worst * 0.99))
    assert "1 of" in said
    assert found.consequences.kept[0].fact.subject in said
    [said] = found.complaints(only_layers=[1])
    assert "outside layers 1" in said


def test_a_change_in_another_layer_is_caught(romed, tmp_path):
    base, edited, _ = romed
    assert diff(base, edited).complaints(only_layers=[LAYER]) == []
    [said] = diff(base, edited).complaints(only_layers=[0, 2])
    assert "1 tensors outside layers 0, 2" in said

    def slip(model):
        next(iter(model.parameters())).data[0, 0] += 1  # an embedding is of no layer

    [said] = diff(base, changed(edited, tmp_path / "slipped", slip)).complaints(only_layers=[LAYER])
    assert "emb" in said or "wte" in said


def test_losses_without_facts_and_facts_without_one_tokenizer_are_refused(romed, facts, tmp_path):
    base, edited, _ = romed
    with refused(InputError, what="no facts to keep", expected="some", remedy="--keep"):
        diff(base, edited).complaints(Limits(fail_over=0.5))
    other = shutil.copytree(edited, tmp_path / "other")
    sentencepiece_tokenizer().save_pretrained(other)
    assert diff(base, other).tokenizers_differ
    with refused(InputError, what="the tokenizers", expected="one tokenizer", remedy="without facts"):
        diff(base, other, keep=facts)
