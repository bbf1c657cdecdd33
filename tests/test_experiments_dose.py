"""Dose and response on a tiny real model, against single edits made and read one at a time."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from measured import write_everything

from ks_core.claims.bound_pairs import judge, share_overtaken, share_untouched
from ks_core.claims.finding import NotApplicable, Verdict
from ks_core.data.facts import FactSet
from ks_core.experiments.dose.choice import DoseDesign, choose_doses, dose_layers
from ks_core.experiments.dose.measure import DoseMeasurement, measure_dose
from ks_core.experiments.request.inputs import load_inputs
from ks_core.experiments.request.selection import Selection
from ks_core.experiments.request.settings import Settings
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.scoring import continuation_log_probabilities
from ks_core.measurement.values import target_values
from ks_core.models.editing import edited
from ks_core.models.fingerprint import weights_sha256
from ks_core.reporting.figures.drawing import save_figures
from ks_core.reporting.figures.streams import dose_figures
from ks_core.reporting.results import plain
from ks_core.reporting.streams import dose_numbers
from ks_core.theory.editing import single_edit
from ks_core.theory.superposition import superposition


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dose")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        paths = write_everything(folder, "llama", layers=3)
        yield load_inputs(Settings(**paths, num_facts=8, tokens=1600, resamples=40))


def select(facts, usable):
    return Selection(facts, facts, tuple(fact.case_id for fact in usable), "all of them", len(facts))


@pytest.fixture(scope="module")
def measured(inputs):
    return measure_dose(inputs, select(inputs.facts, inputs.facts.facts))


def test_a_pair_is_what_one_edit_made_by_hand_gives(inputs, measured):
    found, model = measured.response, inputs.model
    layer, number = found.layers[1], 2
    fact = found.edits[number]
    whitening = inputs.text().whole(layer)
    values = target_values(model, found.edits, layer)
    edit = single_edit(model.adapter.weight(layer), values.keys[number], values.values[number], whitening)
    keys = subject_keys(model, found.neighbours, [layer])[layer]
    dose = superposition(whitening.whiten(values.keys), whitening.whiten(keys))[number]
    for place, other in enumerate(found.neighbours):
        if other == fact or other.target_true == fact.target_new:
            assert math.isnan(found.dose[1, number, place])
            continue
        assert found.dose[1, number, place] == pytest.approx(float(dose[place]), rel=1e-5, abs=1e-7)
        new, own = ([other.text], [fact.target_new]), ([other.text], [other.target_true])
        before = [continuation_log_probabilities(model, *of, per_token=True)[0] for of in (new, own)]
        with edited(model.adapter, layer, edit.delta()):
            after = [continuation_log_probabilities(model, *of, per_token=True)[0] for of in (new, own)]
        # float32 log-probabilities of about 6, differences of two, in batches of other sizes
        assert found.response[1, number, place] == pytest.approx(after[0] - before[0], abs=1e-4)
        assert found.kept_response[1, number, place] == pytest.approx(after[1] - before[1], abs=1e-4)
        assert bool(found.overtaken[1, number, place]) == (after[0] > after[1])


def test_the_first_order_prediction_is_the_limit_of_small_shares(inputs, measured):
    """A tiny part of P δ put in by hand at the subject moves the log-probability by that part of the prediction."""
    found, model = measured.response, inputs.model
    layer, number, share = found.layers[1], 1, 1e-2
    fact, place = found.edits[number], int(np.nanargmax(np.abs(found.predicted[1, number])))
    other = found.neighbours[place]
    values = target_values(model, found.edits, layer)
    residual = values.values[number] - model.adapter.weight(layer).double() @ values.keys[number]
    prompts = model.tokenizer(f"{other.text} {fact.target_new}", return_tensors="pt")
    last = model.tokenizer(other.text[: other.subject_span[1]], return_tensors="pt")["input_ids"].shape[1] - 1
    ids = prompts["input_ids"]
    start = model.tokenizer(other.text, return_tensors="pt")["input_ids"].shape[1]

    def log_probability(scale):
        shift = torch.zeros(1, ids.shape[1], model.adapter.d_value)
        shift[0, last] = scale * float(found.dose[1, number, place]) * residual
        with torch.inference_mode(), model.adapter.shifted_values(layer, shift):
            logits = model.adapter.logits(ids, torch.ones_like(ids)).double().log_softmax(-1)[0]
        return float(logits[range(start - 1, ids.shape[1] - 1), ids[0, start:]].mean())

    moved = (log_probability(share) - log_probability(-share)) / (2 * share)
    # central difference: an error of share², and float32 rounding over 2 share
    assert moved == pytest.approx(found.predicted[1, number, place], rel=2e-2, abs=1e-4)


def test_the_model_is_restored(inputs, measured):
    assert measured.response is not None
    assert weights_sha256(inputs.model.model) == inputs.model.weights_sha256


def test_halves_of_the_text_give_other_doses_and_responses(measured):
    found = measured.response
    known = ~np.isnan(found.dose)
    assert not np.array_equal(found.dose[known], found.dose_of_half[known])
    assert not np.array_equal(found.response[known], found.response_of_half[known])


def test_findings_have_errors_from_both_kinds_and_from_text(measured):
    findings = {finding.part: finding for finding in judge(measured)}
    assert set(findings) == {"dose", "bound", "free", "gradient", "kept"}
    assert findings["dose"].judged.facts_error > 0
    assert findings["dose"].judged.text_error > 0
    assert findings["dose"].count == measured.response.pairs


def test_report_and_figure_are_written(measured, tmp_path):
    assert '"response"' in json.dumps(plain(dose_numbers(measured)), allow_nan=False)
    (path,), problems = save_figures(tmp_path, dose_figures(measured, "tiny"))
    assert problems == []
    assert path.read_bytes().startswith(b"\x89PNG")


def test_without_a_relation_of_three_facts_nothing_is_measured(inputs):
    facts = FactSet(inputs.facts.facts[:1] + inputs.facts.facts[12:13], "two", "0", "test")
    found = measure_dose(inputs, select(inputs.facts, facts))
    assert found.response is None
    assert dose_numbers(found) == {}
    assert dose_figures(found, "tiny") == {}
    assert judge(found) == NotApplicable(
        "no relation has three usable facts, or only the model's last layer was measured"
    )


@given(st.integers(0, 10**6), st.integers(3, 60))
def test_doses_are_chosen_by_the_nearest_neighbours(seed, n):
    shares = torch.from_numpy(np.random.default_rng(seed).standard_normal((2, n, n)))
    edits, read = choose_doses([*shares], DoseDesign(relations=1, edits=5, neighbours=30))
    off = [max((float(shares[layer, i, j]), j) for layer in (0, 1) for j in range(n) if j != i) for i in range(n)]
    expected = sorted(range(n), key=lambda i: -off[i][0])[: min(5, n - 1)]
    assert edits == sorted(expected)
    assert len(read) == min(30, n)
    assert set(edits) | {off[i][1] for i in edits} <= set(read)
    assert read == sorted(set(read))


def test_relations_are_measured_as_if_alone_and_nothing_is_read_between_them(inputs, measured):
    """The relation that comes first gives what it gives alone."""
    both = measure_dose(inputs, select(inputs.facts, inputs.facts.facts), DoseDesign(2, 8, 40)).response
    alone = measured.response
    edits, neighbours = len(alone.edits), len(alone.neighbours)
    assert both.relation == "P0, P1"
    assert (both.edits[:edits], both.neighbours[:neighbours]) == (alone.edits, alone.neighbours)
    assert len(both.edits) == both.reached.shape[1] > edits
    for name in ("dose", "response", "overtaken", "kept_predicted"):
        found = getattr(both, name)
        assert found.shape == (len(both.layers), len(both.edits), len(both.neighbours))
        np.testing.assert_array_equal(found[:, :edits, :neighbours], getattr(alone, name))
    same = np.array([[one.relation_id == other.relation_id for other in both.neighbours] for one in both.edits])
    assert np.isnan(both.dose[:, ~same]).all()
    assert both.pairs > alone.pairs


def test_dose_layers_are_each_once():
    assert dose_layers(range(30), 30) == (3, 9, 17)
    assert dose_layers([7], 30) == (7,)


def test_the_last_layer_is_never_edited_as_nothing_after_it_reads_what_it_writes(inputs):
    """By what happens: an edit in the last layer leaves what the model says at the end of a prompt as it was."""
    last = inputs.model.adapter.num_layers - 1
    assert dose_layers([0, last], last + 1) == (0,)
    assert dose_layers([last], last + 1) == ()
    facts = inputs.facts.facts[:2]
    asked = [fact.text for fact in facts], [fact.target_new for fact in facts]
    before = continuation_log_probabilities(inputs.model, *asked, per_token=True)
    values = target_values(inputs.model, facts, last)
    whitening = inputs.text().whole(last)
    edit = single_edit(inputs.model.adapter.weight(last), values.keys[0], values.values[0], whitening)
    with edited(inputs.model.adapter, last, edit.delta()):
        after = continuation_log_probabilities(inputs.model, *asked, per_token=True)
    np.testing.assert_allclose(before, after, atol=1e-6)


def test_shares_of_pairs_are_undefined_without_such_pairs():
    dose, one = np.array([0.3, 0.4]), np.array([1.0, 1.0])
    assert math.isnan(share_overtaken(dose, one))
    assert math.isnan(share_untouched(dose, one))
    assert share_overtaken(np.array([0.8, 0.9, 0.1]), np.array([1.0, 0.0, 1.0])) == 0.5
    assert share_untouched(np.array([0.05, -0.05, 0.0, 0.9]), np.array([0.69, -0.7, 0.1, 9.0])) == pytest.approx(2 / 3)


def test_a_planted_response_that_ignores_the_dose_does_not_hold(measured):
    rng = np.random.default_rng(0)
    found = measured.response
    noise = np.where(np.isnan(found.dose), np.nan, rng.standard_normal(found.dose.shape))
    blind = DoseMeasurement(replace(found, response=noise, response_of_half=noise), 40, 0, {})
    verdicts = {finding.part: finding.verdict for finding in judge(blind)}
    assert verdicts["dose"] is Verdict.FAILS
