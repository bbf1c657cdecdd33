"""The packaged facts: their number, mix, near-duplicates and wordings, and that the tables give the file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from difflib import SequenceMatcher
from itertools import combinations

import pytest
from checkout import FIXTURES, TOOLS

from ks_core.data.facts import Fact, FactSet, packaged_facts
from ks_core.files import sha256_of


@pytest.fixture(scope="module")
def facts() -> FactSet:
    return packaged_facts()


@pytest.fixture(scope="module")
def tables() -> dict[str, dict]:
    return json.loads((FIXTURES / "facts/tables.json").read_text(encoding="utf-8"))


# --- number and mix


def test_facts_are_many_over_many_relations_and_subjects(facts):
    assert len(facts) >= 480
    assert len(facts.relations) >= 12
    assert len({fact.subject for fact in facts}) >= 400


# Shares of the paper's 128 facts: P103 40, P178 27, P176 24, P37 6, P36 5.
PAPER_MIX = {"P103": 40 / 128, "P178": 27 / 128, "P176": 24 / 128, "P37": 6 / 128, "P36": 5 / 128}


def test_facts_have_about_the_papers_mix_of_relations(facts):
    share = {relation: count / len(facts) for relation, count in Counter(f.relation_id for f in facts).items()}
    for relation, expected in PAPER_MIX.items():
        # the paper's own shares are 128 draws: two standard errors of such a share
        assert abs(share[relation] - expected) < 2 * (expected * (1 - expected) / 128) ** 0.5


@pytest.mark.parametrize("first", [128, 256])
def test_first_facts_have_the_mix_of_all(facts, first):
    whole = Counter(fact.relation_id for fact in facts)
    part = Counter(fact.relation_id for fact in facts.facts[:first])
    for relation, count in whole.items():
        share = count / len(facts)
        # four standard errors: 28 comparisons, each off with a chance of 6e-5
        assert abs(part[relation] / first - share) < 4 * (share * (1 - share) / first) ** 0.5


def test_relations_have_at_least_five_objects(facts):
    assert min(len(facts.objects(relation)) for relation in facts.relations) >= 5


# --- near-duplicates


def test_some_subjects_occur_in_two_facts(facts):
    counts = Counter(fact.subject for fact in facts)
    assert sum(count > 1 for count in counts.values()) >= 15


def test_some_subjects_are_versions_of_one_product(facts):
    by_stem = defaultdict(set)
    for fact in facts:
        by_stem[re.sub(r"[\d.]+$", "", fact.subject).strip()].add(fact.subject)
    families = {stem for stem, subjects in by_stem.items() if len(subjects) > 1}
    assert {"Windows", "Mac OS X", "PlayStation", "iPhone", "Nokia", "Boeing", "Half-Life"} <= families
    assert len(families) >= 15


def test_some_subjects_are_namesakes(facts):
    people = {fact.subject for fact in facts if fact.relation_id == "P103"}
    by_name = defaultdict(set)
    for person in people:
        by_name[person.split()[-1]].add(person)
    namesakes = [pair for group in by_name.values() for pair in combinations(sorted(group), 2)]
    assert ("Ingmar Bergman", "Ingrid Bergman") in namesakes
    assert len(namesakes) >= 15


# --- records


def test_case_ids_sort_the_file(facts):
    ids = [fact.case_id for fact in facts]
    assert ids == sorted(ids)


def test_neighbourhoods_are_other_subjects_with_the_same_object(facts):
    prompts = {(fact.relation_id, fact.text): fact for fact in facts}
    for fact in facts:
        neighbours = [prompts[fact.relation_id, text] for text in fact.neighborhood_prompts]
        assert 2 <= len(neighbours) <= 10
        assert len({one.subject for one in neighbours} | {fact.subject}) == len(neighbours) + 1
        assert {one.target_true for one in neighbours} == {fact.target_true}


def test_target_new_is_another_object_of_the_relation(facts):
    for fact in facts:
        assert fact.target_new in set(facts.objects(fact.relation_id)) - {fact.target_true}


def test_attribute_prompts_are_subjects_of_the_false_object(facts):
    true_object = {(fact.relation_id, fact.text): fact.target_true for fact in facts}
    for record in json.loads((FIXTURES / "facts/facts.json").read_text(encoding="utf-8"))["facts"]:
        rewrite = record["requested_rewrite"]
        got = {true_object[rewrite["relation_id"], text] for text in record["attribute_prompts"]}
        assert got == {rewrite["target_new"]["str"]}


def wording_faults(fact: Fact) -> list[str]:
    """What is wrong with a fact's sentences."""
    sentences = [fact.text, *fact.paraphrase_prompts]
    faults = []
    if len(fact.paraphrase_prompts) != 2 or len(set(sentences)) != 3:
        faults.append("not two paraphrases that differ from the prompt and from each other")
    if any(sentence.count(fact.subject) != 1 for sentence in sentences):
        faults.append("the subject is not there exactly once")
    if any(sentence != sentence.strip() or "{" in sentence for sentence in sentences):
        faults.append("stray blanks or braces")
    if any(re.search(rf"\b{re.escape(fact.target_true)}\b", s.replace(fact.subject, "")) for s in sentences):
        faults.append("the wording gives the object away")
    return faults


