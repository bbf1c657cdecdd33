"""What an audit says that edits cost, against edits really made in the three trained families."""

import numpy as np
import pytest
import torch
from checkout import MODELS
from reference_statistics import statements_corpus

from ks_core.auditing.predict import audit
from ks_core.auditing.simulation import simulate_alone
from ks_core.auditing.together import together
from ks_core.errors import InputError
from ks_core.measurement.cached_values import cached_target_values
from ks_core.measurement.kept_facts import in_batches, rivals_of
from ks_core.measurement.known import known_facts
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.measurement.scoring import continuation_log_probabilities
from ks_core.models.editing import edited
from ks_core.models.loading import load_model
from ks_core.statistics.means import mean_of
from ks_core.theory.editing import Edit, joint_edit, single_edit
from ks_core.theory.whitening import whiten

EDITS, FACTS = 4, 300
LAYERS = (0, 1)

READS = 2e-3
"""Nats. A float32 pass rounds logits of size 20 by 1e-6 of them, other batches in another order, and a log-probability
of -20 by as much again; edits of ten times the value's length carry that on."""


@pytest.fixture(scope="module", params=["ks-gpt2-l4", "ks-neox-l4", "ks-llama-l4"])
def made(request, tmp_path_factory):
    """A family's model, edits, facts to keep, and what the edits really cost them in each layer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        model = load_model(MODELS / request.param)
        facts = known_facts(model).facts
        edits = facts[7 :: len(facts) // EDITS][:EDITS]  # not those that the screen was made with
        keep = tuple(fact for fact in facts if fact not in edits)[:FACTS]
        moments = collect_second_moments(model, statements_corpus(), tokens=4096)
        yield model, edits, keep, moments, {layer: really_lost(model, edits, keep, moments, layer) for layer in LAYERS}


def own(model, keep):
    return np.array(
        continuation_log_probabilities(
            model, [fact.text for fact in keep], [fact.target_true for fact in keep], per_token=True
        )
    )


def really_lost(model, edits, keep, moments, layer):
    values, whitening = cached_target_values(model, edits, layer), whiten(moments.at(layer).matrix)
    weight, before, lost = model.adapter.weight(layer), own(model, keep), []
    for key, value in zip(values.keys, values.values, strict=True):
        with edited(model.adapter, layer, single_edit(weight, key, value, whitening).delta()):
            lost.append(before - own(model, keep))
    return np.stack(lost)


def precision(found, lost):
    """Of the ten facts that an edit really hurts most, the share among the ten that the audit lists first."""
    shares = []
    for number in range(EDITS):
        worst = {found.keep[place].case_id for place in np.argsort(-lost[number])[:10]}
        listed = {of.fact.case_id for of in found.worst(number, 10)}
        shares.append(len(worst & listed) / 10)
    return float(np.mean(shares))


def test_nine_of_the_ten_facts_that_an_edit_really_hurts_are_listed_first(made):
    model, edits, keep, moments, lost = made
    found = {layer: audit(model, edits, keep, layer=layer, moments=moments) for layer in LAYERS}
    precisions = [precision(found[layer], lost[layer]) for layer in LAYERS]
    assert np.mean(precisions) >= 0.9, precisions
    chance = 10 / len(keep)
    assert min(precisions) > 20 * chance
    for layer in LAYERS:
        known = np.isfinite(found[layer].losses)
        assert EDITS * 50 <= known.sum() < EDITS * len(keep)
        np.testing.assert_allclose(found[layer].losses[known], lost[layer][known], atol=READS)


def test_all_simulated_is_all_that_is_lost(made):
    model, edits, keep, moments, lost = made
    found = audit(model, edits, keep, layer=1, moments=moments, exact="all")
    assert found.simulated == EDITS * len(keep)
    np.testing.assert_allclose(found.losses, lost[1], atol=READS)
    worst = [[of.loss for of in found.worst(number, 10)] for number in range(EDITS)]
    np.testing.assert_allclose(worst, -np.sort(-lost[1], axis=1)[:, :10], atol=READS)
    np.testing.assert_allclose(found.before, own(model, keep), atol=READS)


def test_facts_are_overtaken_where_they_really_are_by_who_really_does(made):
    model, edits, keep, moments, _ = made
    found = audit(model, edits, keep, layer=1, moments=moments, exact="all")
    whitening, weight = whiten(moments.at(1).matrix), model.adapter.weight(1)
    values = cached_target_values(model, edits, 1)
    number, places = next((n, np.flatnonzero(row)[:4]) for n, row in enumerate(found.overtaken) if row.any())
    edit = single_edit(weight, values.keys[number], values.values[number], whitening)
    for place in places.tolist():
        fact, by = keep[place], found.pair(number, place).overtaken_by
        leads = [_lead(model, fact, by)]
        with edited(model.adapter, 1, edit.delta()):
            leads.append(_lead(model, fact, by))
        assert leads[0] > 0 >= leads[1] - READS


def _lead(model, fact, other):
    """Of a fact's own object over another where their tokens part."""
    mine, theirs = (model.tokenizer(f"{fact.text} {name}")["input_ids"] for name in (fact.target_true, other))
    place = next(n for n, (one, two) in enumerate(zip(mine, theirs, strict=False)) if one != two)
    ids = torch.tensor([mine[:place]])
    logits = model.adapter.logits(ids, torch.ones_like(ids))[0, -1]
    return float(logits[mine[place]] - logits[theirs[place]])


