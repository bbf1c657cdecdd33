"""Log-probabilities of continuations against one question at a time, and what counts as known."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from changed_models import CHANGES, ONE_OF_EACH
from checkout import MODELS
from errors import refused
from measured import write_facts
from tiny_models import CONTEXT_LENGTH, byte_level_tokenizer, save_tiny_checkpoint

from ks_core.checked_files import read_json, write_json
from ks_core.data.facts import load_facts, packaged_facts
from ks_core.errors import InputError, ProvenanceError
from ks_core.files import cache_dir
from ks_core.measurement.known import FORMAT, ask, known_facts
from ks_core.measurement.scoring import _sums, continuation_log_probabilities, questions_of
from ks_core.models.editing import edited
from ks_core.models.loading import load_model

RTOL = 1e-4  # float32 forward passes of different shapes


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def model(request, tmp_path_factory):
    return load_model(save_tiny_checkpoint(tmp_path_factory.mktemp(request.param), request.param))


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    return load_facts(write_facts(tmp_path_factory.mktemp("facts") / "facts.json"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))


def naive_score(model, prompt, continuation):
    """The chain rule, token by token, from one unpadded row."""
    start = len(model.tokenizer(prompt)["input_ids"])
    ids = model.tokenizer(f"{prompt} {continuation}")["input_ids"]
    with torch.no_grad():
        logits = model.model(torch.tensor([ids])).logits[0].double()
    return sum(float(torch.log_softmax(logits[place - 1], -1)[ids[place]]) for place in range(start, len(ids)))


def test_the_first_token_bounds_the_whole_and_is_its_first_factor(model):
    prompts, continuations = ["The city of Paris lies in"] * 2, ["the south of Portugal", "France"]
    bounds = continuation_log_probabilities(model, prompts, continuations, first_token_only=True)
    wholes = continuation_log_probabilities(model, prompts, continuations)
    assert all(bound >= whole for bound, whole in zip(bounds, wholes, strict=True))
    ids = model.tokenizer("The city of Paris lies in the")["input_ids"]
    start = len(model.tokenizer("The city of Paris lies in")["input_ids"])
    first = model.tokenizer.decode(ids[start : start + 1])
    assert bounds[0] == pytest.approx(naive_score(model, "The city of Paris lies in", first.strip()), rel=RTOL)


def test_planted_fault_taking_the_bound_for_the_whole_is_caught(model, facts, monkeypatch):
    honest = ask(model, facts)
    only_first = partial(continuation_log_probabilities, first_token_only=True)
    monkeypatch.setattr(
        "ks_core.measurement.known.continuation_log_probabilities", lambda *texts, **_: only_first(*texts)
    )
    assert ask(model, facts) != honest


@pytest.mark.parametrize("batch_tokens", [1, 60, 2048])
def test_scores_equal_one_token_at_a_time(model, batch_tokens):
    prompts = ["The city of Paris lies in", "The city of Paris lies in", "In Łódź people speak", "A"]
    continuations = ["France", "the south of Portugal", "Polish", "b"]
    found = continuation_log_probabilities(model, prompts, continuations, batch_tokens=batch_tokens)
    expected = [naive_score(model, *question) for question in zip(prompts, continuations, strict=True)]
    assert found == pytest.approx(expected, rel=RTOL)


def test_a_fact_is_known_when_its_object_scores_highest(model, facts):
    expected = []
    for fact in facts:
        scores = {candidate: naive_score(model, fact.text, candidate) for candidate in facts.objects(fact.relation_id)}
        if max(scores, key=scores.get) == fact.target_true:
            expected.append(fact.case_id)
    found = ask(model, facts)
    assert 0 < len(expected) < len(facts), "a fault could hide behind all or nothing"
    assert list(found.case_ids) == expected
    assert found.asked == len(facts)


def test_the_answer_is_cached_and_not_asked_for_again(model, facts):
    first = known_facts(model, facts)
    passes = []
    hook = model.adapter.backbone.register_forward_pre_hook(lambda *_: passes.append(1))
    assert known_facts(model, facts) == first
    hook.remove()
    assert not passes


def test_a_damaged_answer_is_refused_with_its_path(model, facts):
    known_facts(model, facts)
    path = next((cache_dir() / "known").iterdir())
    path.write_text('{"case_ids": ')
    with pytest.raises(ProvenanceError, match=r"damaged.*remove it"):
        known_facts(model, facts)


@pytest.mark.parametrize(
    "case_ids", [None, 5, {}, [True], ["1"], [1.0], [10**6], [-1], [1, 1], [2, 1], [[1]], [None]], ids=str
)
def test_ids_that_are_no_part_of_the_facts_are_refused_even_with_their_checksum(model, facts, case_ids):
    known_facts(model, facts)
    path = next((cache_dir() / "known").iterdir())
    write_json(path, FORMAT, read_json(path, FORMAT) | {"case_ids": case_ids})
    with pytest.raises(ProvenanceError, match=rf"{path.name} is damaged: its case_ids.*remove it"):
        known_facts(model, facts)


def test_an_answer_about_other_facts_under_this_name_is_refused(model, facts):
    known_facts(model, facts)
    path = next((cache_dir() / "known").iterdir())
    known_facts(model, facts.subset([fact.case_id for fact in facts.facts[:20]]))
    (other,) = (file for file in (cache_dir() / "known").iterdir() if file != path)
    path.write_bytes(other.read_bytes())
    with refused(ProvenanceError, what=path.name, got="other facts", remedy="remove it"):
        known_facts(model, facts)


def test_a_fact_whose_relation_has_one_object_is_not_known(model, facts):
    lone = replace(
        facts, facts=tuple(fact for fact in facts if fact.target_true == "France" or fact.relation_id == "P0")
    )
    assert len(lone.objects("P0")) > 1
    assert len(lone.objects("P1")) == 1
    found = ask(model, lone)
    by_id = {fact.case_id: fact for fact in lone}
    assert {by_id[case_id].relation_id for case_id in found.case_ids} == {"P0"}
    only_lone = replace(lone, facts=tuple(fact for fact in lone if fact.relation_id == "P1"))
    assert ask(model, only_lone).case_ids == ()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_refused_and_nothing_is_cached(model, facts, bad):
    weight = model.adapter.weight(1)
    before = weight.clone()
    weight.fill_(bad)
    try:
        with pytest.raises(InputError, match=r"'France' after '.* in' is nan; .* float32"):
            known_facts(model, facts)
    finally:
        weight.copy_(before)
    assert not (cache_dir() / "known").exists()


def test_a_question_longer_than_the_context_is_refused_and_one_that_fills_it_is_not(model):
    spare = CONTEXT_LENGTH + 1 - len(model.tokenizer("Paris b")["input_ids"])  # the last token of all is never read
    filling = "Paris" + "x" * spare
    ids = model.tokenizer(f"{filling} b")["input_ids"]
    start = len(model.tokenizer(filling)["input_ids"])
    assert len(ids) == CONTEXT_LENGTH + 1
    with torch.no_grad():
        expected = torch.log_softmax(model.model(torch.tensor([ids[:-1]])).logits[0].double(), -1)
    found = continuation_log_probabilities(model, [filling], ["b"])
    assert found == pytest.approx([sum(float(expected[i - 1, ids[i]]) for i in range(start, len(ids)))], rel=RTOL)
    with refused(InputError, got=(f"{CONTEXT_LENGTH + 1} tokens", "context length", f"{CONTEXT_LENGTH}")):
        continuation_log_probabilities(model, [filling + "x"], ["b"])


@pytest.mark.parametrize("change", ONE_OF_EACH)
def test_a_model_that_was_changed_after_loading_is_asked_anew(model, facts, change):
    known_facts(model, facts)
    other = load_model(model.name)
    CHANGES[change](other)
    found = known_facts(other, facts)
    assert len(list((cache_dir() / "known").iterdir())) == 2
    assert found == ask(other, facts)


def test_another_dtype_is_asked_anew(model, facts):
    known_facts(model, facts)
    known_facts(load_model(model.name, dtype="float64"), facts)
    assert len(list((cache_dir() / "known").iterdir())) == 2


@pytest.fixture(scope="module")
def trained():
    return load_model(MODELS / "ks-llama-l3")


@pytest.fixture(scope="module")
def some_facts():
    facts = packaged_facts()
    return facts.subset([fact.case_id for fact in facts.facts[:200]])


def test_an_edited_model_is_asked_and_neither_gets_the_others_answer(trained, some_facts):
    before = ask(trained, some_facts)
    for _ in range(2):  # from the model, then from the cache
        with edited(trained.adapter, 0, 0.5 * trained.adapter.weight(0)):
            inside = known_facts(trained, some_facts)
        assert known_facts(trained, some_facts) == before
    assert len(inside.case_ids) < len(before.case_ids)
    assert len(list((cache_dir() / "known").iterdir())) == 2
    other = load_model(trained.name)
    other.adapter.weight(0).mul_(1.5)
    assert ask(other, some_facts) == inside


def test_an_answer_of_a_model_that_was_changed_meanwhile_is_not_cached(model, facts):
    passes = []

    def change(*_):
        passes.append(1)
        if len(passes) == 2:
            model.adapter.projection(1).weight.data.mul_(2)

    hook = model.adapter.backbone.register_forward_pre_hook(change)
    try:
        with refused(InputError, what="the weights", got="changed", remedy="measure again"):
            known_facts(model, facts)
    finally:
        hook.remove()
        model.adapter.projection(1).weight.data.div_(2)
    assert len(passes) > 2
    assert not (cache_dir() / "known").exists()


def test_a_continuation_of_no_tokens_is_refused(model):
    with pytest.raises(InputError, match="no tokens"):
        continuation_log_probabilities(model, ["Paris is"], [" "])


# --- prompts and objects that no space stands between


def chain_rule(model, prompt, text):
    """log p(text) - log p(prompt), each as the tokenizer reads it alone, one token at a time."""

    def log_p(ids):
        with torch.no_grad():
            logits = torch.log_softmax(model.model(torch.tensor([ids])).logits[0].double(), -1)
        return sum(float(logits[place - 1, ids[place]]) for place in range(1, len(ids)))

    return log_p(model.tokenizer(text)["input_ids"]) - log_p(model.tokenizer(prompt)["input_ids"])


JOINED = [
    ("In the town 東", "京", "In the town 東京"),  # the tokenizer has one token for " 東京", which crosses the border
    ("In the town 東", "大", "In the town 東大"),
    ("フランスの首都は", "パリ", "フランスの首都はパリ"),
    ("The Franco-", "German", "The Franco-German"),
    ("He lives in (", "Łódź", "He lives in (Łódź"),
    ("The city is", "京", "The city is 京"),
]


@pytest.mark.parametrize(("prompt", "continuation", "text"), JOINED)
def test_a_continuation_without_a_space_is_scored_as_the_text_that_one_writes(model, prompt, continuation, text):
    (found,) = continuation_log_probabilities(model, [prompt], [continuation])
    assert found == pytest.approx(chain_rule(model, prompt, text), rel=RTOL, abs=RTOL)
    (bound,) = continuation_log_probabilities(model, [prompt], [continuation], first_token_only=True)
    assert bound >= found


def test_planted_fault_counting_the_joining_token_as_the_objects_alone_is_caught(model):
    """The example that needs the prompt's own end: its probability is no part of the object's."""
    (question,) = questions_of(model, ["In the town 東"], ["京"])
    assert question.prompt_end, "a token joins the prompt and the object here"
    (found,) = continuation_log_probabilities(model, ["In the town 東"], ["京"])
    (faulty,) = _sums(model, [(question.ids, question.start)], 2048)
    assert faulty != pytest.approx(found, rel=0.01)


def test_objects_in_a_script_without_spaces_have_no_bare_space_before_them(model):
    (question,) = questions_of(model, ["フランスの首都は"], ["パリ"])
    assert model.tokenizer.decode(question.ids[question.start :]) == "パリ"


def test_a_first_token_that_nothing_predicts_is_refused(model):
    spaced = replace(model, tokenizer=byte_level_tokenizer(prefix_space=True))
    assert len(spaced.tokenizer("東京")["input_ids"]) == 1
    with refused(InputError, what="one token", expected="a longer prompt"):
        continuation_log_probabilities(spaced, ["東"], ["京"])


@pytest.mark.parametrize(
    ("prompt", "continuation"), [("Paris is ", "b"), ("Paris is", " b"), ("Paris\n", "b"), ("A", "b ")]
)
def test_white_space_where_prompt_and_continuation_meet_is_refused(model, prompt, continuation):
    with pytest.raises(InputError, match="has white space at its end; expected none"):
        continuation_log_probabilities(model, [prompt], [continuation])
