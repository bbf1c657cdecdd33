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
ROUNDING = 1e-4
"""Of a log-probability's size, and of the longest gradient: one of an edit that reaches nothing is rounding alone. Both
are float32 in some 8 roundings, 5e-7, of which an improbable object may lose two digits by cancellation; a fault moves
them by their own size. Whole searches are not compared: Adam divides an entry by its own size, so one near 0 moves by
what rounding made of it."""


def loaded(model_type, side="right"):
    return load_model(tiny_model(model_type), byte_level_tokenizer(padding_side=side))


def objective_at(model, layer, settings, change):
    """Log-probabilities and the gradient of the search's objective, after some change."""
    search = values._Search(model, FACTS, layer, torch.ones(len(FACTS), dtype=torch.float64), settings)
    with torch.no_grad():
        search._change.copy_(change)
    means, penalties = search._objective(torch.arange(len(FACTS)))
    (gradient,) = torch.autograd.grad((penalties - means).sum(), [search._change])
    return means.detach(), gradient


def assert_plain(monkeypatch, model, layer, settings=SETTINGS):
    generator = torch.Generator().manual_seed(layer)
    for size in (0.0, 1.0):
        change = size * torch.randn(len(FACTS), model.adapter.d_value, generator=generator, dtype=torch.float64)
        found, gradient = objective_at(model, layer, settings, change)
        with monkeypatch.context() as patch:
            patch.setattr(values, "after_subjects", WholeRows)
            expected, plain = objective_at(model, layer, settings, change)
        torch.testing.assert_close(found, expected, rtol=ROUNDING, atol=0)
        longest = float(plain.norm(dim=1).max())  # in the last layer nothing reaches tokens after the subject
        assert float((gradient - plain).norm(dim=1).max()) <= ROUNDING * longest
        assert longest > 0


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_what_a_search_climbs_is_that_of_the_plain_way(monkeypatch, model_type, layer):
    assert_plain(monkeypatch, loaded(model_type), layer)


def test_padding_on_the_left_is_no_other(monkeypatch):
    assert_plain(monkeypatch, loaded("gemma3_text", "left"), 1)


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
    monkeypatch.setattr(values, "after_subjects", lambda *of: FAULTS[fault](fast.after_subjects(*of)))
    with pytest.raises(AssertionError):
        assert_plain(monkeypatch, model, 1, settings)


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
