"""Streams in folders: they go on as one closed form of all edits, and an edit that is taken out never was."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from errors import refused
from patched import (
    LAYER,
    MODELS,
    SEARCH,
    TRAINED,
    condition_of,
    dense,
    moments_of,
    same_up_to_rounding,
    snapshot,
    some_edits,
    text,
    tiny,
)

import ks_core as ks
from ks_core.errors import InputError
from ks_core.measurement.whitening import TextWhitening
from ks_core.patches.patch import Patch, joined
from ks_core.theory.methods import METHODS as STREAMS

EPS = torch.finfo(torch.float64).eps
FACTS = ks.load_facts()
PROTECTED = FACTS[200:202]
METHODS = {"sequential": {}, "joint": {}, "null-space": {}, "protected": {"protect": PROTECTED}}


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("method", ["sequential", "joint"])
def test_a_stream_goes_on_as_if_all_were_made_at_once(tmp_path, name, method, monkeypatch):
    """The first part is as long as a batch of the search, whose numbers depend on what is searched beside them."""
    model, cut = ks.load_model(MODELS / name), 16
    for module in ("values", "cached_values"):
        monkeypatch.setattr(f"ks_core.measurement.{module}.EDITS_AT_ONCE", cut)
    facts = FACTS[: cut + 2]
    at_once = some_edits(model, facts, method)
    ks.save_edits(some_edits(model, facts[:cut], method), tmp_path / "edits")
    ks.append_edits(model, facts[cut:], tmp_path / "edits")
    same_up_to_rounding(*ks.load_edits(tmp_path / "edits"), at_once)


@pytest.mark.parametrize("method", ["sequential", "joint"])
def test_what_is_joined_is_the_closed_form_of_all_that_is_stored(tmp_path, method):
    """Wherever it was cut: of the keys and values as they are stored, by the method itself."""
    model, facts = ks.load_model(MODELS / "ks-llama-l4"), FACTS[20:27]
    ks.save_edits(some_edits(model, facts[:5], method), tmp_path / "edits")
    ks.append_edits(model, facts[5:], tmp_path / "edits")
    [found] = ks.load_edits(tmp_path / "edits")
    space = TextWhitening(moments_of(model), found.ridge).whole(LAYER)
    anew = STREAMS[method](space).edit(model.adapter.weight(LAYER).double(), found.values.keys, found.values.values)
    same_up_to_rounding(found, replace(found, edit=anew))


def rounded_search(model, dtype):
    """What a search in another batch may move the values by, in lengths of what it changes.

    A gradient is off by r, as a log-probability is: 16 independent roundings a layer, of sums in blocks. Adam divides
    each of its entries by that entry's own size, so an entry of size c (the root mean square is 1) steps otherwise by
    r / c, and one below r may turn round, by 2. With entries spread evenly around 0 the mean square of that is below
    4 r a step, and the steps may add up.
    """
    roundings = 16 * model.adapter.num_layers * (1 + math.log2(model.adapter.d_key))
    nats = 1 + math.log(model.model.config.vocab_size)
    return 2 * SEARCH.steps * math.sqrt(torch.finfo(dtype).eps / 2 * math.sqrt(roundings) * nats)


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_stream_cut_inside_a_batch_differs_by_the_rounding_of_the_search(name, dtype):
    """In float64 the same bound is below a hundred thousandth: nothing but rounding is in it."""
    model, facts = ks.load_model(MODELS / name, dtype=str(dtype).removeprefix("torch.")), FACTS[20:27]
    at_once = some_edits(model, facts)
    found = joined(some_edits(model, facts[:5]), some_edits(model, facts[5:]))
    assert found.facts == at_once.facts
    allowed = rounded_search(model, dtype) * condition_of(at_once.terms)
    off = float((dense(found) - dense(at_once)).norm() / dense(at_once).norm())
    assert off <= allowed < (0.2 if dtype == torch.float32 else 1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_on_and_takes_back(tmp_path, model, method):
    """All methods, on given numbers: what is searched again is the same, in one batch or in two."""
    edits = some_edits(model, FACTS[:4], method, **METHODS[method])
    ks.save_edits(edits, tmp_path / "edits")
    ks.undo_edits(tmp_path / "edits", [FACTS[1].case_id, FACTS[3].case_id])
    [left] = ks.load_edits(tmp_path / "edits")
    assert left.facts == (FACTS[0], FACTS[2])
    never = replace(edits, facts=left.facts, terms=edits.terms.at([0, 2]))
    assert torch.equal(left.terms.residuals, never.terms.residuals)
    # Searched in float32 in another batch, whose sums round otherwise; the planted fault would be of the edits' size.
    of_their_own = some_edits(model, [FACTS[0], FACTS[2]], method, **METHODS[method])
    assert float((dense(left) - dense(of_their_own)).norm()) < 1e-3 * float(dense(of_their_own).norm())
    later = some_edits(model, FACTS[1:2], method, **METHODS[method])
    same_up_to_rounding(joined(joined_first(edits, [0]), joined_first(edits, [2])), left)
    ks.append_edits(model, FACTS[1:2], tmp_path / "edits")
    [again] = ks.load_edits(tmp_path / "edits")
    assert again.facts == (FACTS[0], FACTS[2], FACTS[1])
    assert torch.equal(again.terms.directions[2], later.terms.directions[0])


def joined_first(edits, places):
    """Some of the edits, as if made on their own from the same numbers."""
    gone = [fact.case_id for place, fact in enumerate(edits.facts) if place not in places]
    return Patch("adapter", (edits,)).without(gone).edits[0]


def test_an_edit_taken_out_is_as_if_it_never_was(tmp_path, model):
    """The same bits in the files too, whichever way they came about."""
    edits = some_edits(model, FACTS[:3])
    first, other = tmp_path / "first", tmp_path / "other"
    ks.save_edits(edits, first)
    ks.undo_edits(first, [FACTS[2].case_id])
    ks.save_edits(joined_first(edits, [0, 1]), other)
    assert snapshot(first) == snapshot(other)


def test_loaded_edits_are_those_that_were_saved(tmp_path, model):
    edits = some_edits(model, FACTS[:3], "protected", protect=PROTECTED)
    ks.save_edits(edits, tmp_path / "edits")
    [loaded] = ks.load_edits(tmp_path / "edits")
    for name in ("base", "layer", "method", "facts", "search", "moments", "ridge", "protected", "before_sha256"):
        assert getattr(loaded, name) == getattr(edits, name), name
    assert torch.equal(loaded.terms.residuals, edits.terms.residuals)
    assert torch.equal(loaded.terms.directions, edits.terms.directions)
    same_up_to_rounding(loaded, edits)  # computed from these anew: how they lie in memory moves last digits
    assert torch.equal(loaded.reached, edits.reached)
    before = model.weights_sha256
    with ks.applied(model, loaded):
        assert model.weights_sha256 != before


def mine(weight, keys, values, _second_moment):
    residuals = values - keys @ weight.T
    return weight + residuals.T @ keys / keys.square().sum()


def test_an_editor_of_ones_own_is_saved_and_neither_added_to_nor_taken_back(tmp_path, model):
    edits = some_edits(model, FACTS[:3], mine)
    ks.save_edits(edits, tmp_path / "edits")
    [loaded] = ks.load_edits(tmp_path / "edits")
    assert torch.equal(dense(loaded), dense(edits))
    saved = snapshot(tmp_path)
    with refused(InputError, what="the editor 'mine'", expected="sequential, joint", remedy="make all of them anew"):
        ks.append_edits(model, FACTS[3:4], tmp_path / "edits")
    with refused(InputError, what="the editor 'mine'", expected="sequential, joint", remedy="make all of them anew"):
        ks.undo_edits(tmp_path / "edits", [FACTS[0].case_id])
    assert snapshot(tmp_path) == saved


@pytest.fixture
def folder(tmp_path, model):
    ks.save_edits(some_edits(model, FACTS[:3]), tmp_path / "edits")
    return tmp_path / "edits"


def test_what_is_not_of_the_stream_is_refused(folder, model):
    saved = snapshot(folder)
    with refused(InputError, what="2 edits have the case id", expected="every case once", remedy="take the one"):
        ks.append_edits(model, FACTS[1:2], folder)
    other = ks.load_model(tiny().model, tiny().tokenizer)
    other.adapter.weight(2).mul_(2)
    with refused(InputError, what="the weights of", expected="that very model", remedy="load it as it was"):
        ks.append_edits(other, FACTS[3:4], folder)
    with refused(InputError, what="are of layers (1,), without layer 0", expected="of that layer"):
        ks.append_edits(model, FACTS[3:4], folder, layer=0)
    with refused(InputError, what="layer 3 does not exist", expected="0 to 2"):
        ks.append_edits(model, FACTS[3:4], folder, layer=3)
    longer = ks.second_moments(model, tokens=100, corpus=text(), layers=[LAYER])
    with refused(InputError, what="the text of the second moments of the new edits", got="100 tokens", expected="same"):
        ks.append_edits(model, FACTS[3:4], folder, moments=longer)
    assert snapshot(folder) == saved


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"method": "sequential"}, "the method of the new edits is 'sequential', and 'joint'"),
        ({"ridge": 0.5}, "the ridge of the new edits is 0.5, and 0.1"),
        ({"search": ks.ValueSettings(steps=3)}, "the search of the new edits"),
        ({"protected": FACTS[7:8]}, "the list of protected facts of the new edits"),
    ],
)
def test_edits_of_two_kinds_are_not_joined(model, changed, what):
    edits, later = some_edits(model, FACTS[:2]), some_edits(model, FACTS[2:3])
    with refused(InputError, what=what, expected="the same", remedy="a folder of their own"):
        joined(edits, replace(later, **changed))


def in_layer(model, layer, facts, **options):
    """Edits in any layer, made like `some_edits`."""
    moments = ks.second_moments(model, tokens=2 * model.adapter.d_key, corpus=text(), layers=[0, 1, 2])
    return ks.edit(model, facts, layer, **{"moments": moments, "ridge": 0.1, "search": SEARCH, **options})


@pytest.mark.parametrize("method", METHODS)
def test_a_layer_without_edits_gets_a_closed_form_of_its_own(tmp_path, model, method):
    """Made like those that are there, on the unedited model; it goes with its last edit."""
    options = {**METHODS[method], "method": method, "ridge": 0.0 if method == "null-space" else 0.1}
    first, other = (in_layer(model, layer, FACTS[at : at + 2], **options) for layer, at in ((1, 0), (0, 2)))
    ks.save_edits(first, tmp_path / "edits")
    before, record = snapshot(tmp_path), "edits.json"
    ks.append_edits(model, FACTS[2:4], tmp_path / "edits", layer=0, moments=first.moments)
    found = ks.load_edits(tmp_path / "edits")
    assert [(edits.layer, edits.facts) for edits in found] == [(0, other.facts), (1, first.facts)]
    for edits, made in zip(found, (other, first), strict=True):
        assert torch.equal(dense(edits), dense(made))
        assert (edits.method, edits.ridge, edits.protected) == (method, made.ridge, made.protected)
    with refused(InputError, what="no layer was named", got="several (0, 1)", remedy="--layer"):
        ks.append_edits(model, FACTS[4:5], tmp_path / "edits")
    ks.undo_edits(tmp_path / "edits", [fact.case_id for fact in FACTS[2:4]])
    assert snapshot(tmp_path)[f"edits/{record}"] == before[f"edits/{record}"], "the files' hashes are in it"
    assert snapshot(tmp_path) == before


def test_a_layer_is_not_added_in_another_way_than_those_that_are_there(tmp_path, model):
    """Nor where those that are there differ, and it is not known like which it is to be made."""
    ks.save_edits(in_layer(model, 1, FACTS[:2]), tmp_path / "edits")
    [edits] = ks.load_edits(tmp_path / "edits")
    patch = Patch("adapter", (edits,))
    with refused(InputError, what="the ridge of the new edits is 0.5, and 0.1", expected="the same"):
        patch.with_more(in_layer(model, 0, FACTS[2:3], ridge=0.5))
    ks.save_edits([edits, in_layer(model, 0, FACTS[2:3], method="sequential")], tmp_path / "both")
    saved = snapshot(tmp_path)
    with refused(
        InputError,
        what="the method of layer 1 is 'joint', and 'sequential' for layer 0",
        remedy="a folder of their own",
    ):
        ks.append_edits(model, FACTS[3:4], tmp_path / "both", layer=2, moments=edits.moments)
    assert snapshot(tmp_path) == saved
    ks.append_edits(model, FACTS[3:4], tmp_path / "both", layer=0, moments=edits.moments)
    assert [edits.method for edits in ks.load_edits(tmp_path / "both")] == ["sequential", "joint"]


def test_a_case_that_is_not_there_cannot_be_taken_out(folder):
    there = ", ".join(str(fact.case_id) for fact in FACTS[:3])
    saved = snapshot(folder)
    with refused(InputError, what="no edit of case 987654", expected=f"one of the 3 that are: {there}"):
        ks.undo_edits(folder, [FACTS[0].case_id, 987654])
    with refused(InputError, what="are all its edits", expected="some that stay", remedy="remove the folder"):
        ks.undo_edits(folder, [fact.case_id for fact in FACTS[:3]])
    with refused(InputError, what="case ids is", expected="each once and at least one"):
        ks.undo_edits(folder, [])
    assert snapshot(folder) == saved


def test_edits_that_are_not_one_patch_are_refused(tmp_path, model):
    edits = some_edits(model, FACTS[:2])
    with refused(InputError, what="2 of the Edits are of layer 1", expected="one for each layer"):
        ks.save_edits([edits, edits], tmp_path / "edits")
    with refused(InputError, what="no edits were given"):
        ks.save_edits([], tmp_path / "edits")
    with refused(InputError, what="kind is 'onnx'", expected="adapter, model"):
        ks.save_edits(edits, tmp_path / "edits", "onnx")
    with refused(InputError, what="edits is 5", expected="Edits"):
        ks.save_edits(5, tmp_path / "edits")
    deeper = ks.edit(model, FACTS[:1], 0, moments=ks.second_moments(model, 100, corpus=text()), search=SEARCH, ridge=1)
    with refused(InputError, what="2 edits have the case id", expected="every case once"):
        ks.save_edits([edits, deeper], tmp_path / "edits")
    assert list(tmp_path.iterdir()) == []
    assert moments_of(model).layers == (LAYER,)
