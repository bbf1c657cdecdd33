"""The trained models that ship with the project: what their cards say, exact statistics, and edits on all of them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from checkout import MODELS
from reference_statistics import TOKENS, reference_statistics, statements_corpus
from safetensors.torch import load_file
from training.card import card

from ks_core.data.facts import packaged_facts
from ks_core.experiments.request.inputs import Inputs
from ks_core.experiments.request.selection import Selection
from ks_core.experiments.request.settings import Settings
from ks_core.experiments.sizes.choice import own_families
from ks_core.experiments.streams.measure import measure_stream
from ks_core.files import sha256_of
from ks_core.measurement.known import ask
from ks_core.models.fingerprint import weights_sha256
from ks_core.models.loading import load_model
from ks_core.models.size import parameters_outside_embedding

FOLDERS = sorted(MODELS.glob("ks-*"))
NAMES = [folder.name for folder in FOLDERS]
FAMILIES = ("gpt2", "gpt_neox", "llama")
REFERENCES = json.loads((MODELS / "statistics.json").read_text())

AGREES = 1e-6
"""Relative. In float64 other machines round differently by 1e-16 a step, which a condition number of 1e8 turns into
1e-8: what is off by more was computed from something else."""


def record_of(folder):
    return json.loads((folder / "training.json").read_text())


def test_there_are_three_families_in_several_sizes():
    found = own_families(MODELS)
    assert set(found) == set(FAMILIES)
    assert sorted(Path(folder).name for folders in found.values() for folder in folders) == NAMES
    assert all(len(folders) >= 3 for folders in found.values())


def test_weights_fit_into_thirty_megabytes():
    assert sum(path.stat().st_size for path in MODELS.rglob("*.safetensors")) <= 30e6


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_a_models_record_and_card_are_of_its_weights(folder):
    record = record_of(folder)
    model = load_model(folder)
    assert record["weights_file_sha256"] == sha256_of(folder / "model.safetensors")
    assert record["parameters_outside_embedding"] == parameters_outside_embedding(model.model)
    assert record["facts"]["sha256"] == packaged_facts().sha256
    assert (model.adapter.model_type, model.adapter.num_layers) == (record["family"], record["depth"])
    assert {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()} == {torch.float16}
    assert (folder / "README.md").read_text() == card(record)


def test_all_models_share_one_tokenizer():
    assert len({sha256_of(folder / "tokenizer.json") for folder in FOLDERS}) == 1


def test_larger_models_of_a_family_predict_text_better():
    for folders in own_families(MODELS).values():
        losses = [record_of(Path(folder))["validation_loss"] for folder in folders]
        assert losses == sorted(losses, reverse=True)
        assert losses[0] < np.log(4000), "better than guessing"


@pytest.mark.parametrize("name", [folders[0] for folders in own_families(MODELS).values()], ids=FAMILIES)
def test_the_smallest_models_know_what_their_cards_say(name):
    record = record_of(Path(name))
    assert len(ask(load_model(name), packaged_facts()).case_ids) == record["known"]["facts"]


@pytest.fixture(scope="module")
def corpus():
    return statements_corpus()


def test_references_are_of_these_facts_and_this_text(corpus):
    assert REFERENCES["corpus_sha256"] == corpus.sha256
    assert REFERENCES["facts_sha256"] == packaged_facts().sha256
    assert REFERENCES["tokens"] == TOKENS
    assert sorted(REFERENCES["models"]) == NAMES


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_statistics_are_reproduced_exactly(folder, corpus):
    expected = REFERENCES["models"][folder.name]
    model = load_model(folder, dtype="float64")
    assert model.weights_sha256 == expected["weights_sha256"]
    found = reference_statistics(model, packaged_facts().subset(expected["case_ids"]), corpus)
    assert differing(found, expected["statistics"]) == []


def differing(found, expected):
    assert {matrix: set(of) for matrix, of in found.items()} == {matrix: set(of) for matrix, of in expected.items()}
    return [
        f"{matrix} {statistic}"
        for matrix, of_matrix in expected.items()
        for statistic, values in of_matrix.items()
        if not np.allclose(found[matrix][statistic], values, rtol=AGREES, atol=0)
    ]


@pytest.mark.parametrize("name", [folders[0] for folders in own_families(MODELS).values()], ids=FAMILIES)
def test_the_gate_sees_one_weight_that_moved_and_one_fact_that_was_exchanged(name, corpus):
    expected = REFERENCES["models"][Path(name).name]
    facts = packaged_facts()
    model = load_model(name, dtype="float64")
    ids = list(expected["case_ids"])
    other = next(fact.case_id for fact in facts if fact.case_id not in ids)
    exchanged = reference_statistics(model, facts.subset([other, *ids[1:]]), corpus)
    assert "P kurtosis" in differing(exchanged, expected["statistics"])
    with torch.no_grad():
        weight = model.adapter.weight(0)  # of GPT-2 a transposed view: what is written goes through
        row, column = divmod(int(weight.abs().argmax()), model.adapter.d_key)
        weight[row, column] *= 1.01
    moved = reference_statistics(model, facts.subset(ids), corpus)
    assert "P kurtosis" in differing(moved, expected["statistics"])


@pytest.mark.parametrize("name", [folders[1] for folders in own_families(MODELS).values()], ids=FAMILIES)
def test_a_stream_of_edits_on_a_trained_model_is_predicted_and_felt_and_leaves_no_trace(
    name, corpus, tmp_path, monkeypatch
):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path))
    facts = packaged_facts()
    ids = REFERENCES["models"][Path(name).name]["case_ids"]
    model = load_model(name)
    before = weights_sha256(model.model)
    settings = Settings(model=name, num_facts=32, num_edits=8, tokens=8192, resamples=40)
    selection = Selection(facts.subset(ids[:32]), facts.subset(ids[:64]), tuple(ids), "of the references", len(facts))
    measured = measure_stream(Inputs(settings, model, facts, corpus), selection, 8)
    assert weights_sha256(model.model) == before
    for method, run in measured.streams.runs.items():
        at = run[-1]
        scale = float(np.sqrt((at.exact.bystanders.measured**2).mean()))
        assert scale > 1e-3, "an edit that moves nothing would agree with anything"
        assert at.exact.bystanders.relative() < 1e-10, method
        # Whether the new object wins is the model's affair (values are bounded); that it gains is the edit's.
        gained = at.answers.rewrite.magnitude() - measured.streams.before.rewrite.magnitude()
        assert gained.mean() > 0, method
