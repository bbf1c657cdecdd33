"""The front door: the whole way from a model to edits that are applied, in a few lines each."""

import pytest
import torch
from measured import write_facts, write_text
from tiny_models import byte_level_tokenizer, tiny_model

import ks_core as ks
from ks_core.measurement.keys import subject_keys
from ks_core.theory.editors import editor_of
from ks_core.theory.key_spaces import protect
from ks_core.theory.methods import METHODS
from ks_core.theory.traits import Traits
from ks_core.theory.whitening import whiten

TOKENS = 1600
LAYER = 0  # of two: a value in the last layer reaches no other token


@pytest.fixture(scope="module")
def model():
    return ks.load_model(tiny_model("llama", dtype=torch.float32), byte_level_tokenizer())


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    return ks.load_facts(write_facts(tmp_path_factory.mktemp("facts") / "facts.json", 48))


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return ks.load_corpus(write_text(tmp_path_factory.mktemp("text") / "text.txt", 300))


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def moments(model, text):
    return ks.second_moments(model, tokens=TOKENS, corpus=text)


def made(model, facts, moments, method="joint", **options):
    return ks.edit(model, facts.facts[:3], LAYER, method, moments=moments, **options)


def test_superposition_is_that_of_keys_and_moments(model, facts, moments):
    p = ks.superposition(model, facts, layer=1, moments=moments)
    keys = subject_keys(model, facts, [1])[1]
    reach = torch.linalg.solve(moments.at(1).matrix, keys.T)
    products = keys @ reach
    torch.testing.assert_close(p, products / products.diagonal()[:, None], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("given", [list, tuple, iter, lambda facts: facts])
def test_facts_are_taken_in_any_form(model, facts, moments, given):
    assert ks.known_facts(model, given(facts)).facts == ks.known_facts(model, facts).facts
    p = ks.superposition(model, given(facts), layer=LAYER, moments=moments)
    assert torch.equal(p, ks.superposition(model, facts, layer=LAYER, moments=moments))


def test_moments_of_another_model_are_refused(facts, moments):
    other = ks.load_model(tiny_model("llama", dtype=torch.float32, seed=1), byte_level_tokenizer())
    with pytest.raises(ks.KsError, match="the weights of 'LlamaForCausalLM' are others"):
        ks.superposition(other, facts, layer=LAYER, moments=moments)
    with pytest.raises(ks.KsError, match="the weights of 'LlamaForCausalLM' are others"):
        made(other, facts, moments)


def test_moments_without_the_layer_are_refused(model, facts, text):
    of_one = ks.second_moments(model, tokens=800, corpus=text, layers=[1])
    with pytest.raises(ks.KsError, match=r"are of layers \(1,\), without layer 0"):
        ks.superposition(model, facts, layer=0, moments=of_one)
    with pytest.raises(ks.KsError, match="moments is 5; expected SecondMoments"):
        ks.superposition(model, facts, layer=0, moments=5)


@pytest.mark.parametrize("method", ["joint", "protected"])
def test_exact_edits_give_each_key_its_value(model, facts, moments, method):
    options = {"protect": facts.facts[24:26]} if method == "protected" else {}
    edits = made(model, facts, moments, method, **options)
    weight = model.adapter.weight(LAYER).double()
    after = edits.values.keys @ (weight + edits.edit.delta()).T
    torch.testing.assert_close(after, edits.values.values, rtol=1e-6, atol=1e-6)


def test_an_editor_of_ones_own_makes_edits_as_the_method_does_that_it_is(model, facts, moments):
    mine = editor_of(lambda c: METHODS["joint"](whiten(c)), Traits(order="joint"), name="mine")
    edits = made(model, facts, moments, mine)
    assert edits.method == "mine"
    torch.testing.assert_close(edits.edit.delta(), made(model, facts, moments).edit.delta(), rtol=1e-9, atol=1e-9)
    with ks.applied(model, edits):
        pass


def test_an_editor_that_protects_keys_is_given_them(model, facts, moments):
    protecting = editor_of(
        lambda c, keys: METHODS["protected"](protect(whiten(c), keys)), Traits(order="joint", protected=True)
    )
    kept = facts.facts[24:26]
    with pytest.raises(ks.KsError, match="no facts to protect were given"):
        made(model, facts, moments, protecting)
    found, expected = (made(model, facts, moments, of, protect=kept) for of in (protecting, "protected"))
    torch.testing.assert_close(found.edit.delta(), expected.edit.delta(), rtol=1e-9, atol=1e-9)


def test_protected_facts_are_not_moved(model, facts, moments):
    kept = facts.facts[24:26]
    keys = subject_keys(model, kept, [LAYER])[LAYER]
    moved = [
        float((keys @ made(model, facts, moments, method, **options).edit.delta().T).abs().max())
        for method, options in (("protected", {"protect": kept}), ("joint", {}))
    ]
    assert moved[0] < 1e-9 * moved[1]


@pytest.mark.parametrize("method", ["sequential", "joint", "null-space"])
def test_applied_edits_are_taken_back_bit_for_bit(model, facts, moments, method):
    edits, before = made(model, facts, moments, method), model.weights_sha256
    with ks.applied(model, edits):
        assert model.weights_sha256 != before
    with pytest.raises(ZeroDivisionError), ks.applied(model, edits):
        raise ZeroDivisionError
    assert model.weights_sha256 == before


def test_edits_say_in_one_line_what_they_are(model, facts, moments):
    edits = made(model, facts, moments)
    assert repr(edits).startswith("Edits(facts=3, method='joint', layer=0, model='LlamaForCausalLM', reached=")
    assert "\n" not in repr(edits)
    assert (len(edits), edits.facts, edits.reached.shape) == (3, facts.facts[:3], (3,))


def test_edits_of_another_weight_are_refused(model, facts, moments):
    edits = made(model, facts, moments)
    other = ks.load_model(tiny_model("llama", dtype=torch.float32, seed=1), byte_level_tokenizer())
    with pytest.raises(ks.KsError, match="layer 0 of 'LlamaForCausalLM' has another weight"), ks.applied(other, edits):
        pass
    with ks.applied(model, edits), pytest.raises(ks.KsError, match="has another weight"), ks.applied(model, edits):
        pass


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"method": "rome"},
            "method is 'rome'; expected one of sequential, joint, null-space, protected, or an editor",
        ),
        ({"method": "protected"}, "no facts to protect were given with method 'protected'"),
        ({"protect": "packaged"}, "facts to protect were given with method 'joint'"),
        ({"layer": 2}, "layer 2 does not exist; expected 0 to 1"),
        ({"facts": []}, "facts holds no facts"),
        ({"facts": 7}, "facts is 7; expected the path of a JSON file, a FactSet, or a collection of Facts"),
        ({"model": tiny_model("gpt2")}, r"expected .*load_model\(model, tokenizer\)"),
    ],
)
def test_bad_input_to_edit_is_one_clear_error(model, facts, moments, changed, message):
    given = {"model": model, "facts": facts.facts[:3], "layer": LAYER, "moments": moments} | changed
    with pytest.raises(ks.KsError, match=message) as caught:
        ks.edit(**given)
    assert "\n" not in str(caught.value)


def test_applied_wants_a_model_in_memory_and_edits(model, facts, moments):
    with pytest.raises(ks.KsError, match="model is 'gpt2'; expected one in memory"):
        ks.applied("gpt2", made(model, facts, moments))
    with pytest.raises(ks.KsError, match="expected Edits"):
        ks.applied(model, facts)


def test_check_editor_is_that_of_the_conformance_suite():
    from ks_core.conformance import check_editor
    from ks_core.conformance.reference import joint

    assert ks.check_editor is check_editor
    assert {result.outcome for result in ks.check_editor(joint, max_examples=3)} <= {"passed", "skipped"}


def test_values_in_a_notebook_are_one_line(model, facts, moments):
    edits = made(model, facts, moments)
    found = ks.audit(model, edits, keep=facts[24:])
    for value in (model, edits, found):
        assert "\n" not in repr(value)
        assert len(repr(value)) < 200
