"""Sets of facts, and the JSON files they are read from."""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, overload

from ks_core import arguments
from ks_core.data.fact import TIDY, Fact, as_facts, same_text
from ks_core.data.fixtures import fixture_path
from ks_core.data.records import Record
from ks_core.errors import InputError
from ks_core.formatting import shown, shown_path
from ks_core.strict_json import JsonError, parse_json

SCHEMA = "ks_core/facts/1"
"""marks a facts file in the package's own schema: an object with schema, origin, licence and facts"""

PACKAGED_FACTS = "packaged"
"""the name under which `load_facts` finds the facts that ship with the package"""

EVERYDAY_FACTS = "everyday"
"""the name of those of everyday words and things: no relation and no subject of the packaged facts is among theirs"""

INSERTIONS = "insertions"
"""the name of 2,048 edits of as many subjects, none of which is one of the others', to arbitrary objects: no facts"""

_FILES = {
    PACKAGED_FACTS: "facts/facts.json",
    EVERYDAY_FACTS: "facts/everyday.json",
    INSERTIONS: "facts/insertions.json",
}

__all__ = [
    "EVERYDAY_FACTS",
    "INSERTIONS",
    "PACKAGED_FACTS",
    "SCHEMA",
    "Fact",
    "FactSet",
    "Facts",
    "as_facts",
    "load_facts",
    "packaged_facts",
    "same_text",
]


