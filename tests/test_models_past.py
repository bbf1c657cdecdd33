"""Passes that go on where others ended, and heads at some places, against whole passes; in every family."""

import pytest
import torch
from tiny_models import tiny_config, tiny_model
from transformers import AutoModelForCausalLM

from ks_core.models.adapter import Adapter
from ks_core.models.architectures import FAMILIES
from ks_core.models.simulating import resumed, states_below

# Sums of at most 64 terms in three layers, whose errors are relative to the largest state. Norms of Llama's kin and
# GPT-Neo's attention are float32 in any dtype: their inputs agree to float64, so where one falls on a rounding border
# it is off by a float32 rounding.
RTOL = 16 * torch.finfo(torch.float32).eps
BEFORE, AFTER = 6, 8
LENGTHS_BEFORE = torch.tensor([0, 3, 6, 1, 6])
LENGTHS_AFTER = torch.tensor([8, 5, 8, 8, 3])
WINDOW = 6
"""More than any row is padded by: a padded token that sees none is not a number in some families at float64."""


def with_window(model_type):
    """A model whose attention, where the family has it, sees few tokens in one of its layers."""
    config = tiny_config(model_type)
    if getattr(config, "layer_types", None):
        config.layer_types = ["sliding_attention", "full_attention"]
    for name, value in (("sliding_window", WINDOW), ("use_sliding_window", True), ("window_size", WINDOW)):
        if hasattr(config, name):
            setattr(config, name, value)
    model = AutoModelForCausalLM.from_config(config).double().eval()
    model.load_state_dict(tiny_model(model_type).state_dict())
    return Adapter(model)


def plain(model_type):
    return Adapter(tiny_model(model_type))


def halves():
    ids = torch.randint(3, 500, (5, BEFORE + AFTER), generator=torch.Generator().manual_seed(0))
    masks = [
        (torch.arange(width) < lengths[:, None]).long()
        for width, lengths in ((BEFORE, LENGTHS_BEFORE), (AFTER, LENGTHS_AFTER))
    ]
    return ids[:, :BEFORE], masks[0], ids[:, BEFORE:], masks[1]


def alone(adapter, row):
    """States and logits after the tokens of the second half, of one row without padding."""
    ids, mask, rest, rest_mask = (of[row] for of in halves())
    whole = torch.cat([ids[mask.bool()], rest[rest_mask.bool()]])[None]
    states, logits = (of(whole, torch.ones_like(whole))[0] for of in (adapter.hidden_states, adapter.logits))
    return states[-int(rest_mask.sum()) :], logits[-int(rest_mask.sum()) :]


@pytest.mark.parametrize("made", [plain, with_window])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_pass_over_the_rest_is_the_whole_pass(model_type, made):
    adapter, (ids, mask, rest, rest_mask) = made(model_type), halves()
    places = torch.nonzero(rest_mask, as_tuple=True)
    with torch.no_grad():
        past = adapter.past_of(ids, mask)
        states = adapter.hidden_states(rest, rest_mask, past)
        again = adapter.hidden_states(rest, rest_mask, past)
        logits = adapter.logits_at(rest, rest_mask, places, past)
        with resumed(adapter, 1, states_below(adapter, 1, rest, rest_mask, past)):
            from_block = adapter.hidden_states(rest, rest_mask, past)
        expected = [torch.cat(of) for of in zip(*(alone(adapter, row) for row in range(5)), strict=True)]
    assert torch.equal(states[places], again[places]), "a pass changes nothing of the past"
    for found, wanted in ((states[places], expected[0]), (from_block[places], expected[0]), (logits, expected[1])):
        torch.testing.assert_close(found, wanted, rtol=0, atol=RTOL * float(wanted.abs().max()))


def test_planted_fault_a_past_of_other_rows_is_caught():
    adapter, (ids, mask, rest, rest_mask) = plain("llama"), halves()
    with torch.no_grad():
        past = adapter.past_of(ids, mask).of(torch.tensor([0, 2, 1, 3, 4]))
        found = adapter.hidden_states(rest, rest_mask, past)[1, :5]
        assert not torch.allclose(found, alone(adapter, 1)[0], rtol=0.01)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_the_head_at_some_places_gives_the_models_own_logits(model_type):
    adapter, (_, _, ids, _) = plain(model_type), halves()
    for name, number in (("logit_scale", 0.3), ("logits_scaling", 7.0), ("final_logit_softcapping", 2.0)):
        if hasattr(adapter.model.config, name):
            setattr(adapter.model.config, name, number)
        if hasattr(adapter.model, name):
            setattr(adapter.model, name, number)
    rows, columns = torch.tensor([4, 0, 0, 2]), torch.tensor([0, 7, 3, 7])
    with torch.no_grad():
        whole = adapter.logits(ids, torch.ones_like(ids))
        found = adapter.logits_at(ids, torch.ones_like(ids), (rows, columns))
    # Sums of 8 terms in another order, at float64
    torch.testing.assert_close(found, whole[rows, columns], rtol=0, atol=1e-14 * float(whole.abs().max()))
    assert torch.equal(adapter.logits(ids, torch.ones_like(ids)), whole), "the model is whole again"


@pytest.mark.parametrize("model_type", ["gemma2", "granite", "cohere", "opt"])
def test_planted_fault_the_bare_matrix_of_the_head_is_caught(model_type):
    adapter, (_, _, ids, _) = plain(model_type), halves()
    if model_type == "gemma2":
        adapter.model.config.final_logit_softcapping = 2.0
    if model_type == "granite":
        adapter.model.config.logits_scaling = 7.0
    with torch.no_grad():
        states = adapter.hidden_states(ids, torch.ones_like(ids))
        bare = adapter.model.get_output_embeddings()(states[0])
        whole = adapter.logits(ids, torch.ones_like(ids))[0]
    assert torch.allclose(bare, whole) == (model_type == "opt"), "of these only OPT has nothing behind its head"


def test_an_error_in_the_head_leaves_the_model_whole():
    adapter = plain("opt")
    own = adapter.model.model.decoder
    with pytest.raises(RuntimeError):
        adapter.head(torch.zeros(2, 3, dtype=torch.float64))
    assert adapter.model.model.decoder is own
