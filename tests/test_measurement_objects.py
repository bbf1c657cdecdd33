"""Prompts with objects behind them: tokens against a naive reading, and vectors added at the subject against a hook."""

from dataclasses import replace

import pytest
import torch
from tiny_models import byte_level_tokenizer, save_tiny_checkpoint, sentencepiece_tokenizer

from ks_core.data.facts import Fact
from ks_core.errors import InputError
from ks_core.measurement.objects import logits_with, object_log_probabilities, object_rows
from ks_core.measurement.scoring import continuation_log_probabilities
from ks_core.models.loading import load_model

TOKENIZERS = {
    "byte-level": lambda **k: byte_level_tokenizer(**k),
    "byte-level bos, space in offsets": lambda **k: byte_level_tokenizer(bos=True, trim_offsets=False, **k),
    "byte-level, single digits": lambda **k: byte_level_tokenizer(single_digits=True, **k),
    "sentencepiece bpe": lambda **k: sentencepiece_tokenizer("bpe", **k),
    "sentencepiece unigram without bos": lambda **k: sentencepiece_tokenizer("unigram", bos=False, **k),
}
START = Fact(0, "Vladimir Mayakovsky", "P0", "{} spoke", "Russian", "Polish")
MIDDLE = Fact(1, "Łódź", "P1", "In the old town of {}, people speak of", "Polish", "the café in 1984")
END = Fact(2, "Windows 8.1", "P2", "Microsoft developed {}", "twice", "in 東京")
WHOLE = Fact(3, "東京", "P3", "{}", "Japan", "Apple")
FACTS = (START, MIDDLE, END, WHOLE)
OBJECTS = [fact.target_new for fact in FACTS]
PREFIXES = ("Apple. ", "Łódź,")
# Log-probabilities are float32: a softmax of 512 terms and a mean over the tokens
RTOL = 16 * torch.finfo(torch.float32).eps


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(scope="module", params=["gpt2", "gpt_neox", "llama", "opt"])
def model(request, folder):
    return load_model(save_tiny_checkpoint(folder / request.param, request.param, dtype=torch.float64), dtype="float64")


@pytest.fixture(scope="module")
def any_model(folder):
    return load_model(save_tiny_checkpoint(folder / "any", "llama", dtype=torch.float64), dtype="float64")


@pytest.fixture(scope="module", params=[(name, side) for name in TOKENIZERS for side in ("left", "right")], ids=str)
def reader(request, any_model):
    """A model that reads with one of the tokenizers; logits are not looked at."""
    name, side = request.param
    return replace(any_model, tokenizer=TOKENIZERS[name](padding_side=side))


def tokens_of(model, text):
    return model.tokenizer(text)["input_ids"]


def naive_row(model, text, behind, subject_end):
    """(tokens of the whole, place of the subject's last, the object's tokens and where they stand)."""
    whole = f"{text} {behind}" if behind else text
    ids, prompt, subject = tokens_of(model, whole), tokens_of(model, text), tokens_of(model, text[:subject_end])
    assert ids[: len(prompt)] == prompt, "cutting here changes the tokens, so this oracle does not hold"
    assert ids[: len(subject)] == subject, "cutting here changes the tokens, so this oracle does not hold"
    return ids, len(subject) - 1, ids[len(prompt) :], list(range(len(prompt), len(ids)))


def assert_rows_say(model, rows, expected):
    """`expected`: by row the owner and what `naive_row` gives."""
    assert len(rows.input_ids) == len(expected)
    side = model.tokenizer.padding_side
    for row, (owner, (ids, subject_last, targets, stands)) in enumerate(expected):
        width = rows.input_ids.shape[1]
        before = width - len(ids) if side == "left" else 0
        mask = [1 if before <= column < before + len(ids) else 0 for column in range(width)]
        assert rows.attention_mask[row].tolist() == mask
        assert rows.input_ids[row, before : before + len(ids)].tolist() == ids
        assert int(rows.subject_last[row]) == before + subject_last
        assert int(rows.owner[row]) == owner
        rest = rows.targets.shape[1] - len(targets)
        assert rows.targets[row].tolist() == targets + [-1] * rest
        last = before + len(ids) - 1
        assert rows.places[row].tolist() == [before + place - 1 for place in stands] + [last] * rest


def test_rows_say_what_a_naive_reading_says(reader):
    rows = object_rows(reader, FACTS, OBJECTS)
    expected = [(n, naive_row(reader, f.text, f.target_new, f.subject_span[1])) for n, f in enumerate(FACTS)]
    assert len({len(ids) for _, (ids, *_) in expected}) > 1, "without padding the sides would be alike"
    assert len({len(targets) for _, (_, _, targets, _) in expected}) > 1
    assert_rows_say(reader, rows, expected)


def test_rows_with_prefixes_and_essence_say_what_a_naive_reading_says(reader):
    rows = object_rows(reader, FACTS, OBJECTS, prefixes=PREFIXES, essence=True)
    expected = []
    for number, fact in enumerate(FACTS):
        for context in ("", "Apple. ", "Łódź, "):
            row = naive_row(reader, context + fact.text, fact.target_new, len(context) + fact.subject_span[1])
            expected.append((number, row))
    for number, fact in enumerate(FACTS):
        expected.append((number, naive_row(reader, f"{fact.subject} is a", "", len(fact.subject))))
    assert_rows_say(reader, rows, expected)


