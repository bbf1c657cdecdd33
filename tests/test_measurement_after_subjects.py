"""Searches that run only what changes, against the plain way, in every family."""

from dataclasses import replace

import pytest
import torch
from measured import passes_of
from tiny_models import byte_level_tokenizer, tiny_model
from values_oracles import WholeRows

from ks_core.data.facts import Fact
from ks_core.measurement import after_subjects as fast
from ks_core.measurement import values
from ks_core.measurement.after_subjects import after_subjects, lengths_of_rests
from ks_core.measurement.objects import object_rows
from ks_core.measurement.values import ValueSettings, target_values
from ks_core.models.architectures import FAMILIES
from ks_core.models.loading import load_model

FACTS = (
    Fact(0, "Paris", "P0", "The city of {} lies in", "France", "Russian"),
    Fact(1, "Vladimir Mayakovsky", "P1", "{} spoke", "Russian", "Apple"),
    Fact(2, "a", "P2", "{}", "b", "c"),  # its subject is the first token: nothing stands before it
    Fact(3, "Kyoto", "P3", "The name of that town was {}", "Japan", "the mother tongue"),  # and its prompt's last
    Fact(4, "town 東", "P4", "In the {}", "大", "京"),  # one token holds the subject's end and the object
)
SETTINGS = ValueSettings(steps=6, kl_weight=0.5, prefixes=("Apple.",), target_probability=0.9)
# Log-probabilities and their gradients are float32 (some 8 roundings), and so are norms or attention of some families.
# Adam moves an entry by the rate times a ratio of gradients, so each step adds that relative error once to the change.
RTOL = SETTINGS.steps * 8 * torch.finfo(torch.float32).eps


def loaded(model_type, side="right"):
    return load_model(tiny_model(model_type), byte_level_tokenizer(padding_side=side))


def plainly(monkeypatch, model, layer, settings):
    with monkeypatch.context() as patch:
        patch.setattr(values, "after_subjects", WholeRows)
        return target_values(model, FACTS, layer, settings)


def assert_same(found, expected, weight):
    before = expected.keys @ weight.T
    allowed = RTOL * float(expected.values.abs().max() + (expected.values - before).abs().max())
    torch.testing.assert_close(found.values, expected.values, rtol=0, atol=allowed)
    torch.testing.assert_close(found.probabilities, expected.probabilities, rtol=RTOL, atol=0)
    assert torch.equal(found.steps, expected.steps)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_search_equals_the_plain_way(monkeypatch, model_type, layer):
    model = loaded(model_type)
    expected = plainly(monkeypatch, model, layer, SETTINGS)
    found = target_values(model, FACTS, layer, SETTINGS)
    assert_same(found, expected, model.adapter.weight(layer))
    changes = (found.values - found.keys @ model.adapter.weight(layer).T).abs()
    assert float(changes.max()) > 100 * RTOL * float(found.values.abs().max()), "something was searched"


def test_padding_on_the_left_is_no_other(monkeypatch):
    model = loaded("gemma3_text", "left")
    expected = plainly(monkeypatch, model, 1, SETTINGS)
    assert_same(target_values(model, FACTS, 1, SETTINGS), expected, model.adapter.weight(1))


FAULTS = {
    "a past of other rows": lambda rest: replace(rest, past=rest.past.of(torch.tensor([1, 0, 2, 3, 4]))),
    "states of other rows": lambda rest: replace(rest, states=rest.states.of(torch.tensor([1, 0, 2, 3, 4]))),
    "a place too early": lambda rest: replace(
        rest, rows=replace(rest.rows, places=(rest.rows.places - 1).clamp(min=0))
    ),
    "a subject too late": lambda rest: replace(rest, rows=replace(rest.rows, subject_last=rest.rows.subject_last + 1)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(monkeypatch, fault):
    model, settings = loaded("llama"), replace(SETTINGS, prefixes=(), kl_weight=0.0)
    expected = plainly(monkeypatch, model, 1, settings)
    monkeypatch.setattr(values, "after_subjects", lambda *of: FAULTS[fault](fast.after_subjects(*of)))
    with pytest.raises(AssertionError):
        assert_same(target_values(model, FACTS, 1, settings), expected, model.adapter.weight(1))


def test_the_rest_goes_from_the_subject_to_the_last_token_that_is_read():
    model = loaded("gpt2")
    rows = object_rows(model, FACTS, [fact.target_new for fact in FACTS], essence=True)
    rest, lengths = after_subjects(model.adapter, 1, rows), lengths_of_rests(rows)
    assert rest.rows.attention_mask.sum(dim=1).tolist() == lengths.tolist()
    assert rest.rows.input_ids.shape[1] == int(lengths.max())
    assert rest.past.attention_mask.sum(dim=1)[2] == 0
    assert rest.rows.subject_last.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0], "the fifth is read before its last token"
    for row, start in enumerate((rows.subject_last - rest.rows.subject_last).tolist()):
        own = rows.input_ids[row, start : start + int(lengths[row])]
        assert torch.equal(rest.rows.input_ids[row, : len(own)], own)
    places = rest.rows.places + (rows.subject_last - rest.rows.subject_last)[:, None]
    assert torch.equal(places[rows.is_read], rows.places[rows.is_read])


def test_what_does_not_change_is_run_once_and_nothing_stands_before_first_tokens():
    model = loaded("llama")
    ran = {0: 0, 1: 0}

    def count(layer):
        ran[layer] += 1

    hooks = [model.adapter.projection(n).register_forward_hook(lambda *_, n=n: count(n)) for n in ran]
    found, passes = passes_of(model, lambda: target_values(model, FACTS, 1, replace(SETTINGS, kl_weight=0.0)))
    for hook in hooks:
        hook.remove()
    steps = int(found.steps.max()) + 1
    assert passes == 3 + steps, "keys, what stands before the subjects, the blocks below, and the steps"
    assert ran == {0: 3, 1: 1 + steps}, "keys and both parts of the rows below; the one part and steps above"
    first = after_subjects(model.adapter, 1, object_rows(model, FACTS[2:3], ["c"]))
    assert first.past is None
