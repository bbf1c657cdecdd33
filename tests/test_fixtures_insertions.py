"""The insertions: many subjects that no fact is about, arbitrary objects, and that the titles give the file."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import build_insertions
import pytest
from checkout import FIXTURES, TOOLS

from ks_core.data.facts import EVERYDAY_FACTS, INSERTIONS, PACKAGED_FACTS, FactSet, load_facts
from ks_core.files import sha256_of

FACTS = FIXTURES / "facts"


@pytest.fixture(scope="module")
def insertions() -> FactSet:
    return load_facts(INSERTIONS)


def test_insertions_are_of_distinct_subjects_that_no_fact_is_about(insertions):
    subjects = {fact.subject.lower() for fact in insertions}
    assert len(subjects) == len(insertions) == 2048
    for name in (PACKAGED_FACTS, EVERYDAY_FACTS):
        assert not subjects & {fact.subject.lower() for fact in load_facts(name)}


def test_insertions_are_of_all_packaged_relations_about_alike_and_give_no_object_away(insertions):
    packaged = load_facts(PACKAGED_FACTS)
    counts = Counter(fact.relation_id for fact in insertions)
    assert set(counts) == set(packaged.relations)
    # 146 expected of a fair draw, standard deviation 11.7: four of them, for fourteen counts
    assert max(abs(count - len(insertions) / len(counts)) for count in counts.values()) < 4 * 11.7
    for fact in insertions:
        objects = {fact.target_new, fact.target_true}
        assert len(objects & set(packaged.objects(fact.relation_id))) == 2
        assert not [name for name in objects if name.lower() in fact.text.lower()]
    assert {fact.prompt for fact in insertions} == {fact.prompt for fact in packaged}


def test_titles_are_chosen_short_plain_and_not_taken():
    titles = ["Dog", "Red panda", "Cold war", "Cold War", "2001: A Space Odyssey", "A (letter)", "Zürich", "Taken"]
    chosen = build_insertions.choose([*titles, "Anthropogenic greenhouse gases"], taken=["taken"])
    assert len(chosen) == 3
    assert {"Dog", "Red panda"} < set(chosen)


def test_titles_give_the_file_byte_for_byte(tmp_path):
    folder, build = tmp_path / "fixtures" / "facts", tmp_path / "tools" / "build_insertions.py"
    sources = [(FACTS / name, folder / name) for name in ("insertion_titles.txt", "tables.json")]
    for source, copy in (*sources, (TOOLS / build.name, build)):
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())
    subprocess.run([sys.executable, build], check=True, capture_output=True)
    assert (folder / "insertions.json").read_bytes() == (FACTS / "insertions.json").read_bytes()
    subprocess.run([sys.executable, TOOLS / build.name, "--check"], check=True, capture_output=True)

    (folder / "insertions.json").write_text("altered", encoding="utf-8")
    checked = subprocess.run([sys.executable, build, "--check"], capture_output=True, text=True)
    assert checked.returncode != 0
    assert "is not what insertion_titles.txt gives" in checked.stderr


def test_readme_states_hash_and_count(insertions):
    readme = (FACTS / "README.md").read_text(encoding="utf-8")
    assert f"`{sha256_of(FACTS / 'insertions.json')}`" in readme
    assert f"`insertions.json` holds {len(insertions):,} edits" in readme
