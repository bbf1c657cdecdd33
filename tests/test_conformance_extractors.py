"""What extractors are tried on: each claimed family on each example, readable prompts, models lent as if new."""

from __future__ import annotations

from typing import Any

import conformance_mutants_extractors as mutants
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from token_oracles import oracle
from torch import Tensor

from ks_core.conformance import Traits, reference
from ks_core.conformance.check import check_extractor
from ks_core.conformance.checking import hold
from ks_core.conformance.extractors import Extractor
from ks_core.conformance.lending import kept_model, kept_tokenizer, lent_model, lent_tokenizer, unchanged
from ks_core.conformance.prompts import APART, JOINED, SHORTEST, SUBJECTS, TOKENIZERS, TWICE, batches, filled, fillings
from ks_core.conformance.registry import LAWS, laws_for
from ks_core.models.tiny import CONTEXT_LENGTH
from ks_core.models.tokens import tokenise_prompts
from ks_core.theory.traits import FAMILIES

FLOAT32 = Traits(dtype="float32")
POSITIONS = "extractor_counts_positions_without_padding"
FILLINGS = fillings(*APART, *JOINED, *TWICE)


@pytest.mark.parametrize(
    ("dtype", "seed"), [("float32", 0), ("float32", 1), ("float64", 2), ("bfloat16", 3), ("float16", 4)]
)
def test_reference_extractor_breaks_no_law_on_any_family_and_dtype(dtype: str, seed: int) -> None:
    results = check_extractor(reference.extractor, Traits(dtype=dtype), max_examples=12, seed=seed)
    assert {result.message for result in results} == {""}
    assert {result.outcome for result in results} == {"passed"}


@pytest.mark.parametrize("families", [FAMILIES, ("llama",), ("gpt2",)])
def test_each_claimed_family_and_no_other_is_tried_by_each_law_on_its_first_example(families: tuple[str, ...]) -> None:
    tried: set[str] = set()

    def noting(model: Any, *rest: Any) -> Tensor:
        tried.add(model.config.model_type)
        return reference.extractor(model, *rest)

    subject = Extractor.of(noting, Traits(dtype="float32", families=families))
    for law in laws_for("extractor"):
        tried.clear()
        result = hold(law, subject, max_examples=1)
        skipped = law.name == POSITIONS and "gpt2" not in families
        wanted = {"gpt2"} & set(families) if law.name == POSITIONS else set(families)
        assert (result.outcome, tried) == ("skipped" if skipped else "passed", wanted)


def test_extractor_of_llamas_alone_is_told_that_absolute_positions_were_not_tried() -> None:
    """Left padding that is counted does not show in rotary positions, and nothing claims that it does."""
    results = check_extractor(mutants.no_positions_given, Traits(dtype="float32", families=("llama",)), max_examples=20)
    outcomes = {result.law: (result.outcome, result.reason) for result in results}
    assert outcomes.pop(POSITIONS) == ("skipped", "applies to gpt2 extractors only")
    assert set(outcomes.values()) == {("passed", "")}


def test_words_of_an_extractor_are_its_dtype_and_families() -> None:
    assert Extractor.of(reference.extractor).words == ("float32", "llama", "gpt2")
    assert Extractor.of(reference.extractor, Traits(families=("gpt2",))).words == ("float64", "gpt2")


@pytest.mark.parametrize("family", FAMILIES)
def test_failure_names_the_model_on_which_it_was_seen(family: str) -> None:
    def faulty(model: Any, tokenizer: Any, prompts: list[str], spans: Any, layer: int) -> Tensor:
        keys = reference.extractor(model, tokenizer, prompts, spans, layer)
        return 2 * keys if model.config.model_type == family else keys

    def raising(model: Any, *rest: Any) -> Tensor:
        if model.config.model_type == family:
            raise RuntimeError("no such module")
        return reference.extractor(model, *rest)

    law = LAWS["extractor_reads_the_subjects_last_token"]
    assert f"the keys of the {family} model" in hold(law, Extractor.of(faulty, FLOAT32), max_examples=1).message
    message = hold(law, Extractor.of(raising, FLOAT32), max_examples=1).message
    assert f"given a {family} model, raised RuntimeError: no such module" in message


