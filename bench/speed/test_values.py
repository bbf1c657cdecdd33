"""Target values and known facts against the plain way: all tokens through all layers, logits after every token."""

import time

import pytest
import torch
from limits import matrix_rate, note
from plain import WholeRows, log_probabilities_everywhere, whole_rows

from ks_core.data.facts import packaged_facts
from ks_core.measurement import scoring, values
from ks_core.measurement.after_subjects import AfterSubjects
from ks_core.measurement.known import ask
from ks_core.measurement.values import target_values
from ks_core.models.adapter import Adapter
from ks_core.models.loading import load_model

pytestmark = pytest.mark.speed

EDITS, ROUNDS = 32, 2
VALUES_LARGEST_RATIO = {10: 0.5}
"""By layer; below 1 in the others, as the lower the layer the less is spared. In layer 10 of 30 the plain way runs 30
layers forward and 20 back over 11 tokens an edit and a head of 28 million weights after each; what is left are 20 and
20 over 4.5 tokens, and the head after 1.3: a quarter of the arithmetic. The rest of the half is for products of a third
as many rows, and for what is done once."""

KNOWN_FACTS = 24
VOCABULARY = 262_144
KNOWN_LARGEST_RATIO = 0.65
"""A token costs 200 MFLOP in the blocks and 336 in the head, which is left after one token in ten. Rows that are asked
for share their prompts' beginnings, which the plain way runs again in each; few are, where objects are of one token."""

ROUNDING = 16 * torch.finfo(torch.float32).eps
"""Of a log-probability's size: float32 sums of other shapes."""
SEARCH_ROUNDING = 1e-3
"""Of a value's length. Adam divides each entry of a gradient by its own size, so that small entries, whose sign float32
decides, move as far as large ones: a dozen steps take a rounding of 1e-6 to some 1e-4."""


def seconds(function):
    start = time.perf_counter()
    return function(), time.perf_counter() - start


def block_weights(adapter, layers):
    """Weights of the matrices of some blocks; each is a multiply-add a token."""
    return sum(p.numel() for n in layers for p in adapter.block(n).parameters() if p.ndim == 2)


class Counted:
    """Tokens through the blocks and places through the head, of a run."""

    def __init__(self, monkeypatch):
        self.tokens = self.places = 0
        states, head, past_of = Adapter.hidden_states, Adapter.head, Adapter.past_of

        def counted_states(adapter, ids, mask, past=None):
            self.tokens += int(mask.sum())
            return states(adapter, ids, mask, past)

        def counted_past(adapter, ids, mask):
            self.tokens += int(mask.sum())
            return past_of(adapter, ids, mask)

        def counted_head(adapter, hidden):
            self.places += len(hidden)
            return head(adapter, hidden)

        monkeypatch.setattr(Adapter, "hidden_states", counted_states)
        monkeypatch.setattr(Adapter, "past_of", counted_past)
        monkeypatch.setattr(Adapter, "head", counted_head)


@pytest.mark.parametrize("layer", [3, 10, 25])
def test_target_values(benchmark, model, layer, monkeypatch):
    facts = packaged_facts().facts[:: len(packaged_facts().facts) // EDITS][:EDITS]
    adapter, work, fast, plain = model.adapter, {"tokens": 0, "places": 0}, [], []
    logits = AfterSubjects.logits

    def counted(rest, added):
        work["tokens"] += int(rest.rows.attention_mask.sum())
        work["places"] += len(rest.rows.read[0])
        return logits(rest, added)

    def both():
        for _ in range(ROUNDS):  # in turn, so that a machine that slows down slows down both
            found, took = seconds(lambda: target_values(model, facts, layer))
            fast.append(took)
            with monkeypatch.context() as patch:
                patch.setattr(values, "after_subjects", WholeRows)
                expected, took = seconds(lambda: target_values(model, facts, layer))
            plain.append(took)
        return found, expected

    found, expected = benchmark.pedantic(both, rounds=1)
    monkeypatch.setattr(AfterSubjects, "logits", counted)
    target_values(model, facts, layer)
    above = block_weights(adapter, range(layer, adapter.num_layers))
    head = adapter.vocabulary * adapter.d_value
    rate = matrix_rate(torch.float32, 64, adapter.d_value, adapter.d_key)
    error = float(((found.values - expected.values).norm(dim=1) / expected.values.norm(dim=1)).max())
    noted = note(
        benchmark,
        seconds=fast,
        limit_seconds=rate.seconds(4 * (work["tokens"] * above + work["places"] * head)),  # forward and back
        limit=f"the blocks above and the head, forward and back, at the rate of {rate.words}",
        replaced_seconds=plain,
        replaced="all tokens, layers and logits at each step",
        edits=len(facts),
        steps=float(found.steps.double().mean()),
        relative_difference=error,
    )
    assert error < SEARCH_ROUNDING
    assert torch.equal(found.steps, expected.steps)
    assert noted.to_replaced.value < VALUES_LARGEST_RATIO.get(layer, 1.0)


@pytest.fixture(scope="module")
def large_vocabulary(model):
    from transformers import AutoModelForCausalLM, Gemma3TextConfig

    torch.manual_seed(0)
    config = Gemma3TextConfig(
        vocab_size=VOCABULARY, hidden_size=640, intermediate_size=2048, num_hidden_layers=18, num_attention_heads=4,
        num_key_value_heads=1, head_dim=256, max_position_embeddings=1024, sliding_window=512,
    )  # fmt: skip
    return load_model(AutoModelForCausalLM.from_config(config).eval(), model.tokenizer)


def test_known_facts_of_a_large_vocabulary(benchmark, large_vocabulary, monkeypatch):
    model, facts = large_vocabulary, packaged_facts()
    some = facts.facts[:: len(facts.facts) // KNOWN_FACTS][:KNOWN_FACTS]
    facts, adapter, fast, plain, scores = facts.subset([fact.case_id for fact in some]), model.adapter, [], [], []

    def run(**replaced):
        kept, sums = [], scoring._sums
        with monkeypatch.context() as patch:
            for name, function in replaced.items():
                patch.setattr(scoring, name, function)
            patch.setattr(scoring, "_sums", lambda *of: kept.extend(sums(*of)) or kept[-len(of[1]) :])
            known, took = seconds(lambda: ask(model, facts))
        scores.append(torch.tensor(kept))
        return known, took

    def both():
        known, took = run()
        fast.append(took)
        expected, took = run(batches_of=whole_rows, log_probabilities_at=log_probabilities_everywhere)
        plain.append(took)
        return known, expected

    known, expected = benchmark.pedantic(both, rounds=1)
    work = Counted(monkeypatch)
    ask(model, facts)
    head = adapter.vocabulary * adapter.d_value
    rate = matrix_rate(torch.float32, 64, adapter.d_value, adapter.d_key)
    blocks = block_weights(adapter, range(adapter.num_layers))
    asked = scores[1] != 0  # prompts that no token joins to an object have nothing to be asked for
    error = float(((scores[0] - scores[1]).abs() / scores[1].abs())[asked].max())
    noted = note(
        benchmark,
        seconds=fast,
        limit_seconds=rate.seconds(2 * (work.tokens * blocks + work.places * head)),
        limit=f"the blocks over all tokens and the head where it is read, at the rate of {rate.words}",
        replaced_seconds=plain,
        replaced="whole rows, logits after every token",
        facts=len(facts.facts),
        vocabulary=adapter.vocabulary,
        relative_difference=error,
    )
    assert known == expected
    assert error < ROUNDING
    assert noted.to_replaced.value < KNOWN_LARGEST_RATIO
