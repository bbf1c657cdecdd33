"""Target values against one edit at a time, written out: Adam's formulas, a hook of torch, no batch, no padding."""

from dataclasses import replace

import pytest
import torch
from measured import write_facts
from tiny_models import byte_level_tokenizer, dropping_tokenizer, save_tiny_checkpoint

from ks_core.data.facts import Fact, load_facts
from ks_core.errors import InputError
from ks_core.measurement.values import EDITS_IN_A_PASS, ValueSettings, target_values, target_values_at
from ks_core.models.fingerprint import weights_sha256
from ks_core.models.loading import load_model

FACTS = (
    Fact(0, "Paris", "P0", "The city of {} lies in", "France", "Russian"),
    Fact(1, "Vladimir Mayakovsky", "P1", "{} spoke", "Russian", "Apple"),
    Fact(2, "Łódź", "P2", "In the old town of {}, people speak of", "Polish", "Microsoft"),
    Fact(3, "Kyoto", "P3", "The name of that town was {}", "Japan", "Portugal"),
    Fact(4, "Windows 8.1", "P4", "{} was developed by", "Microsoft", "the mother tongue"),
)
# Log-probabilities and their gradients are float32, off by some 8 roundings: a softmax of 512 terms and a mean. Adam
# moves an entry by the rate times a ratio of gradients, so each step adds that relative error once to the change.
STEPS = 8
RTOL = STEPS * 8 * torch.finfo(torch.float32).eps
SHORT = ValueSettings(steps=STEPS)
SETTINGS = {
    "plain": SHORT,
    "bounded": replace(SHORT, norm_bound=0.7),
    "decay": replace(SHORT, weight_decay=0.5),
    "prefixes": replace(SHORT, prefixes=("The mother tongue. ", "São Paulo does not open in 1984, and so")),
    "essence": replace(SHORT, kl_weight=2.0),
    "all": replace(SHORT, weight_decay=0.1, kl_weight=0.5, prefixes=("Apple.",), norm_bound=1.5),
}


def load(folder, model_type, tokenizer=None):
    save_tiny_checkpoint(folder, model_type, dtype=torch.float64)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    return load_model(folder, dtype="float64")