def test_planted_fault_a_subject_that_ends_a_token_later_is_caught(reader):
    rows = object_rows(reader, FACTS, OBJECTS)
    shifted = replace(rows, subject_last=rows.subject_last + 1)
    expected = [(n, naive_row(reader, f.text, f.target_new, f.subject_span[1])) for n, f in enumerate(FACTS)]
    with pytest.raises(AssertionError):
        assert_rows_say(reader, shifted, expected)


@pytest.mark.parametrize("owners", [[0], [1, 3], [0, 1, 2, 3]])
def test_rows_of_some_facts_are_theirs_in_order(any_model, owners):
    rows = object_rows(any_model, FACTS, OBJECTS, prefixes=PREFIXES, essence=True)
    some = rows.of(torch.tensor(owners))
    chosen = [row for row, owner in enumerate(rows.owner.tolist()) if owner in owners]
    assert some.owner.tolist() == [number for number in owners for _ in range(3)] + owners
    for field in ("input_ids", "attention_mask", "subject_last", "targets", "places"):
        assert torch.equal(getattr(some, field), getattr(rows, field)[chosen])


@pytest.mark.parametrize("side", ["left", "right"])
def test_object_log_probabilities_equal_those_of_the_continuations(model, side):
    model = replace(model, tokenizer=byte_level_tokenizer(padding_side=side))
    rows = object_rows(model, FACTS, OBJECTS, essence=True)
    with torch.inference_mode():
        found = object_log_probabilities(model.adapter.logits(*rows.inputs)[rows.read], rows)
    expected = continuation_log_probabilities(model, [fact.text for fact in FACTS], OBJECTS, per_token=True)
    assert found[: len(FACTS)].tolist() == pytest.approx(expected, rel=RTOL)
    assert found[len(FACTS) :].tolist() == [0.0] * len(FACTS)


@pytest.mark.parametrize("layer", [0, 1])
def test_adding_zero_changes_nothing(model, layer):
    rows = object_rows(model, FACTS, OBJECTS)
    nothing = torch.zeros(len(FACTS), model.adapter.d_value, dtype=torch.float64)
    with torch.inference_mode():
        plain = model.adapter.logits_at(*rows.inputs, rows.read)
        assert torch.equal(logits_with(model, layer, rows, nothing), plain)


def naive_logits(model, layer, ids, place, vector):
    """One row without padding, the vector added in a hook at one token."""

    def add(_module, _args, output):
        moved = output.clone()
        moved.view(-1, model.adapter.d_value)[place] += vector
        return moved

    hook = model.adapter.projection(layer).register_forward_hook(add)
    with torch.no_grad():
        logits = model.model(torch.tensor([ids])).logits[0]
    hook.remove()
    return logits


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_vector_added_at_the_subject_equals_a_hook_by_hand(model, layer, side):
    model = replace(model, tokenizer=byte_level_tokenizer(padding_side=side))
    rows = object_rows(model, FACTS, OBJECTS)
    generator = torch.Generator().manual_seed(3)
    vectors = 3 * torch.randn(len(FACTS), model.adapter.d_value, generator=generator, dtype=torch.float64)
    with torch.inference_mode():
        everywhere = replace(
            rows,
            targets=torch.zeros_like(rows.input_ids),
            places=torch.arange(rows.input_ids.shape[1]).expand_as(rows.input_ids),
        )
        found = logits_with(model, layer, everywhere, vectors).reshape(*rows.input_ids.shape, -1)
        plain = model.adapter.logits(rows.input_ids, rows.attention_mask)
    for number, fact in enumerate(FACTS):
        ids, place, *_ = naive_row(model, fact.text, fact.target_new, fact.subject_span[1])
        expected = naive_logits(model, layer, ids, place, vectors[number])
        own = found[number][rows.attention_mask[number].bool()]
        # Float64 forward passes of other shapes: two layers of sums of at most 64 terms
        torch.testing.assert_close(own, expected, rtol=1e-12, atol=1e-12)
        before = plain[number][rows.attention_mask[number].bool()]
        assert torch.equal(own[:place], before[:place]), "what stands before the subject does not see it"
        assert not torch.allclose(own[place], before[place], rtol=1e-3, atol=1e-3)


def test_gradients_flow_back_to_what_was_added_and_to_no_weight(model):
    rows = object_rows(model, FACTS, OBJECTS)
    added = torch.zeros(len(FACTS), model.adapter.d_value, dtype=torch.float64, requires_grad=True)
    object_log_probabilities(logits_with(model, 0, rows, added), rows).sum().backward()
    assert (added.grad.norm(dim=1) > 0).all()
    assert all(parameter.grad is None for parameter in model.model.parameters())


@pytest.mark.parametrize("nothing", ["", " "])
def test_an_object_of_no_tokens_is_refused(any_model, nothing):
    with pytest.raises(InputError, match="has no tokens of its own"):
        object_rows(any_model, [START], [nothing])


@pytest.mark.parametrize("prefixes", [(), ("word " * 70,)])
def test_a_row_longer_than_the_context_is_refused(any_model, prefixes):
    fact = START if prefixes else replace(START, prompt="word " * 70 + "{} is")
    with pytest.raises(InputError, match=r"the context length of .* is 64: shorten the prompt"):
        object_rows(any_model, [fact], ["Polish"], prefixes=prefixes)
