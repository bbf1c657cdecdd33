"""Which facts a model knows: those whose true object it finds the most probable among all objects of the relation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ks_core.checked_files import read_json, write_json
from ks_core.data.facts import PACKAGED_FACTS, Fact, Facts, FactSet, load_facts, same_text
from ks_core.errors import ProvenanceError
from ks_core.files import cache_dir, is_stored, short_hash
from ks_core.measurement.readable import LeftOut, readable_facts
from ks_core.measurement.scoring import continuation_log_probabilities, questions_of
from ks_core.models.loaded import LoadedModel
from ks_core.models.loading import Model, load_model

DEFINITION = (
    "a fact is known when its own object is the most probable continuation of its prompt (after a space, or after "
    "nothing where script or punctuation has no space there; the sum of its tokens' log-probabilities) among all "
    "true objects of its relation in the fact file, two or more"
)

FORMAT = "ks_core/known-facts/1"


@dataclass(frozen=True)
class KnownFacts:
    """What a model knows of a fact file, by `DEFINITION`.

    Attributes:
        facts: known ones, in their order
        asked: how many facts the model was to be asked about
        left_out: facts that the model could not be asked about; their objects are no rivals of the others
    """

    facts: tuple[Fact, ...]
    asked: int
    left_out: tuple[LeftOut, ...] = ()

    @property
    def case_ids(self) -> tuple[int, ...]:
        """Ids of the known facts, in their order."""
        return tuple(fact.case_id for fact in self.facts)


def known_facts(model: Model, facts: Facts = PACKAGED_FACTS) -> KnownFacts:
    """Ask the model, as it is, about every fact; the answer is cached under the hashes of model and facts.

    A fact is known when its own object is the most probable continuation of its prompt among all true objects of its
    relation, two or more. Facts that the model's tokenizer cannot read or its context cannot hold are left out and
    named.

    Args:
        model: as `load_model` takes it.
        facts: as `load_facts` takes them; the objects of all of them are each other's rivals.

    Raises:
        InputError: scores that are not finite, a model or facts that cannot be used, or the model was changed while it
            was asked.
        ProvenanceError: a cached answer is damaged, or is for something else.
        StorageError: the cache cannot be written.

    Example:
        >>> from ks_core.models.tiny import byte_level_tokenizer, tiny_model
        >>> model = load_model(tiny_model("gpt2"), byte_level_tokenizer())
        >>> lies = [("Nice", "France"), ("Porto", "Portugal"), ("Nara", "Japan")]
        >>> facts = [Fact(n, city, "P17", "{} lies in", land, "Italy") for n, (city, land) in enumerate(lies)]
        >>> known = known_facts(model, facts)
        >>> known.asked, set(known.facts) <= set(facts)
        (3, True)
    """
    model, facts = load_model(model), load_facts(facts)
    readable = readable_facts(model, facts)
    if not readable.facts:
        return KnownFacts((), len(facts), readable.left_out)
    known = _cached(model, replace(facts, facts=readable.facts))
    return replace(known, asked=len(facts), left_out=readable.left_out)


def _cached(model: LoadedModel, facts: FactSet) -> KnownFacts:
    fingerprints = model.fingerprints
    made_from = "|".join((DEFINITION, *fingerprints, facts.fingerprint))
    path = cache_dir() / "known" / f"{short_hash(made_from)}.json"
    if is_stored(path):
        return _read(path, made_from, facts)
    known = ask(model, facts)
    model.require(fingerprints)
    write_json(path, FORMAT, {"made_from": made_from, "model": model.name, "case_ids": known.case_ids})
    return known


def ask(model: LoadedModel, facts: FactSet) -> KnownFacts:
    """The same without the cache.

    No object is more probable than its first token. That bound costs no token beside the true object's row, and only
    the objects of several tokens whose bound beats the true object's probability are then read to their end, where none
    of one token, whose bound is its own probability, has beaten it already.
    """
    objects = {relation: facts.objects(relation) for relation in facts.relations}
    contested = [fact for fact in facts if len(objects[fact.relation_id]) > 1]  # a lone object would win unasked
    own = [(fact, fact.target_true) for fact in contested]
    others = [
        (fact, candidate)
        for fact in contested
        for candidate in objects[fact.relation_id]
        if not same_text(candidate, fact.target_true)
    ]
    # In one call: a prompt that only bounds are read after is the beginning of its true object's row.
    scores = _scores(model, [*own, *others], [False] * len(own) + [True] * len(others))
    truths = {fact.case_id: scores[fact.case_id, fact.target_true] for fact in contested}
    rivals = [
        (fact, candidate) for fact, candidate in others if scores[fact.case_id, candidate] >= truths[fact.case_id]
    ]
    questions = questions_of(model, [fact.text for fact, _ in rivals], [candidate for _, candidate in rivals])
    decided = [len(question.ids) == question.start + 1 for question in questions]  # the first token is the whole object
    beaten = {fact.case_id for (fact, _), beats in zip(rivals, decided, strict=True) if beats}
    rivals = [(fact, candidate) for fact, candidate in rivals if fact.case_id not in beaten]
    wholes = _scores(model, rivals, [False] * len(rivals))
    beaten |= {case_id for (case_id, _), score in wholes.items() if score >= truths[case_id]}
    return KnownFacts(tuple(fact for fact in contested if fact.case_id not in beaten), len(facts))


def _scores(
    model: LoadedModel, questions: Sequence[tuple[Fact, str]], first_token_only: Sequence[bool]
) -> dict[tuple[int, str], float]:
    """By case id and object: the log-probability of the object, or of its first token, after the fact's prompt."""
    if not questions:
        return {}
    scores = continuation_log_probabilities(
        model,
        [fact.text for fact, _ in questions],
        [candidate for _, candidate in questions],
        first_token_only=first_token_only,
    )
    return {(fact.case_id, candidate): score for (fact, candidate), score in zip(questions, scores, strict=True)}


def _read(path: Path, made_from: str, facts: FactSet) -> KnownFacts:
    content = read_json(path, FORMAT)
    if content.get("made_from") != made_from:
        raise ProvenanceError(f"{path} is about another model or other facts; remove it and the model is asked again")
    stored = content.get("case_ids")
    known = set(stored) if isinstance(stored, list) and all(type(case_id) is int for case_id in stored) else set()
    if stored != [fact.case_id for fact in facts if fact.case_id in known]:
        raise ProvenanceError(
            f"{path} is damaged: its case_ids are no part of the facts' ids in their order; remove it and the model is "
            "asked again"
        )
    return KnownFacts(tuple(fact for fact in facts if fact.case_id in known), len(facts))