def test_wordings_are_sound(facts):
    assert {fact.text: wording_faults(fact) for fact in facts if wording_faults(fact)} == {}


@pytest.mark.parametrize(
    ("prompt", "paraphrases"),
    [
        ("{} spoke", ("Hugo spoke", "Hugo wrote in")),
        ("{} spoke", ("Hugo wrote in", "Hugo wrote in")),
        ("{} spoke", ("He wrote in", "Hugo sang in")),
        ("{} spoke", ("The French of Hugo, that is", "Hugo sang in")),
    ],
)
def test_wording_faults_are_caught_when_planted(prompt, paraphrases):
    assert wording_faults(Fact(1, "Hugo", "P103", prompt, "French", "Dutch", paraphrases)) != []


def test_one_subject_has_one_object_per_relation(facts):
    assert len({(fact.relation_id, fact.subject) for fact in facts}) == len(facts)


# --- our own words

# Word sequences that mark CounterFact's templates for these relations, so that none slips in.
FOREIGN_WORDINGS = [
    "mother tongue", "native language", "a native", "speaker of", "spoke the language", "the language used by",
    "would speak", "writes in", "produced by", "developed by", "created by", "manufactured by", "is a product of",
    "official language", "the language spoken", "they understand", "the capital of", "capital city",
    "which has the capital", "is located in", "belongs to the continent", "part of the continent of", "headquarter",
    "is based in", "official religion", "affiliated with", "follows the religion", "plays the", "professionally",
    "premiered", "debuted", "originally aired", "released on", "originated in", "formulated in", "works as",
    "the profession of", "the occupation of", "'s profession", "'s occupation", "'s capital",
]  # fmt: skip


def foreign(wordings: list[str]) -> list[str]:
    """Wordings that contain one of another collection's."""
    return [text for text in wordings for piece in FOREIGN_WORDINGS if piece in text.replace("{}", "").lower()]


def test_wordings_are_our_own(tables):
    wordings = [
        t for table in tables.values() for kind in ("prompts", "paraphrases", "generation") for t in table[kind]
    ]
    assert foreign(wordings) == []
    assert foreign(["The mother tongue of {} is", "{}, produced by", "In {}, an official language is"]) != []


def test_paraphrases_are_wordings_of_their_own(tables):
    for table in tables.values():
        assert len(table["prompts"]) >= 3
        for prompt in table["prompts"]:
            for paraphrase in table["paraphrases"]:
                # a copy with a word changed is above 0.8
                assert SequenceMatcher(None, prompt, paraphrase).ratio() < 0.8


# --- the file and its README


def test_tables_give_the_file_byte_for_byte(tmp_path):
    facts, build = tmp_path / "fixtures" / "facts", tmp_path / "tools" / "build_facts.py"
    for source, copy in ((FIXTURES / "facts" / "tables.json", facts / "tables.json"), (TOOLS / build.name, build)):
        copy.parent.mkdir(parents=True)
        copy.write_bytes(source.read_bytes())
    subprocess.run([sys.executable, build], check=True, capture_output=True)
    assert (facts / "facts.json").read_bytes() == (FIXTURES / "facts" / "facts.json").read_bytes()
    subprocess.run([sys.executable, TOOLS / build.name, "--check"], check=True, capture_output=True)

    (facts / "facts.json").write_text("altered", encoding="utf-8")
    checked = subprocess.run([sys.executable, build, "--check"], capture_output=True, text=True)
    assert checked.returncode != 0
    assert "is not what tables.json gives" in checked.stderr


def test_readme_states_hash_and_counts(facts, tables):
    readme = (FIXTURES / "facts/README.md").read_text(encoding="utf-8")
    assert f"`{sha256_of(FIXTURES / 'facts/facts.json')}`" in readme
    assert f"{len(facts)} facts" in readme
    counts = Counter(fact.relation_id for fact in facts)
    for relation, table in tables.items():
        assert f"| {relation} | {table['name']} | {counts[relation]} | {len(table['objects'])} |" in readme
