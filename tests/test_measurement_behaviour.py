"""What a model says: scores against one prompt at a time, CounterFact's definitions, and the likelihood of text."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from measured import write_facts, write_text
from tiny_models import byte_level_tokenizer, dropping_tokenizer, save_tiny_checkpoint

from ks_core.data.corpus import load_corpus
from ks_core.data.facts import load_facts
from ks_core.errors import InputError
from ks_core.measurement.behaviour import Scores, held_out_text, read_answers, text_losses
from ks_core.measurement.moments.text import take_tokens
from ks_core.models.fingerprint import weights_sha256
from ks_core.models.loading import load_model

# Log-probabilities are float32: a softmax of 512 terms and a mean over tokens
RTOL = 16 * torch.finfo(torch.float32).eps
KINDS = {
    "rewrite": lambda fact: (fact.text,),
    "paraphrase": lambda fact: fact.paraphrase_prompts,
    "neighbourhood": lambda fact: fact.neighborhood_prompts,
}


@pytest.fixture(scope="module", params=["gpt2", "gpt_neox", "llama"])
def model(request, tmp_path_factory):
    folder = save_tiny_checkpoint(tmp_path_factory.mktemp(request.param), request.param, dtype=torch.float64)
    return load_model(folder, dtype="float64")


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    return load_facts(write_facts(tmp_path_factory.mktemp("facts") / "facts.json")).facts


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return load_corpus(str(write_text(tmp_path_factory.mktemp("text") / "text.txt", 80)))


@pytest.fixture(scope="module")
def texts(model, corpus):
    return take_tokens(corpus.texts(), model.tokenizer, 700, 50)


def naive_score(model, prompt, continuation):
    """Mean log-probability per token, one row without padding."""
    start = len(model.tokenizer(prompt)["input_ids"])
    ids = model.tokenizer(f"{prompt} {continuation}")["input_ids"]
    with torch.no_grad():
        logits = model.model(torch.tensor([ids])).logits[0]
    each = [float(torch.log_softmax(logits[place - 1], 0)[ids[place]]) for place in range(start, len(ids))]
    return sum(each) / len(each)


def test_scores_equal_one_prompt_at_a_time(model, facts):
    answers = read_answers(model, facts)
    for kind, prompts_of in KINDS.items():
        scores, place = getattr(answers, kind), 0
        for number, fact in enumerate(facts):
            for prompt in prompts_of(fact):
                assert int(scores.fact[place]) == number
                assert scores.new[place] == pytest.approx(naive_score(model, prompt, fact.target_new), rel=RTOL)
                assert scores.true[place] == pytest.approx(naive_score(model, prompt, fact.target_true), rel=RTOL)
                place += 1
        assert place == len(scores.fact) == len(scores.new) == len(scores.true) > 0


def test_planted_fault_the_objects_swapped_are_caught(model, facts):
    swapped = [replace(fact, target_new=fact.target_true, target_true=fact.target_new) for fact in facts]
    right, wrong = read_answers(model, facts).rewrite, read_answers(model, swapped).rewrite
    np.testing.assert_allclose(right.new, wrong.true, rtol=RTOL)
    assert not np.allclose(right.new, wrong.new, rtol=RTOL)


def test_success_and_magnitude_of_a_model_equal_counts_fact_by_fact(model, facts):
    answers = read_answers(model, facts)
    for kind, prompts_of in KINDS.items():
        success, magnitude = getattr(answers, kind).success(), getattr(answers, kind).magnitude()
        for number, fact in enumerate(facts):
            pairs = [
                tuple(naive_score(model, prompt, text) for text in (fact.target_new, fact.target_true))
                for prompt in prompts_of(fact)
            ]
            if not pairs:
                assert np.isnan(success[number])
                assert np.isnan(magnitude[number])
                continue
            assert success[number] == sum(new > true for new, true in pairs) / len(pairs)
            expected = sum(np.exp(new) - np.exp(true) for new, true in pairs) / len(pairs)
            # The difference of two probabilities, each off by RTOL of its logarithm, which is of order 10
            assert magnitude[number] == pytest.approx(expected, abs=10 * RTOL * np.exp(max(map(max, pairs))))


def test_success_and_magnitude_are_means_by_fact_and_a_tie_is_no_success():
    half, quarter, eighth = np.log([0.5, 0.25, 0.125])
    scores = Scores(
        5,
        np.array([0, 2, 2, 2, 3]),
        new=np.array([half, half, quarter, eighth, quarter]),
        true=np.array([quarter, quarter, half, half, quarter]),
    )
    # Sums of few powers of two: right to the rounding of exp
    np.testing.assert_allclose(scores.success(), [1, np.nan, 1 / 3, 0, np.nan], rtol=1e-15)
    np.testing.assert_allclose(scores.magnitude(), [0.25, np.nan, -0.375 / 3, 0, np.nan], rtol=1e-15)


def test_asking_changes_nothing_and_gives_the_same_twice(model, facts):
    first, second = read_answers(model, facts), read_answers(model, facts)
    for kind in KINDS:
        np.testing.assert_array_equal(getattr(first, kind).new, getattr(second, kind).new)
    assert weights_sha256(model.model) == model.weights_sha256


def test_asking_for_an_object_of_no_tokens_is_refused(model, facts):
    with pytest.raises(InputError, match="no tokens"):
        read_answers(replace(model, tokenizer=dropping_tokenizer("!")), [facts[0], replace(facts[1], target_new="!")])


def naive_loss(model, ids):
    """Transformers' own loss of one text without padding."""
    row = torch.from_numpy(ids).long()[None]
    with torch.no_grad():
        return float(model.model(input_ids=row, labels=row).loss)