@pytest.mark.parametrize(
    ("name", "only"),
    [
        ("counted_up_to_the_subjects_end", {"extractor_reads_subjects_joined_to_other_text"}),
        ("first_place_in_the_prompt", {"extractor_reads_the_place_that_the_span_gives"}),
        ("no_positions_given", {POSITIONS, "extractor_ignores_the_padding_side"}),
    ],
)
def test_fault_is_named_by_its_law_and_by_no_law_of_other_things(name: str, only: set[str]) -> None:
    extractor, _ = mutants.EXTRACTORS[name]
    subject = Extractor.of(extractor, FLOAT32)
    results = [hold(law, subject, shrink=False) for law in laws_for("extractor")]
    assert {result.law for result in results if result.outcome == "failed"} == only


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_all_prompts_are_read_as_counted_in_bytes_and_fit_into_the_models(tokenizer: str) -> None:
    own = kept_tokenizer(tokenizer)
    prompts, spans = zip(*(filled(*filling) for filling in FILLINGS), strict=True)
    rows = tokenise_prompts(own, prompts, spans)
    expected = [oracle(own, prompt, end) for prompt, (_, end) in zip(prompts, spans, strict=True)]
    assert rows.subject_last.tolist() == expected
    assert rows.input_ids.shape[1] <= CONTEXT_LENGTH


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_shortest_prompt_is_padded_beside_any_other(tokenizer: str) -> None:
    own = kept_tokenizer(tokenizer)
    shortest = len(own(filled(*SHORTEST)[0])["input_ids"])
    assert all(len(own(filled(*other)[0])["input_ids"]) > shortest for other in FILLINGS if other != SHORTEST)


def test_some_subjects_share_a_token_with_what_follows_them() -> None:
    """Else no law would see that a count up to the subject's end is not the count within the prompt."""
    for tokenizer in map(kept_tokenizer, TOKENIZERS[:4]):
        joined = [filled(*filling) for filling in fillings(*JOINED)]
        counted = [len(tokenizer(prompt[:end])["input_ids"]) - 1 for prompt, (_, end) in joined]
        right = [oracle(tokenizer, prompt, end) for prompt, (_, end) in joined]
        assert sum(map(int.__ne__, counted, right)) >= 3


@given(batches(FLOAT32), st.integers(0, 1))
@settings(max_examples=30, deadline=None)
def test_spans_hold_subjects_and_every_batch_has_the_shortest(example: Any, first: int) -> None:
    subjects = [prompt[start:end] for prompt, (start, end) in zip(example.prompts, example.subject_spans, strict=True)]
    assert set(subjects) <= set(SUBJECTS)
    assert SHORTEST[1] in example.prompts
    assert 2 <= len(set(example.prompts)) <= len(example.prompts) <= 4
    assert example.only([first]).prompts == example.prompts[first : first + 1]
    assert example.only([first]).families == FAMILIES


def _doubled(model: Any) -> None:
    with torch.no_grad():
        next(model.parameters()).mul_(2)


CHANGES = {
    "weight": _doubled,
    "dtype": lambda model: model.double(),
    "hook": lambda model: model.register_forward_hook(lambda *_: None),
    "mode": lambda model: model.train(),
    "gradients": lambda model: model.requires_grad_(False),
    "forward": lambda model: vars(model).update(forward=lambda *_: None),
    "settings": lambda model: vars(model.config).update(use_cache=False),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("family", FAMILIES)
def test_model_that_a_call_changed_is_lent_to_no_other(family: str, change: str) -> None:
    kept = kept_model(family, "float32")
    with lent_model(family, "float32") as model:
        assert unchanged(model, kept)
        CHANGES[change](model)
    assert not unchanged(model, kept)
    with lent_model(family, "float32") as other:
        assert other is not model
        assert unchanged(other, kept)


def test_model_is_lent_again_where_nothing_changed_and_not_where_the_call_raised() -> None:
    with lent_model("gpt2", "float64") as first:
        pass
    with lent_model("gpt2", "float64") as again:
        assert again is first
    with pytest.raises(RuntimeError), lent_model("gpt2", "float64"):
        raise RuntimeError
    with lent_model("gpt2", "float64") as other, lent_model("gpt2", "float64") as beside:
        assert len({id(first), id(other), id(beside)}) == 3


def test_tokenizer_that_a_call_changed_is_lent_to_no_other() -> None:
    lent = lent_tokenizer(TOKENIZERS[0], "left")
    lent.pad_token = lent.eos_token
    assert lent_tokenizer(TOKENIZERS[0], "left").pad_token is None
