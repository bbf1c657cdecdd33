"""One fact that a model cannot be asked about ends no run: it is named, counted and left out."""

import re
from dataclasses import replace

import pytest
from errors import refused
from measured import write_everything
from tiny_models import CONTEXT_LENGTH, byte_level_tokenizer, dropping_tokenizer
from tokenizers import normalizers

from ks_core.auditing.files import as_json
from ks_core.auditing.predict import audit
from ks_core.auditing.table import table
from ks_core.data.facts import Fact, FactSet, load_facts
from ks_core.errors import InputError
from ks_core.experiments.request.selection import select_facts
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.known import ask, known_facts
from ks_core.measurement.objects import object_rows
from ks_core.measurement.readable import readable_facts, summary
from ks_core.measurement.scoring import continuation_log_probabilities
from ks_core.models.loading import load_model


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_everything(tmp_path_factory.mktemp("readable"), "llama", layers=2)


@pytest.fixture(scope="module")
def model(paths):
    return load_model(paths["model"])


@pytest.fixture(scope="module")
def facts(paths):
    return load_facts(paths["facts"])


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))


def reading(model, *, normalizer=None, removed=None):
    """The model with a tokenizer that normalises, or that drops a character behind its normaliser."""
    tokenizer = byte_level_tokenizer() if removed is None else dropping_tokenizer(removed)
    if normalizer is not None:
        tokenizer.backend_tokenizer.normalizer = normalizer
    return replace(model, tokenizer=tokenizer)


def with_fact(facts, place, **changes):
    changed = [replace(fact, **changes) if number == place else fact for number, fact in enumerate(facts)]
    return replace(facts, facts=tuple(changed))


def test_a_decomposed_subject_is_read_as_its_composed_form_is(model, facts):
    """The example: e and U+0301 at the subject's end, under a tokenizer that composes."""
    composing = reading(model, normalizer=normalizers.NFC())
    decomposed, composed = (with_fact(facts, 3, subject=name) for name in ("Cafe\u0301", "Caf\u00e9"))
    assert readable_facts(composing, decomposed).left_out == ()
    keys = [subject_keys(composing, some)[1] for some in (decomposed, composed)]
    assert keys[0].equal(keys[1])
    assert known_facts(composing, decomposed) == known_facts(composing, composed)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"subject": "Yahoo!"}, "no token covers the end of the subject"),
        ({"subject": "!"}, "no token covers the end of the subject"),
        ({"target_true": "!"}, "the continuation '!' of .* has no tokens of its own"),
        ({"target_new": "!!"}, "has no tokens of its own"),
        ({"prompt": "word " * 70 + "{} lies in"}, f"the context length of .* is {CONTEXT_LENGTH}: shorten the prompt"),
        ({"prompt": "{} lies in" + " word" * 70}, f"the context length of .* is {CONTEXT_LENGTH}: shorten the prompt"),
        ({"target_new": "word " * 70 + "end"}, f"the context length of .* is {CONTEXT_LENGTH}: shorten the prompt"),
        ({"paraphrase_prompts": ("word " * 70 + "is",)}, "shorten the prompt"),
        ({"neighborhood_prompts": ("fine", "word " * 70 + "is")}, "shorten the prompt"),
    ],
)
def test_a_fact_that_cannot_be_asked_about_is_left_out_with_its_id_and_subject(model, facts, changes, reason):
    dropping = reading(model, removed="!")
    some = with_fact(facts, 3, **changes)
    found = readable_facts(dropping, some)
    (left_out,) = [of for of in found.left_out if of.case_id == some.facts[3].case_id]
    assert left_out.subject == some.facts[3].subject
    assert re.search(reason, str(left_out))
    assert str(left_out).startswith(f"fact {left_out.case_id} ({left_out.subject!r}): ")
    assert some.facts[3] not in found.facts
    known = known_facts(dropping, some)
    assert left_out in known.left_out
    assert known.asked == len(some)
    assert left_out.case_id not in known.case_ids


def test_the_others_are_known_as_they_are_without_it(model, facts):
    dropping = reading(model, removed="!")
    without = replace(facts, facts=tuple(fact for fact in facts if fact.case_id != facts.facts[3].case_id))
    assert known_facts(dropping, with_fact(facts, 3, subject="Yahoo!")).case_ids == ask(dropping, without).case_ids


def test_an_object_that_fits_nowhere_takes_no_other_fact_with_it(model, facts):
    some = with_fact(facts, 3, target_new="word " * 70 + "end")
    assert [of.case_id for of in readable_facts(model, some).left_out] == [some.facts[3].case_id]


