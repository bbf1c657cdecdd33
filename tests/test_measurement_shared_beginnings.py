"""Continuations whose rows share beginnings, against one unpadded row at a time, in every family."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import CONTEXT_LENGTH, byte_level_tokenizer, tiny_config, tiny_model
from transformers import AutoModelForCausalLM

from ks_core.measurement import scoring, shared_beginnings
from ks_core.measurement.scoring import continuation_log_probabilities, questions_of
from ks_core.measurement.shared_beginnings import batches_of, beginnings_of, longer_rows
from ks_core.models.adapter import Adapter
from ks_core.models.architectures import FAMILIES
from ks_core.models.loading import load_model

# Of a score's size: float32 log-probabilities of the same states, from sums of other shapes (some 8 roundings each of
# the logits and their normaliser).
ROUNDING = 16 * torch.finfo(torch.float32).eps
WINDOW = 24
"""Less than the longest rows, more than any is padded by: a padded token that sees none is not a number in Gemma 2."""

PROMPTS = {
    "The city of Paris lies in": ["France", "the south of Portugal", "the south of Spain", "a"],
    "In the town 東": ["京", "京都府", "大", "the"],  # one token holds the prompt's end and the first object
    "フランスの首都は": ["パリ", "パリス", "東京"],
    "A": ["b", "the mother tongue"],  # its only token is the one that is read after: nothing stands before
    "In Łódź people speak": ["Polish and German"],  # one row, which shares nothing
    "x" * 20 + " is the name of a town, far from": ["France", "the south of Portugal", "the sea"],
}
QUESTIONS = [(prompt, continuation) for prompt, continuations in PROMPTS.items() for continuation in continuations]


def loaded(model_type, side="right", window=False):
    model = tiny_model(model_type)
    if window:
        model = with_window(model_type, model)
    return load_model(model, byte_level_tokenizer(padding_side=side))


def with_window(model_type, model):
    """The same weights with attention that sees few tokens in one of its layers, where the family has it."""
    config = tiny_config(model_type)
    if getattr(config, "layer_types", None):
        config.layer_types = ["sliding_attention", "full_attention"]
    for name, value in (("sliding_window", WINDOW), ("use_sliding_window", True), ("window_size", WINDOW)):
        if hasattr(config, name):
            setattr(config, name, value)
    windowed = AutoModelForCausalLM.from_config(config).to(next(model.parameters()).dtype).eval()
    windowed.load_state_dict(model.state_dict())
    return windowed


def one_at_a_time(model, questions, first_token_only=False):
    """Each question's own unpadded row, all tokens through all layers, logits after every token."""

    def log_p(ids, start):
        if start == len(ids):
            return 0.0
        row = torch.tensor([ids[:-1]])  # nothing is read after the last
        with torch.no_grad():
            logits = model.adapter.logits(row, torch.ones_like(row))[0].float()
        logs = torch.log_softmax(logits, -1)
        return sum(float(logs[place - 1, ids[place]]) for place in range(start, len(ids)))

    scores, sizes = [], []
    for question in questions_of(model, *zip(*questions, strict=True)):
        whole = question.ids[: question.start + 1] if first_token_only else question.ids
        terms = (
            log_p(whole, question.start),
            log_p(question.ids[: question.start] + question.prompt_end, question.start),
        )
        scores.append(terms[0] - terms[1])
        sizes.append(abs(terms[0]) + abs(terms[1]))
    return np.array(scores), np.array(sizes)


def assert_plain(model, questions=tuple(QUESTIONS), **settings):
    found = continuation_log_probabilities(model, *zip(*questions, strict=True), **settings)
    expected, sizes = one_at_a_time(model, questions, settings.get("first_token_only", False))
    off = np.abs(found - expected) / sizes
    assert off.max() < ROUNDING, list(zip(questions, off, strict=True))


@pytest.mark.parametrize("window", [False, True], ids=["", "window"])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_scores_are_those_of_one_row_at_a_time(model_type, window):
    assert_plain(loaded(model_type, window=window))


@pytest.mark.parametrize("batch_tokens", [1, 40, 90, 10**6])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("model_type", ["gemma3_text", "gpt2"])
def test_neither_batches_nor_the_tokenizers_padding_side_matter(model_type, side, batch_tokens):
    assert_plain(loaded(model_type, side, window=True), batch_tokens=batch_tokens)


def test_a_row_that_fills_the_context_is_read_to_its_end():
    model = loaded("gpt2")
    spare = CONTEXT_LENGTH + 1 - len(model.tokenizer("Paris in France")["input_ids"])
    filling = "Paris" + "x" * spare + " in"
    assert_plain(model, [(filling, "France"), (filling, "Fran"), ("Paris in", "France"), ("Paris in", "Fran")])


@pytest.fixture(scope="module")
def model():
    return loaded("llama")


def test_bounds_and_wholes_may_be_asked_for_together(model):
    asked = [list(of) for of in zip(*QUESTIONS, strict=True)]
    bound = [number % 3 == 0 for number in range(len(QUESTIONS))]
    found = continuation_log_probabilities(model, *asked, first_token_only=bound)
    of_all = [one_at_a_time(model, QUESTIONS, of_kind) for of_kind in (False, True)]
    expected, sizes = (np.where(bound, *(of_all[kind][part] for kind in (True, False))) for part in (0, 1))
    assert (np.abs(found - expected) / sizes).max() < ROUNDING