def test_all_edits_together_cost_what_the_joint_edit_really_costs(made):
    model, edits, keep, moments, _ = made
    found = audit(model, edits, keep, layer=1, moments=moments, exact=1)
    assert found.method == "joint"
    values = cached_target_values(model, edits, 1)
    made_jointly = joint_edit(model.adapter.weight(1), values.keys, values.values, whiten(moments.at(1).matrix))
    before = own(model, keep)
    with edited(model.adapter, 1, made_jointly.delta()):
        lost = before - own(model, keep)
    np.testing.assert_allclose(found.together.losses, lost, atol=10 * READS)  # losses of up to ten nats
    worst = found.together.worst(3)
    assert [of.loss for of in worst] == sorted(found.together.losses.tolist(), reverse=True)[:3]


def test_an_edit_that_is_planted_wrong_is_not_what_was_audited(made):
    """The check above can fail: one of another strength costs something else."""
    model, edits, keep, moments, lost = made
    values, whitening = cached_target_values(model, edits, 1), whiten(moments.at(1).matrix)
    weight = model.adapter.weight(1)
    edit = single_edit(weight, values.keys[0], values.values[0], whitening)
    before = own(model, keep)
    with edited(model.adapter, 1, 1.1 * edit.delta()):
        assert np.abs(before - own(model, keep) - lost[1][0]).max() > 10 * READS


def test_order_and_joining_save_what_they_really_save(made):
    model, edits, keep, moments, _ = made
    found = audit(model, edits, keep, layer=1, moments=moments, exact=1)
    values, whitening = cached_target_values(model, edits, 1), whiten(moments.at(1).matrix)
    order = list(found.plan.order)
    for places, expected in ((range(EDITS), found.plan.as_given), (order, found.plan.gentlest)):
        weight, held = model.adapter.weight(1), np.empty(EDITS)
        changed = weight.double()
        for place in places:
            changed = changed + single_edit(changed, values.keys[place], values.values[place], whitening).delta()
        with edited(model.adapter, 1, changed - weight.double()):
            held[:] = continuation_log_probabilities(
                model, [fact.text for fact in edits], [fact.target_new for fact in edits], per_token=True
            )
        np.testing.assert_allclose(expected, held, atol=READS)
    assert found.plan.saved_by_order == mean_of(found.plan.gentlest - found.plan.as_given)
    some = [1, 3]
    assert found.plan.saved_by_joining(some) == mean_of((found.plan.jointly - found.plan.as_given)[some])


def test_edits_whose_outcome_is_no_number_are_refused(made):
    """NaN is over no limit, and would read as a pair that was only screened."""
    model, edits, keep, *_ = made
    broken = Edit(torch.full((model.adapter.d_value, 1), 1e30), torch.full((1, model.adapter.d_key), 1e30))
    with pytest.raises(InputError, match=r"the log-probability of .* is nan; expected a finite number"):
        together(model, {1: broken}, keep[:4], edits)
    batches = in_batches(model, keep[:4], rivals_of(keep[:4], edits))
    with pytest.raises(InputError, match=r"with an edit simulated, .* is NaN or infinite"):
        simulate_alone(model, 1, broken.left.T, broken.right, batches, torch.ones(1, 4, dtype=torch.bool))
