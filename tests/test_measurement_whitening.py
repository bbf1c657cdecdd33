"""One door to the whitening of a layer over a part of the text: everything that whitens goes through it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from errors import refused
from measured import write_everything
from tiny_models import byte_level_tokenizer, tiny_model

from ks_core.auditing.predict import audit
from ks_core.auditing.table import table
from ks_core.errors import InputError, RankDeficientError
from ks_core.experiments.dose.measure import measure_dose
from ks_core.experiments.pairs.measure import measure
from ks_core.experiments.request.inputs import Inputs, load_inputs
from ks_core.experiments.request.selection import select_facts
from ks_core.experiments.request.settings import Settings
from ks_core.experiments.streams.lossless import losslessness
from ks_core.experiments.streams.measure import measure_stream
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.whitening import TextWhitening
from ks_core.models.loading import load_model
from ks_core.theory.superposition import superposition
from ks_core.theory.whitening import whiten

TOKENS = 1600
SILENT = {0: [3, 7], 2: [0]}
"""layer → neurons that never fire"""


def save_opt(folder: Path, change) -> str:
    """A tiny OPT, whose MLP is a ReLU, with something changed in its first linear maps."""
    model = tiny_model("opt", layers=3)
    with torch.no_grad():
        for layer, block in enumerate(model.model.decoder.layers):
            change(layer, block.fc1)
    model.save_pretrained(folder)
    byte_level_tokenizer().save_pretrained(folder)
    return str(folder)


def silence(layer: int, fc1: torch.nn.Linear) -> None:
    fc1.weight[SILENT.get(layer, [])] = 0.0
    fc1.bias[SILENT.get(layer, [])] = -1.0


def twin(layer: int, fc1: torch.nn.Linear) -> None:
    if layer == 0:
        fc1.weight[1], fc1.bias[1] = fc1.weight[0].clone(), fc1.bias[0].clone()
        fc1.weight[2] = 0.0  # silent besides
        fc1.bias[2] = -1.0


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("silent")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        paths = write_everything(folder, "opt", layers=3)
        yield folder, paths


@pytest.fixture(scope="module")
def inputs(prepared) -> Inputs:
    folder, paths = prepared
    paths = paths | {"model": save_opt(folder / "silent", silence)}
    return load_inputs(Settings(**paths, num_facts=6, tokens=TOKENS, resamples=40))


def test_a_model_with_silent_neurons_is_measured_and_they_are_counted(inputs, caplog):
    with caplog.at_level("INFO"):
        found = measure(inputs.settings, inputs=inputs)
    counts = [pairs.silent_neurons for pairs in found.pairs]  # a random ReLU model has some of its own
    assert all(count >= len(SILENT.get(layer, [])) for layer, count in enumerate(counts))
    assert any(f"{sum(counts)} neurons never fired and are left out, most in layer" in line for line in caplog.messages)
    keys = subject_keys(inputs.model, found.selection.measured.facts)
    matrix = inputs.text().second_moment(0)
    fires = torch.nonzero(matrix.diagonal()).flatten().tolist()
    assert len(fires) == len(matrix) - counts[0]
    assert not set(fires) & set(SILENT[0])
    matrix = matrix[fires][:, fires]
    expected = superposition(whiten(matrix).whiten(keys[0][:, fires])).numpy()
    np.testing.assert_allclose(found.pairs[0].matrices["P"], expected, rtol=0, atol=1e-10)


def test_streams_and_doses_run_on_a_model_with_silent_neurons(inputs):
    selection = select_facts(inputs.model, inputs.facts, 6)
    for layers in ((0,), (2,)):
        of_layer = replace(inputs, settings=replace(inputs.settings, layers=layers))
        found = measure_stream(of_layer, selection, 2)
        assert found.streams.layer == layers[0]
        for run in found.streams.runs.values():
            assert run[-1].exact.bystanders.relative() < 1e-10
        dose = measure_dose(of_layer, selection).response
        assert (dose is None) == (layers == (2,)), "behind the last layer nothing reads what an edit has changed"


def test_an_audit_counts_silent_neurons(inputs):
    facts = inputs.facts.facts
    found = audit(inputs.model, facts[24:26], facts[30:36], layer=0, corpus=inputs.settings.corpus, tokens=TOKENS)
    assert found.silent_neurons == 2
    assert "2 neurons of layer 0 never fired" in table(found)


def test_an_audit_of_one_layer_does_not_hang_on_another(prepared):
    folder, paths = prepared
    model = load_model(save_opt(folder / "twins", twin))
    facts = load_inputs(Settings(**paths)).facts.facts
    asked = {"corpus": paths["corpus"], "tokens": TOKENS}
    assert audit(model, facts[24:26], facts[30:36], layer=1, **asked).layer == 1
    for layer in (0, None):
        with refused(RankDeficientError, what="layer 0", remedy="ridge"):
            audit(model, facts[24:26], facts[30:36], layer=layer, **asked)
    assert audit(model, facts[24:26], facts[30:36], layer=0, ridge=1e-3, **asked).ridge == 1e-3


@pytest.mark.parametrize("ridge", [-1.0, float("nan"), float("inf")])
def test_a_ridge_that_is_none_is_refused_before_any_work(inputs, ridge):
    facts = inputs.facts.facts
    with pytest.raises(InputError, match="ridge is"):
        audit(inputs.model, facts[24:26], facts[30:36], corpus="no such corpus", ridge=ridge)


RIDGE = 0.5


@pytest.fixture(scope="module")
def ridged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ridged")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        paths = write_everything(folder, "llama", layers=3)
        yield load_inputs(Settings(**paths, num_facts=6, tokens=TOKENS, resamples=40, ridge=RIDGE))


def test_the_ridge_reaches_the_streams(ridged):
    selection = select_facts(ridged.model, ridged.facts, 6)
    found = measure_stream(ridged, selection, 3).streams
    rows = whiten(ridged.text().second_moment(found.layer), ridge=RIDGE).whiten(found.values.keys)
    np.testing.assert_allclose(found.geometry.among, superposition(rows).numpy(), rtol=0, atol=1e-10)
    without = TextWhitening(ridged.text().moments)
    plain = superposition(without.whole(found.layer).whiten(found.values.keys)).numpy()
    assert np.abs(found.geometry.among - plain).max() > 0.01, "the ridge moves nothing here: the test sees nothing"
    for run in found.runs.values():  # the edits themselves are made with it, or what P predicts would not be measured
        assert run[-1].exact.bystanders.relative() < 1e-10
    lossless = losslessness(ridged.model, ridged.text().whole(found.layer), found)
    other = losslessness(ridged.model, without.whole(found.layer), found)
    assert lossless.orthogonal.max() < 1e-10 < other.as_they_are.max()


def test_the_ridge_reaches_doses(ridged):
    selection = select_facts(ridged.model, ridged.facts, 6)
    found = measure_dose(ridged, selection).response
    layer = found.layers[0]
    edits, others = (subject_keys(ridged.model, of, [layer])[layer] for of in (found.edits, found.neighbours))
    whitening = whiten(ridged.text().second_moment(layer), ridge=RIDGE)
    expected = superposition(whitening.whiten(edits), whitening.whiten(others)).numpy()
    counts = np.isfinite(found.dose[0])
    np.testing.assert_allclose(found.dose[0][counts], expected[counts], rtol=1e-5, atol=1e-6)


def test_the_ridge_reaches_audits(ridged):
    facts, corpus = ridged.facts.facts, ridged.settings.corpus
    found = audit(ridged.model, facts[24:26], facts[30:36], layer=1, corpus=corpus, tokens=TOKENS, ridge=RIDGE)
    keys = subject_keys(ridged.model, [*facts[24:26], *facts[30:36]], [1])[1]
    rows = whiten(ridged.text().second_moment(1), ridge=RIDGE).whiten(keys)
    np.testing.assert_allclose(found.shares, superposition(rows[:2], rows[2:]).numpy(), rtol=0, atol=1e-6)