@pytest.fixture
def run(monkeypatch):
    """Tokens of each pass, pasts that were made, and rows × columns of passes after one."""
    seen = {"tokens": [], "pasts": 0, "after": []}
    own, past_of = Adapter._run, Adapter.past_of

    def counted(adapter, module, ids, mask, past=None, cache=None):
        seen["tokens"].append(int(mask.sum()))
        if past is not None:
            seen["after"].append(ids.numel() + past.attention_mask.numel())
        return own(adapter, module, ids, mask, past, cache)

    def counted_past(adapter, ids, mask):
        seen["pasts"] += 1
        return past_of(adapter, ids, mask)

    monkeypatch.setattr(Adapter, "_run", counted)
    monkeypatch.setattr(Adapter, "past_of", counted_past)
    return seen


def test_a_shared_beginning_is_run_once(model, run, monkeypatch):
    monkeypatch.setattr(shared_beginnings, "LEAST_SPARED", 0)
    prompt, continuations = "The city of Paris lies in", ["the south of Portugal", "the north", "France", "Oslo"]
    questions = questions_of(model, [prompt] * 4, continuations)
    before = len(model.tokenizer(prompt)["input_ids"]) - 1
    continuation_log_probabilities(model, [prompt] * 4, continuations)
    rows = set(longer_rows(question.row for question in questions).values())
    assert len(rows) > 1, "rows that share a beginning"
    assert sum(run["tokens"]) == before + sum(len(row) - before for row in rows)


def test_rows_that_share_nothing_are_run_as_before(model, run):
    prompts = ["The city of Paris lies in", "In Łódź people speak", "A"]
    continuations = ["the south", "Polish", "b"]
    continuation_log_probabilities(model, prompts, continuations)
    rows = [question.row for question in questions_of(model, prompts, continuations)]
    assert run["pasts"] == 0
    assert run["tokens"] == [sum(map(len, rows))], "one pass"


@pytest.mark.parametrize(("least", "pasts"), [(0, 1), (1, 1), (1000, 0)])
def test_where_little_is_spared_no_past_is_made(model, run, monkeypatch, least, pasts):
    monkeypatch.setattr(shared_beginnings, "LEAST_SPARED", least)
    assert_plain(
        model, [("The city of Paris lies in", "the south of Portugal"), ("The city of Paris lies in", "no one")]
    )
    assert run["pasts"] == pasts


def test_a_prompt_alone_is_read_in_a_row_that_goes_on(model, run):
    prompt = "The city of Paris lies in"
    asked = [prompt] * 2, ["the south of Portugal", "France"]
    continuation_log_probabilities(model, *asked, first_token_only=[False, True])
    assert run["pasts"] == 0
    assert run["tokens"] == [len(questions_of(model, *asked)[0].row)]


@pytest.mark.parametrize("most", [1, 50, 120])
def test_no_more_of_a_past_is_held_than_fits(model, run, monkeypatch, most):
    entries = 2 * model.adapter.num_layers * model.adapter.d_value
    monkeypatch.setattr(shared_beginnings, "PAST_AT_ONCE", most * entries)
    assert_plain(model, batch_tokens=2 * most)
    pasts = [size for size in run["after"] if size > most]
    longest = max(len(question.ids) for question in questions_of(model, *zip(*QUESTIONS, strict=True)))
    assert run["pasts"] > 1
    assert all(size <= longest for size in pasts), "one row alone excepted"


def test_where_less_than_half_a_batch_of_pasts_fits_rows_come_whole(model, run, monkeypatch):
    entries = 2 * model.adapter.num_layers * model.adapter.d_value
    monkeypatch.setattr(shared_beginnings, "PAST_AT_ONCE", 49 * entries)
    assert_plain(model, batch_tokens=100)
    assert run["pasts"] == 0


tokens = st.lists(st.integers(0, 2), min_size=1, max_size=6).map(tuple)


@given(st.sets(tokens, max_size=12))
def test_each_row_is_run_in_one_that_begins_with_it_and_no_row_twice(rows):
    found = longer_rows(rows)
    assert set(found) == rows
    assert all(run[: len(row)] == row for row, run in found.items())
    longest = {row for row in rows if not any(other != row and other[: len(row)] == row for other in rows)}
    assert set(found.values()) == longest


@given(st.dictionaries(tokens, st.integers(0, 5), max_size=12), st.integers(1, 30))
def test_batches_hold_each_row_once_and_only_shared_beginnings_have_a_past(adapter_rows, batch_tokens):
    first_read = {row: min(column, len(row) - 1) for row, column in adapter_rows.items()}
    adapter = Adapter(tiny_model("gpt2"))
    with patch.object(shared_beginnings, "LEAST_SPARED", 0):
        batches = list(batches_of(adapter, first_read, batch_tokens, 0))
    assert sorted(row for batch in batches for row in batch.rows) == sorted(first_read)
    groups = beginnings_of(first_read)
    for batch in batches:
        for row, cut in zip(batch.rows, batch.cut, strict=True):
            shared = len(groups[row[: first_read[row]]]) > 1
            assert cut == (first_read[row] if shared else 0)
        assert (batch.past is None) == (set(batch.cut) == {0})


def other_owners(batch):
    return batch if batch.past is None else replace(batch, past=batch.past.of(torch.arange(len(batch.rows)).roll(1)))


def without_past(batch):
    return replace(batch, past=None)


@pytest.mark.parametrize("fault", [other_owners, without_past])
def test_planted_faults_are_caught(model, monkeypatch, fault):
    monkeypatch.setattr(scoring, "batches_of", lambda *of: map(fault, batches_of(*of)))
    with pytest.raises(AssertionError):
        assert_plain(model)
