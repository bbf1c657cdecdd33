"""Gradients with respect to the value at the subject, against differences of log-probabilities in float64."""

from dataclasses import replace

import pytest
import torch
from errors import refused
from measured import passes_of, write_facts
from tiny_models import byte_level_tokenizer, save_tiny_checkpoint

from ks_core.data.facts import Fact, load_facts
from ks_core.errors import InputError
from ks_core.measurement.gradients import ROWS_AT_ONCE, value_gradients
from ks_core.models.fingerprint import weights_sha256
from ks_core.models.loading import load_model

FACTS = (
    Fact(0, "Paris", "P0", "The city of {} lies in", "France", "Russian"),
    Fact(1, "Vladimir Mayakovsky", "P1", "{} spoke", "Russian", "the mother tongue"),
    Fact(2, "Łódź", "P2", "In the old town of {}, people speak of", "Polish", "Portugal"),
    Fact(3, "Kyoto", "P3", "The name of that town was {}", "Japan", "Portugal"),
)
OBJECTS = [fact.target_new for fact in FACTS]
# The gradient is taken through a float32 softmax of 512 terms, a mean over tokens, and in Llama up to five norms that
# are float32 in any dtype; it is held against its largest entry.
RTOL = 64 * torch.finfo(torch.float32).eps
# A central difference is off by step^2 times a third derivative, of order 1 in these models, and by the rounding of
# log-probabilities of order 10, divided by the step.
STEP = 1e-4
DIFFERENCE_ATOL = 10 * STEP**2 + 10 * torch.finfo(torch.float64).eps * 100 / STEP


@pytest.fixture(scope="module", params=["gpt2", "gpt_neox", "llama"])
def model(request, tmp_path_factory):
    folder = save_tiny_checkpoint(tmp_path_factory.mktemp(request.param), request.param, dtype=torch.float64)
    return load_model(folder, dtype="float64")


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """More than one pass takes, the second half for other objects."""
    facts = load_facts(write_facts(tmp_path_factory.mktemp("facts") / "facts.json", 48)).facts
    assert 2 * len(facts) > ROWS_AT_ONCE
    return [*facts, *facts], [fact.target_new for fact in facts] + [fact.target_true for fact in facts]


def log_probability(model, layer, fact, continuation, added):
    """Mean over the object's tokens, one row alone, everything in float64."""
    place = len(model.tokenizer(fact.text[: fact.subject_span[1]])["input_ids"]) - 1
    start = len(model.tokenizer(fact.text)["input_ids"])
    ids = model.tokenizer(f"{fact.text} {continuation}")["input_ids"]

    def add(_module, _args, output):
        moved = output.clone()
        moved[0, place] += added
        return moved

    hook = model.adapter.projection(layer).register_forward_hook(add)
    with torch.no_grad():
        logits = model.model(torch.tensor([ids])).logits[0]
    hook.remove()
    each = [float(torch.log_softmax(logits[i - 1], 0)[ids[i]]) for i in range(start, len(ids))]
    return sum(each) / len(each)


@pytest.fixture
def float64_norms(model, monkeypatch):
    """Llama's norms without their cast to float32, whose rounding divided by the step would hide the difference."""

    def forward(norm, states):
        return norm.weight * states * torch.rsqrt(states.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon)

    def use():
        if model.adapter.model_type == "llama":
            monkeypatch.setattr(type(model.adapter.backbone.norm), "forward", forward)

    return use


def differences(model, layer, fact, continuation):
    """The gradient, entry by entry, by moving the value a little to both sides."""
    gradient = torch.zeros(model.adapter.d_value, dtype=torch.float64)
    for entry in range(model.adapter.d_value):
        step = torch.zeros_like(gradient)
        step[entry] = STEP
        up, down = (log_probability(model, layer, fact, continuation, sign * step) for sign in (1, -1))
        gradient[entry] = (up - down) / (2 * STEP)
    return gradient


