"""What edits did to a model: definitions against one question at a time, on tiny and on trained models."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from checkout import MODELS
from errors import refused
from measured import write_facts, write_text
from tiny_models import save_tiny_checkpoint

from ks_core.data.corpus import load_corpus
from ks_core.data.facts import load_facts, packaged_facts
from ks_core.errors import InputError
from ks_core.measurement.behaviour import held_out_text
from ks_core.measurement.consequences import consequences, read
from ks_core.measurement.known import known_facts
from ks_core.models.editing import edited
from ks_core.models.loading import load_model


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(
        save_tiny_checkpoint(tmp_path_factory.mktemp("gpt2"), "gpt2", dtype=torch.float64), dtype="float64"
    )


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    return load_facts(write_facts(tmp_path_factory.mktemp("facts") / "facts.json")).facts


@pytest.fixture(scope="module")
def texts(model, tmp_path_factory):
    corpus = load_corpus(str(write_text(tmp_path_factory.mktemp("text") / "text.txt", 80)))
    return held_out_text(model, corpus, after=500, tokens=200, longest_text=30)


@pytest.fixture(scope="module")
def readings(model, facts, texts):
    """Before and after a change that is felt everywhere."""
    edits = facts[::6]  # of both relations: one has no neighbourhood prompts
    keep = [fact for fact in facts if fact not in edits]
    before = read(model, edits, keep, texts)
    shape = (model.adapter.d_value, model.adapter.d_key)
    with edited(model.adapter, 0, torch.randn(shape, generator=torch.Generator().manual_seed(1))):
        return before, read(model, edits, keep, texts)


def test_nothing_done_is_no_consequence(readings):
    before, _ = readings
    found = consequences(before, before)
    for change in (found.efficacy, found.paraphrase, found.neighbourhood, found.log_perplexity):
        assert (change.change.value, change.change.error) == (0, 0)
    assert (found.lost.value, found.loss.value, found.worst, found.overtaken) == (0, 0, 0, ())


def test_each_number_follows_its_definition(readings):
    before, after = readings
    found = consequences(before, after)
    losses = (before.kept.log_probability - after.kept.log_probability).numpy()
    assert found.loss.value == pytest.approx(losses.mean())
    assert found.loss.error == pytest.approx(losses.std(ddof=1) / math.sqrt(len(losses)))
    assert (found.loss.count, found.lost.count) == (len(before.keep), int((before.kept.lead > 0).sum()))
    assert [of.loss for of in found.kept] == sorted(losses.tolist(), reverse=True)
    assert found.worst == losses.max()
    success = after.answers.rewrite.new > after.answers.rewrite.true
    assert found.efficacy.after.value == success.mean()
    assert found.efficacy.after.count == 4


def test_log_perplexity_is_that_of_all_tokens_and_its_change_is_paired(readings):
    before, after = readings
    found = consequences(before, after).log_perplexity
    weights = before.predicted
    for mean, losses in ((found.before, before.losses), (found.after, after.losses)):
        assert mean.value == pytest.approx(np.average(losses, weights=weights))
    assert found.change.value == pytest.approx(found.after.value - found.before.value)
    shifted = replace(before, losses=before.losses + 0.25)
    assert consequences(before, shifted).log_perplexity.change.error == pytest.approx(0, abs=1e-12)


def test_neighbourhood_counts_prompts_that_keep_their_true_object(readings):
    before, _ = readings
    scores = before.answers.neighbourhood
    kept = consequences(before, before).neighbourhood.before
    by_fact = [np.mean(scores.true[scores.fact == n] >= scores.new[scores.fact == n]) for n in set(scores.fact)]
    assert kept.value == pytest.approx(np.mean(by_fact))
    assert kept.count == len(by_fact) < len(before.edits)


def test_empty_parts_are_means_over_none(model):
    nothing = read(model, (), (), ())
    found = consequences(nothing, nothing)
    assert all(of.count == 0 and math.isnan(of.value) for of in (found.lost, found.loss, found.efficacy.after))
    assert found.log_perplexity.after.count == 0
    assert found.worst == 0


def test_a_model_that_is_not_finite_is_refused_by_fact(model, facts):
    far = torch.full((model.adapter.d_value, model.adapter.d_key), 1e200, dtype=torch.float64)
    said = {"what": facts[0].target_true, "got": "nan", "expected": "a finite number", "remedy": "float32"}
    with edited(model.adapter, 0, far), refused(InputError, **said):
        read(model, (), facts, ())


def test_readings_of_other_facts_or_texts_are_refused(readings):
    before, after = readings
    for other in (
        replace(after, edits=after.edits[1:]),
        replace(after, keep=after.keep[::-1]),
        replace(after, predicted=after.predicted[1:]),
    ):
        with refused(InputError, what="different facts or texts", expected="the same", remedy="read both anew"):
            consequences(before, other)


def test_a_layer_turned_round_loses_facts_that_a_model_knows():
    model = load_model(MODELS / "ks-gpt2-l4")
    known = known_facts(model, packaged_facts()).facts[:40]
    before = read(model, known[:2], known[2:], ())
    first = before.kept.lead.numpy() > 0
    assert first.mean() > 0.9, "known among all objects, so nearly all among these and the new ones"
    with edited(model.adapter, 1, -2 * model.adapter.weight(1)):
        after = read(model, known[:2], known[2:], ())
    found = consequences(before, after)
    lost = first & (after.kept.lead.numpy() <= 0)
    assert found.lost.value == pytest.approx(lost.sum() / first.sum())
    assert found.lost.value > 0.2
    assert {of.fact for of in found.overtaken} == {fact for fact, gone in zip(known[2:], lost, strict=True) if gone}
    assert found.loss.value > 0.5
    assert all(of.overtaken_by != of.fact.target_true for of in found.overtaken)
