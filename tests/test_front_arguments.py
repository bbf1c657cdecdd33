"""Arguments of the front door of a wrong type or range: one clear error each, before any work."""

import numpy as np
import pytest
import torch
from errors import refused
from measured import write_facts, write_text
from tiny_models import byte_level_tokenizer, tiny_model

import ks_core as ks
from ks_core.errors import InputError
from ks_core.theory.whitening import whiten

TOKENS = 1600


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
def text(tmp_path_factory):
    return ks.load_corpus(write_text(tmp_path_factory.mktemp("text") / "text.txt", 300))


@pytest.fixture(scope="module")
def moments(model, text):
    return ks.second_moments(model, tokens=TOKENS, corpus=text)


NO_LAYER = ["0", None, [0], True, 0.0, np.bool_(False), float("nan")]


@pytest.mark.parametrize("layer", NO_LAYER, ids=repr)
def test_what_is_no_layer_is_refused_as_that(model, facts, moments, layer):
    with refused(InputError, what="layer is", expected="a whole number"):
        ks.superposition(model, facts, layer, moments=moments)
    with refused(InputError, what="layer is", expected="a whole number"):
        ks.edit(model, facts[:2], layer, moments=moments)
    for of in (moments.at, moments.halves, model.adapter.layer_name):
        with refused(InputError, what="layer is", expected="a whole number"):
            of(layer)


@pytest.mark.parametrize("layer", [np.int64(1), torch.tensor(1)])
def test_a_layer_of_another_library_is_one(model, facts, moments, layer):
    p = ks.superposition(model, facts, layer, moments=moments)
    assert torch.equal(p, ks.superposition(model, facts, 1, moments=moments))
    with pytest.warns(UserWarning, match="last"):
        assert type(ks.edit(model, facts[:2], layer, moments=moments).layer) is int
    assert torch.equal(moments.at(layer).matrix, moments.at(1).matrix)


def test_moments_that_were_not_measured_are_refused_without_blaming_the_cache(moments):
    with refused(InputError, got="of layers (0, 1), without layer 7", expected="them of that layer"):
        moments.at(7)
    with refused(InputError, what="count is 7", expected="one of (200, 400, 800, 1600)"):
        moments.at(0, 7)


@pytest.mark.parametrize("tokens", ["100", 400.0, True, None, 0, -5], ids=repr)
def test_tokens_that_are_no_number_of_them_are_refused(model, text, tokens):
    with refused(InputError, what="tokens is", expected=("a whole number" if tokens not in (0, -5) else "at least 1")):
        ks.second_moments(model, tokens, corpus=text)


@pytest.mark.parametrize("layers", [1, "01", [], [0, 0], [True], [0.0], {0: 1}, [[0]]], ids=repr)
def test_layers_that_are_no_collection_of_them_are_refused(model, text, layers):
    with refused(InputError, what="layers", expected=""):
        ks.second_moments(model, TOKENS, corpus=text, layers=layers)


def test_a_layer_that_does_not_exist_is_refused_before_text_is_read(model, text):
    with refused(InputError, what="layer 2 does not exist", expected="0 to 1"):
        ks.second_moments(model, TOKENS, corpus=text, layers=[0, 2])


@pytest.mark.parametrize("ridge", ["0.1", True, None, [0.1], float("nan"), float("inf"), -1], ids=repr)
def test_what_is_no_ridge_is_refused(model, facts, moments, ridge):
    with refused(InputError, what="ridge is", expected="a finite number of mean eigenvalues, 0 or more"):
        whiten(np.eye(2), ridge=ridge)
    with refused(InputError, what="ridge is", expected="a finite number of mean eigenvalues, 0 or more"):
        ks.superposition(model, facts, 0, moments=moments, ridge=ridge)


def test_facts_are_taken_by_place_and_by_slice(facts):
    assert facts[0] == facts.facts[0]
    assert facts[-1] == facts.facts[-1]
    assert facts[2:9:3] == facts.facts[2:9:3]
    assert isinstance(facts[:8], tuple)
    with pytest.raises(IndexError):
        _ = facts[48]


@pytest.mark.parametrize(
    "parts", ["stream", ["streams"], ["stream", 5], None, 5, {"stream": 1}, [["stream"]]], ids=repr
)
def test_unknown_parts_are_refused_before_the_work(parts):
    with pytest.raises(
        ks.KsError, match="expected a collection of pairs, stream, dose, sizes, lifelong, capacity, long_dose"
    ):
        ks.measure("no model", parts=parts)


@pytest.mark.parametrize("settings", [{"num_facts": 4}, 5, (), ks.ValueSettings()], ids=repr)
def test_what_are_no_settings_is_refused_before_the_work(settings):
    with pytest.raises(ks.KsError, match=r"settings is .*; expected Settings, such as"):
        ks.measure("no model", settings=settings)


def nothing(weight, *_):
    return weight


def failing(*_):
    raise ZeroDivisionError("no luck")


@pytest.mark.parametrize(
    ("editors", "parts", "message"),
    [
        ({"mine": nothing}, ["dose"], "editors were given with parts .*; expected 'stream' or 'lifelong' among them"),
        ([nothing], ["stream"], "editors is .*; expected a mapping of names to editors"),
        (None, ["stream"], "editors is None; expected a mapping"),
        ({1: nothing}, ["stream"], "the name of an editor is 1; expected a non-empty text"),
        ({"": nothing}, ["stream"], "the name of an editor is ''; expected a non-empty text"),
        ({"joint": nothing}, ["stream"], "an editor is called 'joint'; expected another name"),
        ({"mine": 5}, ["stream"], "the editor is a int; expected a function"),
        (
            {"fine": nothing, "mine": failing},
            ["stream"],
            "the editor mine raised ZeroDivisionError: 'no luck'; expected",
        ),
        (
            {"mine": lambda weight, *_: weight / 0},
            ["stream"],
            "editor mine returned 12 NaN or infinite entries of 12",
        ),
        ({"mine": lambda weight, *_: weight.T}, ["stream"], "the editor mine returned shape"),
        ({"mine": lambda *_: None}, ["stream"], "the editor mine returned a NoneType"),
    ],
)
def test_editors_that_cannot_run_are_refused_before_the_work(editors, parts, message):
    with pytest.raises(ks.KsError, match=message):
        ks.measure("no model", parts=parts, editors=editors)