@pytest.mark.parametrize("batch_tokens", [1, 100, 2048])
@pytest.mark.parametrize("side", ["left", "right"])
def test_losses_equal_transformers_own_in_the_order_given(model, texts, batch_tokens, side):
    reader = replace(model, tokenizer=byte_level_tokenizer(padding_side=side))
    assert len({len(text) for text in texts}) > 3, "texts of one length hide their order and their padding"
    found = text_losses(reader, texts, batch_tokens=batch_tokens)
    np.testing.assert_allclose(found, [naive_loss(model, text) for text in texts], rtol=RTOL)


def test_losses_of_texts_in_another_order_are_in_that_order(model, texts):
    forwards, backwards = text_losses(model, texts), text_losses(model, texts[::-1])
    np.testing.assert_allclose(backwards[::-1], forwards, rtol=RTOL)
    assert not np.allclose(backwards, forwards, rtol=RTOL)


def test_losses_that_are_not_numbers_are_refused(model, texts):
    weight = model.adapter.weight(1)
    before = weight.clone()
    weight.fill_(float("nan"))
    try:
        with pytest.raises(InputError, match=r"held-out text is NaN or infinite; .* float32"):
            text_losses(model, texts)
    finally:
        weight.copy_(before)


def stream(model, corpus, longest):
    """Every token of the corpus with the number of its text and its place there, as text after text gives them."""
    tokens = []
    for number, text in enumerate(corpus.texts()):
        ids = model.tokenizer(text)["input_ids"][:longest]
        tokens += [(token, number, place) for place, token in enumerate(ids)]
    return tokens


@pytest.mark.parametrize("longest", [20, 1024])
@pytest.mark.parametrize(("after", "tokens"), [(0, 200), (1, 200), (100, 57), (437, 300)])
def test_held_out_text_is_exactly_the_whole_texts_behind(model, corpus, after, tokens, longest):
    found = held_out_text(model, corpus, after=after, tokens=tokens, longest_text=longest)
    assert sum(map(len, found)) == tokens
    every = stream(model, corpus, min(longest, model.context_length))
    first = next(i for i in range(after, len(every)) if every[i][2] == 0)  # a text that began before is left out whole
    expected = every[first : first + tokens]
    assert [token for text in found for token in text.tolist()] == [token for token, *_ in expected]
    numbers = [number for _, number, _ in expected]
    assert [len(text) for text in found] == [numbers.count(number) for number in dict.fromkeys(numbers)]
    assert {number for _, number, _ in every[:after]}.isdisjoint(numbers), "these texts made the second moments"


def test_held_out_text_is_refused_when_there_is_too_little(model, corpus):
    available = len(stream(model, corpus, model.context_length))
    for after, tokens in ((0, available + 1), (available, 10), (available - 10, 11)):
        with pytest.raises(InputError, match=r"the text has .* tokens; expected .*: give more text"):
            held_out_text(model, corpus, after=after, tokens=tokens)