def test_nothing_is_left_out_where_all_can_be_read(model, facts):
    found = readable_facts(model, facts)
    assert found.facts == facts.facts
    assert found.left_out == ()
    assert summary(found.left_out) == ""


def test_a_selection_counts_what_is_left_out(model, facts):
    dropping = reading(model, removed="!")
    selection = select_facts(dropping, with_fact(facts, 3, subject="Yahoo!"), 3)
    (left_out,) = selection.left_out
    assert (left_out.case_id, left_out.subject) == (facts.facts[3].case_id, "Yahoo!")
    assert selection.asked == len(facts)
    assert sum(selection.separators.values()) == len(selection.pool)


def test_too_few_usable_facts_say_that_some_could_not_be_read(model, facts):
    with refused(InputError, got=("1 left out", "'Yahoo!'", "no token"), expected="at least"):
        select_facts(reading(model, removed="!"), with_fact(facts, 3, subject="Yahoo!"), 47)


def test_a_file_of_nothing_readable_is_one_error(model, facts):
    some = replace(facts, facts=tuple(replace(fact, subject="!") for fact in facts))
    assert known_facts(reading(model, removed="!"), some).case_ids == ()
    with pytest.raises(InputError, match=r"knows 0 of its 48 facts \(48 left out"):
        select_facts(reading(model, removed="!"), some, 3)


@pytest.mark.parametrize("ask_for", [lambda model, fact: subject_keys(model, [fact]),
                                     lambda model, fact: object_rows(model, [fact], ["France"])])  # fmt: skip
def test_asking_for_one_that_cannot_be_read_names_it(model, ask_for):
    fact = Fact(77, "Yahoo!", "P1", "{} is in", "California", "Texas")
    with refused(InputError, what=("fact 77", "'Yahoo!'"), got="no token"):
        ask_for(reading(model, removed="!"), fact)


def test_an_audit_goes_on_without_edits_and_facts_that_cannot_be_read(model, paths, facts):
    dropping = reading(model, removed="!")
    some = with_fact(with_fact(facts, 25, subject="Yahoo!"), 33, subject="Wow!").facts
    found = audit(dropping, some[24:28], some[30:40], layer=0, corpus=paths["corpus"], tokens=1600)
    assert [of.subject for of in found.left_out] == ["Yahoo!", "Wow!"]
    assert (len(found.edits), len(found.keep)) == (3, 9)
    for part in ("2 left out", "fact 25 ('Yahoo!')"):
        assert part in table(found)
    assert [of["case_id"] for of in as_json(found)["left_out"]] == [25, 33]
    with refused(InputError, what="no edit is left", got=("1 left out", "fact 25")):
        audit(dropping, some[25:26], some[30:40], corpus=paths["corpus"], tokens=1600)


@pytest.mark.parametrize("facts", ["abc", 5, None, ["facts.json"], {"a": 1}])
def test_what_are_no_facts_is_refused(model, facts):
    for reader in (subject_keys, readable_facts):
        with pytest.raises(InputError, match=r"facts(\[0\])? is .*; expected a"):
            reader(model, facts)
    if not isinstance(facts, str):  # a text is a path to an audit
        with pytest.raises(InputError, match=r"edits(\[0\])? is .*; expected (a|the)"):
            audit(model, facts, [])


def test_keys_of_a_fact_set_are_those_of_its_facts(model, facts):
    assert isinstance(facts, FactSet)
    assert subject_keys(model, facts)[0].equal(subject_keys(model, iter(facts.facts))[0])
    with pytest.raises(InputError, match="no facts were given"):
        subject_keys(model, [])


@pytest.mark.parametrize("layers", ["01", 0, [0.5], [True], [2], [-1], None])
def test_layers_that_are_none_are_refused(model, facts, layers):
    if layers is None:
        assert list(subject_keys(model, facts, layers)) == [0, 1]
        return
    with pytest.raises(InputError, match=r"layers?(\[0\])? (is|2|-1) .*; expected|layer -?\d does not exist"):
        subject_keys(model, facts, layers)


def test_facts_that_are_none_are_not_asked(model):
    with pytest.raises(InputError, match=r"facts is 5; expected"):
        known_facts(model, 5)


@pytest.mark.parametrize(
    ("prompts", "objects"), [("ab", ["x", "y"]), (["a"], ["x", "y"]), (["a\ud800"], ["x"]), ([5], ["x"])]
)
def test_prompts_and_continuations_are_texts_and_as_many(model, prompts, objects):
    with pytest.raises(InputError, match=r"(prompts(\[0\])? is .*; expected a|got 1 prompts and 2 continuations)"):
        continuation_log_probabilities(model, prompts, objects)