@dataclass(frozen=True)
class FactSet:
    """Facts in a fixed order, with the file they came from.

    Attributes:
        sha256: hash of the whole file (in memory, of the content); a subset keeps it, `fingerprint` tells subsets apart

    Example:
        >>> hugo = Fact(7, "Victor Hugo", "P103", "As a child, {} spoke", "French", "Dutch")
        >>> facts = FactSet((hugo,), name="mine", sha256="0" * 64, origin="an example")
        >>> len(facts), facts.relations, facts.objects("P103")
        (1, ('P103',), ('French',))
        >>> facts[0] == hugo, facts[:1] == (hugo,)
        (True, True)
    """

    facts: tuple[Fact, ...]
    name: str
    sha256: str
    origin: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", as_facts(self.facts))
        if not self.facts:
            raise InputError(f"{self.name} holds no facts; expected at least one")
        most_common, count = Counter(fact.case_id for fact in self.facts).most_common(1)[0]
        if count > 1:
            raise InputError(
                f"{self.name}: case_id {most_common} occurs {count} times; expected distinct ids: renumber the records"
            )

    def __len__(self) -> int:
        return len(self.facts)

    def __iter__(self) -> Iterator[Fact]:
        return iter(self.facts)

    @overload
    def __getitem__(self, place: int) -> Fact: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Fact, ...]: ...

    def __getitem__(self, place: int | slice) -> Fact | tuple[Fact, ...]:
        """One fact by its place, or several by a slice, as of a tuple; `subset` takes case ids."""
        return self.facts[place]

    @property
    def relations(self) -> tuple[str, ...]:
        """All relation ids, sorted."""
        return tuple(sorted({fact.relation_id for fact in self.facts}))

    def objects(self, relation_id: str) -> tuple[str, ...]:
        """All distinct true objects of one relation, sorted; empty for a relation that does not occur.

        Of canonically equivalent spellings (é as one character or as two) the first in order stands for all.
        """
        written = sorted({fact.target_true for fact in self.facts if fact.relation_id == relation_id}, reverse=True)
        return tuple(sorted({unicodedata.normalize("NFC", name): name for name in written}.values()))

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, over the content of these facts in this order: a measurement depends on no more."""
        return _fingerprint(self.facts)

    def subset(self, case_ids: Iterable[int]) -> FactSet:
        """The facts with these ids, in the order of the ids.

        Raises:
            InputError: an id that is not there, an id given twice, or no id at all.
        """
        by_id = {fact.case_id: fact for fact in self.facts}
        given = arguments.items("case_ids", case_ids, "a collection of case ids")
        wanted = tuple(arguments.whole_number("case_id", case_id) for case_id in given)
        missing = [case_id for case_id in wanted if case_id not in by_id]
        if missing:
            raise InputError(
                f"{self.name} has no fact with case_id {missing[0]} ({len(missing)} of {len(wanted)} ids are missing); "
                "take ids from the same file"
            )
        return replace(self, facts=tuple(by_id[case_id] for case_id in wanted))


Facts: TypeAlias = FactSet | Iterable[Fact] | str | Path
"""facts as they are, or a file of them: what `load_facts` takes"""


def load_facts(facts: Facts = PACKAGED_FACTS, name: str = "facts") -> FactSet:
    """Read facts from a CounterFact JSON, from a file in the package's own schema, or those that ship with it.

    Facts that are in memory already become a set of facts too, so every function that takes facts takes them as this
    one does.

    A CounterFact file is a list of records; the package's own schema is an object with `schema`, `origin`, `licence`
    and `facts`, the list of the same records. Wikidata ids, attribute prompts and generation prompts are not read.

    Args:
        facts: path of a JSON file in UTF-8, or the name of one that ships with the package, "packaged", "everyday"
            or "insertions"; or Facts in any collection. A `FactSet` is returned as is.
        name: what errors call them; the name of facts that are in no file.

    Raises:
        InputError: names the file, the record, the field, what was found and what was expected; no fact at all, or two
            with one `case_id`.

    White space in the records is brought into the one form that a `Fact` has; `origin` says in how many.

    Source: Meng et al. 2022 (arXiv 2202.05262) for the records' fields.

    Example:
        >>> load_facts("packaged").name
        'packaged'
        >>> mine = load_facts([Fact(1, "Victor Hugo", "P103", "As a child, {} spoke", "French", "Dutch")])
        >>> len(mine), mine.origin
        (1, 'given in memory')
    """
    if isinstance(facts, FactSet):
        return facts
    if isinstance(facts, (str, os.PathLike)):
        path = Path(arguments.word(name, facts))
        return _packaged(str(facts)) if facts in _FILES else _read(path, path.name)
    expected = "the path of a JSON file, a FactSet, or a collection of Facts"
    given = as_facts(arguments.items(name, facts, expected), name)
    return FactSet(given, name, _fingerprint(given), "given in memory")


def packaged_facts() -> FactSet:
    """The facts that ship with the package (`fixtures/facts/README.md` tells their origin).

    Example:
        >>> "P103" in packaged_facts().relations
        True
    """
    return _packaged(PACKAGED_FACTS)


def _packaged(name: str) -> FactSet:
    return _read(fixture_path(_FILES[name]), name)


def _fingerprint(facts: Sequence[Fact]) -> str:
    content = json.dumps([asdict(fact) for fact in facts], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _read(path: Path, name: str) -> FactSet:
    raw = _bytes_of(path)
    records, origin = _records_of(path, _parsed(path, raw))
    read = [_fact_of(path, index, record) for index, record in enumerate(records)]
    tidied = sum(count for _, count in read)
    touched = sum(count > 0 for _, count in read)
    if tidied:
        origin += f"; white space was normalised in {tidied} texts of {touched} of the {len(read)} records"
    return FactSet(tuple(fact for fact, _ in read), name, hashlib.sha256(raw).hexdigest(), origin)


def _bytes_of(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"facts file {shown_path(path)} cannot be read: {reason}; expected a JSON file or the name "
            f"{PACKAGED_FACTS!r}"
        ) from error
    if not raw.strip():
        raise InputError(f"facts file {shown_path(path)} is empty; expected a JSON list of CounterFact records")
    return raw


def _parsed(path: Path, raw: bytes) -> Any:
    place = f"facts file {shown_path(path)}"
    try:
        return parse_json(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(
            f"{place} is not UTF-8 (byte {error.start}); expected JSON in UTF-8: convert it, as with iconv"
        ) from error
    except JsonError as error:
        raise InputError(f"{place} is not JSON: {error}; expected one JSON list of records (not JSON lines)") from error


def _records_of(path: Path, content: Any) -> tuple[list[Any], str]:
    """The list of records and where they are from."""
    place = shown_path(path)
    if isinstance(content, dict):
        top = Record(content, place)
        if top.text("schema") != SCHEMA:
            raise InputError(f"{place}: schema is {shown(content['schema'])}; expected {SCHEMA!r}")
        top.text("licence")
        if "facts" not in content:
            raise InputError(f"{place}: facts is missing; expected a JSON list of records")
        origin, content = top.text("origin"), content["facts"]
    else:
        origin = f"{path.name}, in CounterFact's format"
    if not isinstance(content, list):
        raise InputError(f"{place}: the records are {shown(content)}; expected a JSON list")
    if not content:
        raise InputError(f"{place}: the list of records is empty; expected at least one fact")
    return content, origin


def _fact_of(path: Path, index: int, content: Any) -> tuple[Fact, int]:
    """The fact of a record, and in how many of its texts white space was normalised."""
    place = f"{shown_path(path)}, record {index}"
    if not isinstance(content, dict):
        raise InputError(f"{place}: the record is {shown(content)}; expected an object")
    case_id = Record(content, place).integer("case_id")
    record = Record(content, f"{place} (case_id {shown(case_id)})")
    written = _fields_of(record)
    texts = {name: _tidied(name, value) for name, value in written.items()}
    try:
        fact = Fact(case_id=case_id, **texts)
    except InputError as error:
        raise InputError(f"{record.place}: {error}") from error
    pairs = ((a, b) for name in texts for a, b in zip(_listed(written[name]), _listed(texts[name]), strict=True))
    return fact, sum(a != b for a, b in pairs)


def _tidied(name: str, value: Any) -> Any:
    tidy = TIDY[name]
    # What is nothing but white space stays as it was written: `Fact` refuses it by that.
    return (tidy(value) or value) if isinstance(value, str) else tuple(tidy(text) or text for text in value)


def _listed(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _fields_of(record: Record) -> dict[str, str | tuple[str, ...]]:
    rewrite = record.child("requested_rewrite")
    return {
        "subject": rewrite.text("subject"),
        "relation_id": rewrite.text("relation_id"),
        "prompt": rewrite.text("prompt"),
        "target_true": rewrite.child("target_true").text("str"),
        "target_new": rewrite.child("target_new").text("str"),
        "paraphrase_prompts": record.texts("paraphrase_prompts"),
        "neighborhood_prompts": record.texts("neighborhood_prompts"),
    }
