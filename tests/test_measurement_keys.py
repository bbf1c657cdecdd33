"""Keys are read at the subject's last token, in one pass, whatever the padding side."""

import pytest
import torch
from measured import passes_of, write_facts
from tiny_models import byte_level_tokenizer, save_tiny_checkpoint

from ks_core.data.facts import Fact, load_facts
from ks_core.errors import InputError
from ks_core.measurement.keys import subject_keys
from ks_core.models.loading import load_model

# One float32 forward pass of two layers against another with other shapes: a few roundings of 2^-24 each.
RTOL = 1e-4


@pytest.fixture(scope="module", params=["llama", "gpt2", "gpt_neox", "opt"])
def model(request, tmp_path_factory):
    return load_model(save_tiny_checkpoint(tmp_path_factory.mktemp(request.param), request.param))


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    return load_facts(write_facts(tmp_path_factory.mktemp("facts") / "facts.json")).facts


def naive_key(model, fact, layer):
    """The prompt alone, cut right behind the subject, so that its last token is the last one read."""
    ids = model.tokenizer(fact.text[: fact.subject_span[1]], return_tensors="pt")["input_ids"]
    seen = []
    hook = model.adapter.projection(layer).register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        model.model(ids)
    hook.remove()
    return seen[0].reshape(-1, model.adapter.d_key)[-1].double()


def test_keys_equal_those_of_each_prompt_cut_behind_its_subject(model, facts):
    keys = subject_keys(model, facts)
    for layer in range(model.adapter.num_layers):
        expected = torch.stack([naive_key(model, fact, layer) for fact in facts])
        torch.testing.assert_close(keys[layer], expected, rtol=RTOL, atol=RTOL)


def test_planted_fault_the_next_token_is_caught(model, facts):
    shifted = [Fact(f.case_id, f.subject + " or", f.relation_id, f.prompt, f.target_true, f.target_new) for f in facts]
    keys = subject_keys(model, shifted)
    expected = torch.stack([naive_key(model, fact, 0) for fact in facts])
    assert not torch.allclose(keys[0], expected, rtol=RTOL, atol=RTOL)


@pytest.mark.parametrize("batch_tokens", [1, 100])
def test_keys_do_not_depend_on_the_batch(model, facts, batch_tokens):
    whole, parts = subject_keys(model, facts), subject_keys(model, facts, batch_tokens=batch_tokens)
    for layer in whole:
        torch.testing.assert_close(parts[layer], whole[layer], rtol=RTOL, atol=RTOL)


def test_keys_of_all_facts_and_layers_take_one_forward_pass(model, facts):
    _, passes = passes_of(model, lambda: subject_keys(model, facts))
    assert passes == 1


def test_a_prompt_longer_than_the_context_is_refused(model):
    long = Fact(1, "Paris", "P1", "word " * 200 + "{} is", "a", "b")
    with pytest.raises(InputError, match="context length"):
        subject_keys(model, [long])


def test_keys_that_are_not_finite_name_fact_and_layer(model, facts):
    weight = model.adapter.weight(0)
    before = weight.clone()
    weight.fill_(float("nan"))
    try:
        with pytest.raises(InputError, match=r"fact 0 \('Paris'\) at layer 1"):
            subject_keys(model, facts)
    finally:
        weight.copy_(before)


def test_left_padding_gives_the_same_keys(tmp_path, facts):
    left = save_tiny_checkpoint(tmp_path / "left", "gpt2")
    byte_level_tokenizer(padding_side="left").save_pretrained(left)
    right = save_tiny_checkpoint(tmp_path / "right", "gpt2")
    sides = [load_model(left), load_model(right)]
    assert [side.tokenizer.padding_side for side in sides] == ["left", "right"]
    keys = [subject_keys(side, facts) for side in sides]
    for layer in keys[0]:
        torch.testing.assert_close(keys[0][layer], keys[1][layer], rtol=RTOL, atol=RTOL)
