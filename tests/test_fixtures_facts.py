"""The facts that ship with the package: number, mix, near-duplicates, wordings, and that tables give them."""

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

from ks_core.data.facts import EVERYDAY_FACTS, PACKAGED_FACTS, Fact, FactSet, load_facts, packaged_facts
from ks_core.files import sha256_of


@pytest.fixture(scope="module")
def facts() -> FactSet:
    return packaged_facts()


@pytest.fixture(scope="module")
def tables() -> dict[str, dict]:
    return json.loads((FIXTURES / "facts/tables.json").read_text(encoding="utf-8"))


SOURCES = {PACKAGED_FACTS: ("facts.json", "tables.json"), EVERYDAY_FACTS: ("everyday.json", "everyday_tables.json")}


@pytest.fixture(scope="module", params=sorted(SOURCES))
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def each(name) -> FactSet:
    return load_facts(name)


@pytest.fixture(scope="module")
def tables_of_each(name) -> dict[str, dict]:
    return json.loads((FIXTURES / "facts" / SOURCES[name][1]).read_text(encoding="utf-8"))


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


# --- everyday facts


def test_everyday_facts_share_no_relation_and_no_subject_with_the_packaged_ones(facts):
    everyday = load_facts(EVERYDAY_FACTS)
    assert not set(everyday.relations) & set(facts.relations)
    assert not {fact.subject.lower() for fact in everyday} & {fact.subject.lower() for fact in facts}
    assert not {fact.case_id for fact in everyday} & {fact.case_id for fact in facts}


def test_everyday_facts_are_many_over_many_relations():
    everyday = load_facts(EVERYDAY_FACTS)
    assert len(everyday) >= 240
    assert len(everyday.relations) >= 15
    assert min(len(everyday.objects(relation)) for relation in everyday.relations) >= 7


# --- records


def test_case_ids_sort_the_file(each):
    ids = [fact.case_id for fact in each]
    assert ids == sorted(ids)


def test_neighbourhoods_are_other_subjects_with_the_same_object(name, each):
    prompts = {(fact.relation_id, fact.text): fact for fact in each}
    fewest = {PACKAGED_FACTS: 2, EVERYDAY_FACTS: 0}[name]  # an opposite belongs to one word
    for fact in each:
        neighbours = [prompts[fact.relation_id, text] for text in fact.neighborhood_prompts]
        assert fewest <= len(neighbours) <= 10
        assert len({one.subject for one in neighbours} | {fact.subject}) == len(neighbours) + 1
        assert {one.target_true for one in neighbours} <= {fact.target_true}


def test_target_new_is_another_object_of_the_relation(each):
    for fact in each:
        assert fact.target_new in set(each.objects(fact.relation_id)) - {fact.target_true}


def test_attribute_prompts_are_subjects_of_the_false_object(name, each):
    true_object = {(fact.relation_id, fact.text): fact.target_true for fact in each}
    for record in json.loads((FIXTURES / "facts" / SOURCES[name][0]).read_text(encoding="utf-8"))["facts"]:
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


def test_wordings_are_sound(each):
    assert {fact.text: wording_faults(fact) for fact in each if wording_faults(fact)} == {}


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


def test_one_subject_has_one_object_per_relation(each):
    assert len({(fact.relation_id, fact.subject) for fact in each}) == len(each)


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


def test_paraphrases_are_wordings_of_their_own(name, tables_of_each):
    fewest = {PACKAGED_FACTS: 3, EVERYDAY_FACTS: 2}[name]
    for table in tables_of_each.values():
        assert len(table["prompts"]) >= fewest
        for prompt in table["prompts"]:
            for paraphrase in table["paraphrases"]:
                # a copy with a word changed is above 0.8
                assert SequenceMatcher(None, prompt, paraphrase).ratio() < 0.8


# --- the file and its README


def test_tables_give_the_files_byte_for_byte(tmp_path):
    facts, build = tmp_path / "fixtures" / "facts", tmp_path / "tools" / "build_facts.py"
    originals = [FIXTURES / "facts" / tables for _, tables in SOURCES.values()]
    copies = [(source, facts / source.name) for source in originals]
    for source, copy in (*copies, (TOOLS / build.name, build)):
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())
    subprocess.run([sys.executable, build], check=True, capture_output=True)
    for made, _ in SOURCES.values():
        assert (facts / made).read_bytes() == (FIXTURES / "facts" / made).read_bytes()
    subprocess.run([sys.executable, TOOLS / build.name, "--check"], check=True, capture_output=True)

    for made, tables in SOURCES.values():
        right = (facts / made).read_bytes()
        (facts / made).write_text("altered", encoding="utf-8")
        checked = subprocess.run([sys.executable, build, "--check"], capture_output=True, text=True)
        assert checked.returncode != 0
        assert f"{made} is not what {tables} gives" in checked.stderr
        (facts / made).write_bytes(right)


def test_readme_states_hashes_and_counts(name, each, tables_of_each):
    readme = (FIXTURES / "facts/README.md").read_text(encoding="utf-8")
    assert f"`{sha256_of(FIXTURES / 'facts' / SOURCES[name][0])}`" in readme
    assert f"`{SOURCES[name][0]}` holds {len(each)} facts about {len({fact.subject for fact in each})} " in readme
    counts = Counter(fact.relation_id for fact in each)
    for relation, table in tables_of_each.items():
        assert f"| {relation} | {table['name']} | {counts[relation]} | {len(table['objects'])} |" in readme
