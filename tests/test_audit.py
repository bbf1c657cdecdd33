"""What an audit predicts, against single edits that are really made; and what it refuses."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from measured import write_everything

from ks_core.auditing.files import as_json
from ks_core.auditing.predict import audit
from ks_core.auditing.table import table
from ks_core.data.corpus import load_corpus
from ks_core.data.facts import load_facts
from ks_core.errors import InputError, KsError
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.measurement.values import target_values
from ks_core.models.editing import module_change
from ks_core.models.fingerprint import weights_sha256
from ks_core.models.loading import load_model
from ks_core.theory.editing import single_edit
from ks_core.theory.whitening import whiten

TOKENS = 1600


@pytest.fixture(scope="module", params=["gpt2", "gpt_neox", "llama"])
def audited(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        paths = write_everything(folder, request.param, layers=3)
        model, facts = load_model(paths["model"]), load_facts(paths["facts"]).facts
        edits, keep = facts[24:28], facts[30:40]
        yield model, paths, edits, keep, audit(model, edits, keep, corpus=paths["corpus"], tokens=TOKENS)


def test_shares_are_what_edits_really_made_are_felt_by(audited):
    model, paths, edits, keep, found = audited
    layer = found.layer
    moments = collect_second_moments(model, load_corpus(paths["corpus"]), tokens=TOKENS)
    whitening, weight = whiten(moments.at(layer).matrix), model.adapter.weight(layer)
    values = target_values(model, edits, layer)
    keys = subject_keys(model, keep, [layer])[layer]
    for number in range(len(edits)):
        edit = single_edit(weight, values.keys[number], values.values[number], whitening)
        moved = module_change(model.adapter, layer, edit.delta(), keys)
        residual = values.values[number] - weight.double() @ values.keys[number]
        felt = (moved @ residual / residual.square().sum()).numpy()
        # the module rounds to float32, and so do searches in batches
        np.testing.assert_allclose(found.shares[number], felt, rtol=1e-3, atol=1e-5)


def test_nothing_is_edited(audited):
    model, *_ = audited
    assert weights_sha256(model.model) == model.weights_sha256


def test_the_layer_is_the_cheapest_of_those_tried(audited):
    _, _, _, keep, found = audited
    assert [of.layer for of in found.layers] == [0, 1], "the last one reaches no later token"
    assert found.layer == min(found.layers, key=lambda of: of.price).layer
    chosen = next(of for of in found.layers if of.layer == found.layer)
    assert chosen.loss == pytest.approx(float(np.clip(found.losses, 0, None).mean()), rel=1e-3, abs=1e-6)
    assert chosen.reached == pytest.approx(found.reached, rel=1e-3)
    assert all(of.loss_error >= 0 and of.facts == len(keep) for of in found.layers)


def test_layers_that_are_asked_for_are_tried(audited):
    model, paths, edits, keep, _ = audited
    found = audit(model, edits[:1], keep, layers=[2], corpus=paths["corpus"], tokens=TOKENS)
    assert ([of.layer for of in found.layers], found.layer) == ([2], 2)
    assert math.isnan(found.layers[0].loss_error), "of a single edit"
    with pytest.raises(InputError, match="expected one of the two"):
        audit(model, edits[:1], keep, layer=1, layers=[1], corpus=paths["corpus"], tokens=TOKENS)
    with pytest.raises(InputError, match="layers is empty"):
        audit(model, edits[:1], keep, layers=[], corpus=paths["corpus"], tokens=TOKENS)


def test_all_together_are_made_as_is_asked_for(audited):
    model, paths, edits, keep, joint = audited
    asked = {"layer": joint.layer, "corpus": paths["corpus"], "tokens": TOKENS}
    sequential = audit(model, edits, keep, method="sequential", **asked)
    assert sequential.method == "sequential"
    dependent = model.adapter.model_type == "gpt_neox"  # its first layer sees the last token alone, and two end alike
    assert joint.method == ("sequential" if dependent else "joint")
    assert (sequential.together.losses != joint.together.losses).any() == (not dependent)
    with pytest.raises(InputError, match="method is 'null-space'; expected joint or sequential"):
        audit(model, edits, keep, method="null-space", **asked)
    twins = audit(model, [edits[0], replace(edits[0], case_id=999, prompt="{} is", relation_id="P9")], keep, **asked)
    assert twins.method in ("joint", "sequential")


def test_the_worst_are_ranked_by_what_they_lose(audited):
    _, _, edits, keep, found = audited
    worst = found.worst(1, 3)
    assert [of.edit for of in worst] == [edits[1]] * 3
    assert [of.loss for of in worst] == sorted(found.losses[1].tolist(), reverse=True)[:3]
    place = keep.index(worst[0].fact)
    assert worst[0].share == found.shares[1, place]
    assert worst[0].largest_share == found.largest_shares[1, place]
    assert worst[0].first_order == found.first_order[1, place]
    assert worst[0].share_error == found.share_errors[1, place]


def test_what_was_only_screened_stands_behind_what_was_simulated(audited):
    model, paths, edits, keep, whole = audited
    found = audit(model, edits, keep, layer=whole.layer, corpus=paths["corpus"], tokens=TOKENS, exact=2)
    assert len(edits) * 2 <= found.simulated < len(edits) * len(keep) or found.simulated == whole.simulated
    rows = found.worst(0, len(keep))
    simulated = [of for of in rows if of.simulated]
    assert rows[: len(simulated)] == simulated
    assert [of.loss for of in simulated] == sorted((of.loss for of in simulated), reverse=True)
    behind = [of.first_order for of in rows[len(simulated) :]]
    assert behind == sorted(behind, reverse=True)
    known = np.isfinite(found.losses)
    np.testing.assert_allclose(found.losses[known], whole.losses[known], atol=1e-5)


def test_only_the_share_at_the_edits_own_key_has_no_error_over_text(audited):
    """P from a key to itself is 1 over any text. GPT-NeoX has such pairs: its first layer sees the last token alone."""
    model, paths, edits, keep, found = audited
    keys = subject_keys(model, [*edits, *keep], [found.layer])[found.layer]
    edited, kept = keys[: len(edits)], keys[len(edits) :]
    distance = torch.cdist(edited, kept) / edited.norm(dim=1, keepdim=True)
    # A forward pass in float32 rounds one token's key otherwise in another row: by far less than this, but not by 0.
    own = distance < 1e-4
    halves = collect_second_moments(model, load_corpus(paths["corpus"]), tokens=TOKENS).halves(found.layer)
    condition = max(float(torch.linalg.cond(half.matrix)) for half in halves)
    # |P - 1| <= |A (k' - k)| / |A k| <= sqrt(cond C) |k' - k| / |k|, and whitening in float64 rounds by eps cond C
    rounding = condition**0.5 * distance + keys.shape[1] * np.finfo(float).eps * condition
    errors, rounding = torch.from_numpy(found.share_errors), 2 * rounding  # of either half, less the whole
    assert bool(own.any()) == (model.adapter.model_type == "gpt_neox")
    assert bool((errors[own] <= rounding[own]).all())
    assert float(errors[~own].min()) > float(rounding[own].max() if own.any() else 0)


def test_order_and_groups_hold_every_edit_once(audited):
    _, _, edits, _, found = audited
    everyone = list(range(len(edits)))
    assert sorted(found.plan.order) == everyone
    assert sorted(place for group in found.plan.groups for place in group) == everyone


def test_table_and_json_say_what_was_found(audited):
    _, _, edits, keep, found = audited
    text = table(found, top=2)
    assert text.count("->") == len(edits)
    assert "nothing was edited" in text
    assert f"{found.layer:>5}" in text
    content = json.loads(json.dumps(as_json(found), allow_nan=False))
    assert content["format"] == "ks_core/audit/3"
    assert content["matrices"] is None
    assert (len(content["edits"]), len(content["kept"])) == (len(edits), len(keep))
    assert len(content["layers"]) == 2


def test_a_layer_that_is_asked_for_is_taken_and_weak_edits_are_named(audited):
    model, paths, edits, keep, found = audited
    other = (found.layer + 1) % 3
    again = audit(model, edits[:1], keep, layer=other, corpus=paths["corpus"], tokens=TOKENS)
    assert (again.layer, again.layers, again.plan) == (other, (), None)
    weak = table(replace(again, reached=(0.2,)))
    assert "(NOT REACHED: p = 0.2 of 0.95)" in weak
    assert f"1 of 1 edits do not reach p = 0.5: {edits[0].subject}" in weak
    assert "try other layers" in weak
    assert "reached" not in table(replace(again, reached=(0.96,))).lower()


def test_facts_that_are_edited_are_not_kept(audited):
    model, paths, edits, keep, _ = audited
    other_wording = replace(edits[0], case_id=999, prompt="{} is found in")
    found = audit(model, edits[:1], [other_wording, *keep], layer=0, corpus=paths["corpus"], tokens=TOKENS)
    assert found.keep == tuple(keep)
    with pytest.raises(InputError, match="no fact to keep is left beside the edits"):
        audit(model, edits, edits, corpus=paths["corpus"], tokens=TOKENS)


def test_contradicting_edits_are_warned_of(audited):
    model, paths, edits, keep, _ = audited
    other = replace(edits[0], case_id=999, target_new=edits[0].target_true, target_true=edits[0].target_new)
    with pytest.warns(UserWarning, match=f"edits {edits[0].case_id} and 999 contradict each other"):
        audit(model, [edits[0], other], keep, layer=1, corpus=paths["corpus"], tokens=TOKENS)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"layer": 3}, "layer 3 does not exist"),
        ({"edits": []}, "edits holds no facts"),
        ({"keep": []}, "facts to keep holds no facts"),
        ({"edits": "nowhere.json"}, "nowhere.json cannot be read"),
        ({"tokens": 20}, "d_key"),
        ({"corpus": "nowhere.txt"}, "does not exist"),
        ({"model": "no/such/model/here"}, "is no folder and no hub id"),
    ],
)
def test_bad_input_is_one_clear_error(audited, changed, message):
    model, paths, edits, keep, _ = audited
    given = {"model": model, "edits": edits, "keep": keep, "corpus": paths["corpus"], "tokens": TOKENS} | changed
    with pytest.raises(KsError, match=message):
        audit(given.pop("model"), given.pop("edits"), given.pop("keep"), **given)


def test_weights_that_are_not_numbers_are_refused_by_name(audited):
    model, _, edits, *_ = audited
    weight = model.adapter.weight(1)
    before = weight.clone()
    try:
        weight[0, 0] = math.nan
        with pytest.raises(InputError, match="is nan; expected a finite number"):
            target_values(model, edits, 1)
    finally:
        weight.copy_(before)
