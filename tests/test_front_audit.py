"""An audit of edits that were made is one of them as they are: their values, text and ridge, on the model unedited."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from errors import refused
from measured import write_facts, write_text
from tiny_models import byte_level_tokenizer, tiny_model

import ks_core as ks
from ks_core.errors import InputError
from ks_core.measurement import cached_values, values
from ks_core.theory.editors import editor_of
from ks_core.theory.methods import METHODS
from ks_core.theory.traits import Traits
from ks_core.theory.whitening import whiten

TOKENS = 1600
LAYER = 0


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def model():
    return ks.load_model(tiny_model("llama", dtype=torch.float32), byte_level_tokenizer())


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    return ks.load_facts(write_facts(tmp_path_factory.mktemp("facts") / "facts.json", 48))


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    other = (f"The river of {n} towns, and {n * n} stones." for n in range(80))
    return ks.load_corpus(write_text(folder / "text.txt", 300)), ks.corpus_of(other, "rivers")


@pytest.fixture(scope="module")
def moments(model, texts):
    return ks.second_moments(model, tokens=TOKENS, corpus=texts[0])


def made(model, facts, moments, method="joint", **options):
    return ks.edit(model, facts[:3], LAYER, method, moments=moments, **options)


def test_audit_of_edits_is_that_of_their_facts_with_the_same_text(model, facts, moments):
    edits = made(model, facts, moments)
    of_edits = ks.audit(model, edits, keep=facts[24:])
    of_facts = ks.audit(model, list(edits.facts), keep=facts[24:], layer=LAYER, moments=moments)
    assert (of_edits.layer, of_edits.reached) == (LAYER, tuple(edits.reached.tolist()))
    for name in ("shares", "share_errors", "first_order", "losses", "overtaken"):
        np.testing.assert_array_equal(getattr(of_edits, name), getattr(of_facts, name))
    assert (of_edits.method, of_facts.method) == ("joint", "joint")
    np.testing.assert_array_equal(of_edits.together.losses, of_facts.together.losses)


def test_edits_one_after_another_are_audited_together_as_they_are(model, facts, moments):
    joint, sequential = (
        ks.audit(model, made(model, facts, moments, method), keep=facts[24:]) for method in ("joint", "sequential")
    )
    assert (joint.method, sequential.method) == ("joint", "sequential")
    np.testing.assert_array_equal(joint.losses, sequential.losses)
    assert (joint.together.losses != sequential.together.losses).any()


def test_audit_of_edits_has_their_ridge(model, facts, moments):
    edits = made(model, facts, moments, ridge=50.0)
    found = ks.audit(model, edits, keep=facts[24:])
    assert (edits.ridge, found.ridge) == (50.0, 50.0)
    plain, ridged = (
        ks.audit(model, facts[:3], keep=facts[24:], layer=LAYER, moments=moments, ridge=ridge) for ridge in (0.0, 50.0)
    )
    np.testing.assert_array_equal(found.shares, ridged.shares)
    assert not np.allclose(found.shares, plain.shares)


def test_audit_of_edits_has_their_text(model, facts, texts, moments):
    other = ks.second_moments(model, tokens=TOKENS, corpus=texts[1])
    found = ks.audit(model, made(model, facts, other), keep=facts[24:])
    of_other, of_first = (
        ks.audit(model, facts[:3], keep=facts[24:], layer=LAYER, moments=of) for of in (other, moments)
    )
    np.testing.assert_array_equal(found.shares, of_other.shares)
    assert not np.allclose(found.shares, of_first.shares)


def test_what_edits_were_not_made_with_is_refused(model, facts, texts, moments):
    edits = made(model, facts, moments)
    other = ks.second_moments(model, tokens=TOKENS, corpus=texts[1])
    wrong = {"layer": 1, "layers": [1], "ridge": 50.0, "moments": other, "search": ks.ValueSettings(steps=2)}
    for name, value in wrong.items():
        with refused(InputError, what=f"{name} given with Edits(", expected="none", remedy="audit edits.facts"):
            ks.audit(model, edits, keep=facts[24:], **{name: value})
    for name, value in {"layer": np.array([0, 1]), "ridge": "50", "moments": 5}.items():
        with refused(InputError, what=f"{name} is", expected=""):
            ks.audit(model, edits, keep=facts[24:], **{name: value})
    with pytest.raises(InputError, match="layer and ridge given with Edits"):
        ks.audit(model, edits, keep=facts[24:], layer=1, ridge=3.0)
    with pytest.raises(InputError, match="ridge given with Edits"):
        ks.audit(model, made(model, facts, moments, ridge=50.0), keep=facts[24:], ridge=0.0)


def test_what_edits_were_made_with_may_be_said_again(model, facts, texts):
    of_layer = ks.second_moments(model, tokens=TOKENS // 2, corpus=texts[0], layers=[LAYER])
    edits = made(model, facts, ks.second_moments(model, tokens=TOKENS // 2, corpus=texts[0]), ridge=0.5)
    again = {"layer": LAYER, "ridge": 0.5, "moments": of_layer, "search": ks.ValueSettings()}
    found = ks.audit(model, edits, keep=facts[24:], **again)
    np.testing.assert_array_equal(found.shares, ks.audit(model, edits, keep=facts[24:]).shares)


def test_edits_of_another_model_are_refused(model, facts, moments):
    other = ks.load_model(tiny_model("llama", dtype=torch.float32, seed=1), byte_level_tokenizer())
    with refused(InputError, what="layer 0 of 'LlamaForCausalLM' has another weight", expected="the same model"):
        ks.audit(other, made(model, facts, moments), keep=facts[24:])


def test_moments_of_another_model_are_refused(facts, moments):
    other = ks.load_model(tiny_model("llama", dtype=torch.float32, seed=1), byte_level_tokenizer())
    with pytest.raises(ks.KsError, match="the weights of 'LlamaForCausalLM' are others"):
        ks.audit(other, facts[:3], keep=facts[24:], moments=moments)


def test_edits_that_are_applied_are_not_audited(model, facts, moments):
    edits = made(model, facts, moments)
    with ks.applied(model, edits), refused(InputError, what="has another weight", expected="this layer unedited"):
        ks.audit(model, edits, keep=facts[24:])


def test_values_of_edits_are_not_searched_again(model, facts, moments, monkeypatch):
    edits = made(model, facts, moments)
    expected = ks.audit(model, edits, keep=facts[24:])

    def search(*_):
        raise AssertionError("searched again")

    for module in (cached_values, values):
        monkeypatch.setattr(module, "target_values_at", search)
    larger = replace(edits.values, values=3 * edits.values.values, probabilities=edits.values.probabilities / 2)
    found = ks.audit(model, replace(edits, values=larger), keep=facts[24:])
    assert found.reached == tuple(of / 2 for of in expected.reached)
    assert (found.losses != expected.losses).any()


@pytest.mark.parametrize("method", ["null-space", "protected", "mine"])
def test_edits_that_are_not_predicted_are_refused(model, facts, moments, method):
    mine = editor_of(lambda c: METHODS["joint"](whiten(c)), Traits(order="joint"), name="mine")
    options = {"protect": facts[24:26]} if method == "protected" else {}
    edits = made(model, facts, moments, mine if method == "mine" else method, **options)
    with pytest.raises(InputError, match=f"these are {method} edits"):
        ks.audit(model, edits, keep=facts[8:])


@pytest.mark.parametrize("name", METHODS)
def test_an_editor_with_the_name_of_a_method_is_refused(model, facts, moments, name):
    mine = editor_of(lambda c: METHODS["joint"](whiten(c)), Traits(order="joint"), name=name)
    with refused(InputError, what=f"an editor is called '{name}'", expected="another name than sequential, joint"):
        made(model, facts, moments, mine)


@pytest.mark.parametrize("search", [ks.Settings(), {"steps": 3}, 5, "fast"], ids=repr)
def test_what_is_no_search_is_refused_before_any_work(facts, moments, search):
    for call in (
        lambda: made("no model", facts, moments, search=search),
        lambda: ks.audit("no model", facts[:3], keep=facts[24:], moments=moments, search=search),
    ):
        with refused(InputError, what="search is", expected="ValueSettings"):
            call()


def test_moments_of_some_layers_are_looked_at_in_those(model, facts, texts):
    of_one = ks.second_moments(model, tokens=TOKENS, corpus=texts[0], layers=[1])
    found = ks.audit(model, facts[:3], keep=facts[24:], moments=of_one)
    assert [of.layer for of in found.layers] == [1]
    with refused(InputError, got="of layers (1,), without layer 0", expected="them of that layer"):
        ks.audit(model, facts[:3], keep=facts[24:], layer=0, moments=of_one)
    with refused(InputError, what="moments is 5", expected="SecondMoments"):
        ks.audit(model, facts[:3], keep=facts[24:], moments=5)


@pytest.mark.parametrize(
    ("edit", "count", "message"),
    [
        (9, 1, "edit is 9; expected at most 2"),
        (-1, 1, "edit is -1; expected at least 0"),
        ("0", 1, "edit is '0'; expected a whole number"),
        (0, -1, "count is -1; expected at least 0"),
        (0, 1.5, "count is 1.5; expected a whole number"),
    ],
)
def test_the_worst_of_what_is_not_there_are_refused(model, facts, moments, edit, count, message):
    found = ks.audit(model, made(model, facts, moments), keep=facts[24:28])
    with pytest.raises(InputError, match=message):
        found.worst(edit, count)
    assert (len(found.worst(0, 0)), len(found.worst(0, 99))) == (0, 4)


def test_a_ridge_that_would_do_nothing_is_refused(model, facts, moments):
    with refused(InputError, what="ridge is 1.0 with method 'null-space'", expected="none"):
        made(model, facts, moments, "null-space", ridge=1.0)
    assert made(model, facts, moments, "null-space", ridge=0).ridge == 0.0


def test_what_cannot_be_protected_is_refused_before_a_model_is_loaded(facts, moments):
    with refused(InputError, what="protect is 5", expected="the path of a JSON file"):
        made("no model", facts, moments, "protected", protect=5)


@pytest.mark.parametrize("method", [["joint"], None, 5, {"joint": 1}], ids=repr)
def test_what_is_no_method_is_refused(model, facts, moments, method):
    with refused(InputError, what="method is", expected="one of sequential, joint"):
        made(model, facts, moments, method)