@pytest.fixture(scope="module", params=["gpt2", "gpt_neox", "llama"])
def model(request, tmp_path_factory):
    return load(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return load_facts(write_facts(tmp_path_factory.mktemp("facts") / "facts.json")).facts


def tokens_of(model, text):
    return model.tokenizer(text)["input_ids"]


def forward(model, layer, text, place, change):
    """Logits (tokens, vocabulary) of one text, `change` added at one place; also the key and the unedited output."""
    seen = {}

    def add(_module, args, output):
        seen["key"], seen["output"] = args[0][0, place].detach(), output[0, place].detach()
        return output.index_put((torch.tensor(0), torch.tensor(place)), output[0, place] + change)

    hook = model.adapter.projection(layer).register_forward_hook(add)
    logits = model.model(torch.tensor([tokens_of(model, text)])).logits[0]
    hook.remove()
    return logits, seen["key"], seen["output"]


def object_log_probability(model, layer, prompt, subject_end, continuation, change):
    """Mean over the tokens behind the prompt."""
    place = len(tokens_of(model, prompt[:subject_end])) - 1
    ids = tokens_of(model, f"{prompt} {continuation}")
    logits, key, output = forward(model, layer, f"{prompt} {continuation}", place, change)
    start = len(tokens_of(model, prompt))
    each = [torch.log_softmax(logits[i - 1], 0)[ids[i]] for i in range(start, len(ids))]
    return sum(each) / len(each), key, output


def essence(model, layer, fact, change):
    """Log-probabilities of what follows "SUBJECT is a"."""
    place = len(tokens_of(model, fact.subject)) - 1
    return torch.log_softmax(forward(model, layer, f"{fact.subject} is a", place, change)[0][-1], 0)


def naive_search(model, fact, layer, settings):
    """(value, probability, steps, change) by the formulas of the docstrings."""
    end = fact.subject_span[1]
    prompts = [(fact.text, end)]
    for prefix in settings.prefixes:
        context = prefix.rstrip() + " "
        prompts.append((context + fact.text, len(context) + end))
    nothing = torch.zeros(model.adapter.d_value, dtype=torch.float64)
    _, key, output = object_log_probability(model, layer, *prompts[0], fact.target_new, nothing)
    size = output.norm()
    rms = size / len(output) ** 0.5
    before = essence(model, layer, fact, nothing).detach()
    change, first, second = nothing.clone(), nothing.clone(), nothing.clone()
    for step in range(settings.steps + 1):
        change.requires_grad_(True)
        scores = [object_log_probability(model, layer, *prompt, fact.target_new, change)[0] for prompt in prompts]
        score = sum(scores) / len(scores)
        after = essence(model, layer, fact, change)
        loss = -score + settings.weight_decay * (change.norm() / size) ** 2 if step else -score
        loss = loss + settings.kl_weight * (after.exp() * (after - before)).sum()
        if float(score.detach().exp()) >= settings.target_probability or step == settings.steps:
            break
        (gradient,) = torch.autograd.grad(loss, [change])
        gradient = gradient * rms  # the rate is in root mean squares of the unedited value
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        t = step + 1
        move = (first / (1 - 0.9**t)) / ((second / (1 - 0.999**t)).sqrt() + 1e-8)
        change = change.detach() - settings.learning_rate * rms * move
        change = change * min(1.0, float(settings.norm_bound * size / change.norm()))
    unedited = model.adapter.weight(layer) @ key
    return unedited + change.detach(), float(score.detach().exp()), step, change.detach()


def same_edit(found, number, expected, rtol=RTOL):
    """Whether a row of `found` is that of (value, probability, steps, change) or of other `TargetValues`."""
    value, probability, steps, change = expected
    allowed = rtol * float(value.abs().max() + change.abs().max())
    torch.testing.assert_close(found.values[number], value, rtol=0, atol=allowed)
    assert float(found.probabilities[number]) == pytest.approx(float(probability), rel=rtol)
    assert int(found.steps[number]) == int(steps)


def changes_of(model, found, layer):
    return found.values - found.keys @ model.adapter.weight(layer).T


def sizes_of(model, found, layer):
    """Lengths of what the projection puts out, its bias included."""
    bias = model.adapter.bias(layer)
    unedited = found.keys @ model.adapter.weight(layer).T
    return (unedited if bias is None else unedited + bias).norm(dim=1)


@pytest.mark.parametrize(("layer", "name"), [*((0, name) for name in SETTINGS), (1, "plain"), (1, "all")])
def test_values_equal_one_edit_at_a_time_by_the_formulas(model, layer, name):
    found = target_values(model, FACTS, layer, SETTINGS[name])
    for number, fact in enumerate(FACTS):
        same_edit(found, number, naive_search(model, fact, layer, SETTINGS[name]))


def test_planted_fault_a_rate_that_is_off_by_a_hundredth_is_caught(model):
    found = target_values(model, FACTS, 0, replace(SHORT, learning_rate=0.505))
    with pytest.raises(AssertionError):
        same_edit(found, 0, naive_search(model, FACTS[0], 0, SHORT))


@pytest.mark.parametrize("name", ["plain", "all"])
def test_a_batch_of_edits_equals_each_searched_alone(model, many, name, monkeypatch):
    monkeypatch.setattr("ks_core.measurement.values.EDITS_AT_ONCE", at_once := EDITS_IN_A_PASS + 4)
    together = target_values(model, many, 0, SETTINGS[name])
    for number in (0, 1, EDITS_IN_A_PASS, at_once - 1, at_once, len(many) - 1):
        alone = target_values(model, many[number : number + 1], 0, SETTINGS[name])
        change = changes_of(model, alone, 0)[0]
        same_edit(together, number, (alone.values[0], alone.probabilities[0], alone.steps[0], change))


def test_an_edit_stops_where_its_object_is_probable_enough_and_the_others_go_on(model):
    asked = replace(SHORT, learning_rate=0.1)
    first, last = (target_values(model, FACTS, 0, replace(asked, steps=steps)) for steps in (1, STEPS))
    for number in range(len(FACTS)):
        wanted = float(first.probabilities[number] + last.probabilities[number]) / 2
        settings = replace(asked, target_probability=wanted)
        found = target_values(model, FACTS, 0, settings)
        assert 1 < int(found.steps[number]) < STEPS
        assert float(found.probabilities[number]) >= wanted
        for other, fact in enumerate(FACTS):
            same_edit(found, other, naive_search(model, fact, 0, settings))
        before = target_values(model, FACTS, 0, replace(settings, steps=int(found.steps[number]) - 1))
        assert float(before.probabilities[number]) < wanted, "it could have stopped earlier"


@pytest.mark.parametrize("bound", [0.1, 1.0])
def test_no_change_is_longer_than_the_bound_and_a_fast_search_reaches_it(model, bound):
    found = target_values(model, FACTS, 0, replace(SHORT, norm_bound=bound, learning_rate=2.0))
    lengths = changes_of(model, found, 0).norm(dim=1) / sizes_of(model, found, 0)
    assert float(lengths.max()) == pytest.approx(bound, rel=1e-12)  # float64 sums of at most d_key terms


def test_probabilities_are_those_of_a_forward_pass_with_the_value_put_in(model):
    """The value and the projection's bias stand in for the output, whatever came out of the projection."""
    found = target_values(model, FACTS, 0, SHORT)
    bias, nothing = model.adapter.bias(0), torch.zeros(model.adapter.d_value)
    for number, fact in enumerate(FACTS):
        asked = (model, 0, fact.text, fact.subject_span[1], fact.target_new)
        *_, output = object_log_probability(*asked, nothing)
        put_in = found.values[number] + (0 if bias is None else bias)
        expected = float(object_log_probability(*asked, put_in - output)[0].exp())
        assert float(found.probabilities[number]) == pytest.approx(expected, rel=RTOL)


def test_values_of_edits_that_need_no_change_are_the_weights_output_without_the_bias(model):
    found = target_values(model, FACTS, 0, replace(SHORT, target_probability=1e-6))
    assert found.steps.tolist() == [0] * len(FACTS)
    bias, nothing = model.adapter.bias(0), torch.zeros(model.adapter.d_value)
    for number, fact in enumerate(FACTS):
        asked = (model, 0, fact.text, fact.subject_span[1], fact.target_new)
        _, key, output = object_log_probability(*asked, nothing)
        torch.testing.assert_close(found.values[number] + (0 if bias is None else bias), output)
        torch.testing.assert_close(found.keys[number], key)


def test_a_probability_is_the_geometric_mean_over_the_objects_tokens(model):
    fact = FACTS[3]
    ids, start = tokens_of(model, f"{fact.text} {fact.target_new}"), len(tokens_of(model, fact.text))
    assert len(ids) - start > 2
    with torch.no_grad():
        each = torch.softmax(model.model(torch.tensor([ids])).logits[0, start - 1 : -1], 1)
    product = float(torch.stack([each[i, token] for i, token in enumerate(ids[start:])]).prod())
    found = target_values(model, [fact], 0, replace(SHORT, target_probability=1e-6))
    assert float(found.probabilities[0]) == pytest.approx(product ** (1 / (len(ids) - start)), rel=RTOL)


def test_a_large_weight_of_the_divergence_keeps_the_subject_what_it_is(model):
    divergences = []
    for weight in (0.0, 100.0):
        found = target_values(model, FACTS, 0, replace(SHORT, kl_weight=weight, learning_rate=0.1))
        changes = changes_of(model, found, 0)
        before = [essence(model, 0, fact, torch.zeros_like(changes[0])) for fact in FACTS]
        after = [essence(model, 0, fact, change) for fact, change in zip(FACTS, changes, strict=True)]
        divergences.append(sum(float((a.exp() * (a - b)).sum().detach()) for a, b in zip(after, before, strict=True)))
    assert divergences[1] < divergences[0] / 2


def test_weight_decay_makes_changes_shorter(model):
    found = [target_values(model, FACTS, 0, replace(SHORT, weight_decay=decay)) for decay in (0.0, 1.0)]
    free, held = (changes_of(model, of, 0).norm(dim=1) for of in found)
    assert (held < free).all()


def test_either_padding_side_gives_the_same_values(tmp_path):
    sides = [
        target_values(load(tmp_path / side, "gpt2", byte_level_tokenizer(padding_side=side)), FACTS, 0, SETTINGS["all"])
        for side in ("left", "right")
    ]
    torch.testing.assert_close(sides[0].keys, sides[1].keys)
    torch.testing.assert_close(
        sides[0].values, sides[1].values, rtol=RTOL, atol=RTOL * float(sides[1].values.abs().max())
    )
    torch.testing.assert_close(sides[0].probabilities, sides[1].probabilities, rtol=RTOL, atol=0)


def test_a_second_search_gives_the_same_bytes_and_leaves_the_model_as_it_was(model):
    first, second = (target_values(model, FACTS, 0, SETTINGS["all"]) for _ in range(2))
    for field in ("keys", "values", "probabilities", "steps"):
        assert torch.equal(getattr(first, field), getattr(second, field))
    assert weights_sha256(model.model) == model.weights_sha256
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in model.model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.model.modules())
    assert not first.values.requires_grad


