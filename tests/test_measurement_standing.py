"""How objects stand, against scores that are read one by one."""

import pytest
import torch
from checkout import MODELS
from tiny_models import byte_level_tokenizer, tiny_model

from ks_core.data.facts import Fact, packaged_facts
from ks_core.measurement.scoring import continuation_log_probabilities
from ks_core.measurement.standing import Standing, ask, read_standing, unknown
from ks_core.models.loading import load_model


@pytest.fixture(scope="module", params=["ks-gpt2-l2", "ks-neox-l2", "ks-llama-l2"])
def model(request):
    return load_model(MODELS / request.param)


def one_by_one(model, fact, rivals):
    """By rival, the lead of the own object where their tokens part: a forward pass of one row for each."""
    own = model.tokenizer(f"{fact.text} {fact.target_true}")["input_ids"]
    leads = {}
    for name in rivals:
        ids = model.tokenizer(f"{fact.text} {name}")["input_ids"]
        place = next((n for n, (mine, theirs) in enumerate(zip(own, ids, strict=False)) if mine != theirs), None)
        if place is not None:
            before = torch.tensor([own[:place]])
            logits = model.adapter.logits(before, torch.ones_like(before))[0, -1].double()
            leads[name] = float(logits[own[place]] - logits[ids[place]])
    return leads


def test_standing_is_what_is_read_one_by_one(model):
    facts = packaged_facts().facts[:60:3]
    names = sorted({fact.target_true for fact in packaged_facts().facts[:200]})[:12]
    asked, kept_names = ask(model, facts, [names] * len(facts))
    found = read_standing(model, asked)
    prompts = [fact.text for fact in facts]
    own = continuation_log_probabilities(model, prompts, [fact.target_true for fact in facts], per_token=True)
    torch.testing.assert_close(found.log_probability, torch.tensor(own, dtype=torch.float64), rtol=1e-4, atol=1e-4)
    for place, fact in enumerate(facts):
        leads = one_by_one(model, fact, names)
        least = min(leads.values())
        assert float(found.lead[place]) == pytest.approx(least, abs=1e-3)
        assert leads[kept_names[place][int(found.rival[place])]] == pytest.approx(least, abs=1e-3), "or as near"


def test_rows_may_be_repeated_and_reordered(model):
    facts = packaged_facts().facts[:6]
    asked, _ = ask(model, facts, [{"Rome", "Paris"}] * 6)
    places = torch.tensor([4, 4, 0, 5])
    whole, some = read_standing(model, asked), read_standing(model, asked.of(places))
    torch.testing.assert_close(some.log_probability, whole.log_probability[places], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(some.lead, whole.lead[places], rtol=1e-5, atol=1e-5)


def test_rivals_are_compared_where_their_tokens_part():
    """With a token for each byte all objects begin with the one of the space."""
    model = load_model(tiny_model("gpt2"), byte_level_tokenizer())
    fact = Fact(1, "Nara", "P17", "{} lies in", "Japan", "Peru")
    asked, names = ask(model, [fact], [{"Japan", "Java", "Jap", "Japanese", "Peru"}])
    assert names == (("Java", "Peru"),), "what goes on where the other ends has no token of its own"
    assert asked.parting.tolist() == [[3, 1]]
    own, java, peru = (continuation_log_probabilities(model, [fact.text], [name])[0] for name in ("Jap", "Jav", "P"))
    first = continuation_log_probabilities(model, [fact.text], ["J"])[0]
    assert float(read_standing(model, asked).lead[0]) == pytest.approx(min(own - java, first - peru), abs=1e-4)


def test_overtaken_is_who_was_ahead_and_is_not():
    before = Standing(torch.zeros(4), torch.tensor([1.0, 1.0, -1.0, 1.0]), torch.zeros(4))
    after = Standing(torch.zeros(4), torch.tensor([-1.0, 0.5, -2.0, torch.nan]), torch.zeros(4))
    assert after.overtaken(before).tolist() == [True, False, False, False]
    assert not unknown(3).overtaken(before.at([0, 1, 2])).any()