@pytest.mark.parametrize("layer", [0, 1])
def test_gradients_equal_differences(model, layer, float64_norms):
    found = value_gradients(model, FACTS, OBJECTS, layer)
    float64_norms()
    assert found.dtype == torch.float64
    for row, fact, continuation in zip(found, FACTS, OBJECTS, strict=True):
        expected = differences(model, layer, fact, continuation)
        allowed = DIFFERENCE_ATOL + RTOL * float(expected.abs().max())
        torch.testing.assert_close(row, expected, rtol=0, atol=allowed)
    assert float(found[3].abs().max()) > 1000 * DIFFERENCE_ATOL, "a gradient of zero would agree with anything"


def test_planted_fault_the_gradient_at_the_prompts_last_token_is_caught(model, float64_norms):
    elsewhere = [replace(FACTS[0], subject="Paris lies", prompt="The city of {} in")]
    assert elsewhere[0].text == FACTS[0].text
    found = value_gradients(model, elsewhere, OBJECTS[:1], 0)[0]
    float64_norms()
    expected = differences(model, 0, FACTS[0], OBJECTS[0])
    assert not torch.allclose(found, expected, rtol=0, atol=DIFFERENCE_ATOL + RTOL * float(expected.abs().max()))


def test_gradients_do_not_depend_on_the_rows_beside_them(model, many):
    facts, objects = many
    together = value_gradients(model, facts, objects, 0)
    assert together.shape == (len(facts), model.adapter.d_value)
    for number in (0, 1, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, len(facts) - 1):
        alone = value_gradients(model, [facts[number]], [objects[number]], 0)[0]
        allowed = RTOL * float(alone.abs().max())
        torch.testing.assert_close(together[number], alone, rtol=0, atol=allowed)


def test_one_pass_takes_as_many_rows_as_it_may(model, many):
    _, passes = passes_of(model, lambda: value_gradients(model, *many, 0))
    assert passes == -(-len(many[0]) // ROWS_AT_ONCE)


def test_an_object_twice_as_long_has_the_gradient_of_its_mean(model):
    """Per token, so that the gradients of objects of different lengths can stand beside each other."""
    fact, first = FACTS[0], "Russian"
    ids = model.tokenizer(f"{fact.text} {first}")["input_ids"]
    assert len(ids) == len(model.tokenizer(fact.text)["input_ids"]) + 1
    behind = replace(fact, prompt=f"{fact.prompt} {first}")
    both, one, other = (
        value_gradients(model, [of], [text], 0)[0]
        for of, text in ((fact, f"{first} {first}"), (fact, first), (behind, first))
    )
    torch.testing.assert_close(both, (one + other) / 2, rtol=0, atol=RTOL * float((one.abs() + other.abs()).max()))


def test_either_padding_side_gives_the_same_gradients(model):
    left, right = (
        value_gradients(replace(model, tokenizer=byte_level_tokenizer(padding_side=side)), FACTS, OBJECTS, 0)
        for side in ("left", "right")
    )
    torch.testing.assert_close(left, right, rtol=0, atol=RTOL * float(right.abs().max()))


def test_the_model_gets_no_gradients_and_keeps_its_weights(model):
    first, second = (value_gradients(model, FACTS, OBJECTS, 0) for _ in range(2))
    assert torch.equal(first, second)
    assert weights_sha256(model.model) == model.weights_sha256
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in model.model.parameters())
    assert not any(module._forward_hooks for module in model.model.modules())


@pytest.mark.parametrize(
    ("layer", "continuation", "prompt", "says"),
    [
        (2, "Japan", "{} is", "layer 2 does not exist; expected 0 to 1"),
        (0, " ", "{} is", "has no tokens of its own"),
        (0, "Japan", "word " * 70 + "{} is", "shorten the prompt"),
    ],
)
def test_what_cannot_be_asked_is_refused(model, layer, continuation, prompt, says):
    with pytest.raises(InputError, match=says):
        value_gradients(model, [replace(FACTS[0], prompt=prompt)], [continuation], layer)


def test_a_log_probability_that_is_not_a_number_is_refused_with_the_fact(model):
    weight = model.adapter.weight(1)
    before = weight.clone()
    weight.fill_(float("nan"))
    try:
        with refused(InputError, what=("'Russian'", "'The city of Paris lies in'"), got="nan", remedy="float32"):
            value_gradients(model, FACTS, OBJECTS, 0)
    finally:
        weight.copy_(before)