def test_a_layer_that_does_not_exist_and_an_object_of_no_tokens_are_refused(model):
    with pytest.raises(InputError, match="layer 2 does not exist; expected 0 to 1"):
        target_values(model, FACTS, 2)
    dropping = replace(model, tokenizer=dropping_tokenizer("!"))
    with pytest.raises(InputError, match="of 'Kyoto is' has no tokens"):
        target_values(dropping, [FACTS[0], Fact(9, "Kyoto", "P9", "{} is", "Japan", "!")], 0)


@pytest.mark.parametrize("prefixes", [(), ("word " * 70,)])
def test_a_prompt_or_a_prefix_longer_than_the_context_is_refused(model, prefixes):
    fact = FACTS[0] if prefixes else replace(FACTS[0], prompt="word " * 70 + "{} is")
    with pytest.raises(InputError, match=r"the context length of .* is 64"):
        target_values(model, [fact], 0, replace(SHORT, prefixes=prefixes))


@pytest.mark.parametrize(("layer", "says"), [(0, r"'Russian' after 'The .* in' is nan"), (1, r"fact 0 \('Paris'\)")])
def test_numbers_that_are_none_are_refused_with_the_fact(model, layer, says):
    weight = model.adapter.weight(1 - layer)  # behind the layer, or before it so that its keys are not numbers
    before = weight.clone()
    weight.fill_(float("nan"))
    try:
        with pytest.raises(InputError, match=says):
            target_values(model, FACTS, layer, SHORT)
    finally:
        weight.copy_(before)


def test_lower_probabilities_are_those_that_a_search_of_their_own_stops_at(model):
    least, *_, most = target_values(model, FACTS, 1, SHORT).probabilities.sort().values.mul(0.9).tolist()
    together = target_values_at(model, FACTS, 1, levels := (least, most, 0.99), SHORT)
    for level, found in zip(levels, together, strict=True):
        alone = target_values(model, FACTS, 1, replace(SHORT, target_probability=level))
        assert torch.equal(found.steps, alone.steps)
        torch.testing.assert_close(found.values, alone.values, rtol=RTOL, atol=RTOL)
    assert (together[0].steps < together[-1].steps).any(), "the levels have to part"


def test_probabilities_that_do_not_rise_are_refused(model):
    for levels in ((), (0.5, 0.5), (0.9, 0.5)):
        with pytest.raises(InputError, match="expected one or more that rise"):
            target_values_at(model, FACTS, 1, levels)
