"""Which facts a model can be asked about at all, so that one that it cannot read ends no run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ks_core.data.facts import Fact, as_facts
from ks_core.data.joining import join
from ks_core.errors import InputError
from ks_core.formatting import printable, quoted
from ks_core.measurement.scoring import Unaskable, read_questions
from ks_core.measurement.subjects import locate
from ks_core.models.loaded import LoadedModel
from ks_core.models.tokens import NoSubject

SPECIAL_TOKENS = 8
"""More than any tokenizer puts around a text."""


@dataclass(frozen=True)
class LeftOut:
    """A fact that a model cannot be asked about."""

    case_id: int
    subject: str
    reason: str

    def __str__(self) -> str:
        """In one line, for a message."""
        return f"fact {self.case_id} ({quoted(self.subject)}): {self.reason}"


@dataclass(frozen=True)
class ReadableFacts:
    """Facts in their order, those that can be asked about and those that cannot."""

    facts: tuple[Fact, ...]
    left_out: tuple[LeftOut, ...]


def summary(left_out: Sequence[LeftOut]) -> str:
    """How many facts are left out, and the first of them with its reason; empty where there are none.

    Example:
        >>> summary([LeftOut(7, "Victor Hugo", "the prompt is too long")])
        "1 left out, the first is fact 7 ('Victor Hugo'): the prompt is too long"
    """
    return f"{len(left_out)} left out, the first is {left_out[0]}" if left_out else ""


def readable_facts(model: LoadedModel, facts: Iterable[Fact]) -> ReadableFacts:
    """Sort out the facts that the model's tokenizer or context does not allow to ask about.

    A fact is readable when its subject's last token can be told, each of its objects has tokens of its own after the
    prompt, and its prompts fit into the context with the longest object of its relation.
    Tokenises three texts for each fact (more where the context is short); no forward pass.

    Args:
        model: whose tokenizer and context length count.
        facts: n facts.
    """
    facts = as_facts(facts)
    located = locate(model, [fact.text for fact in facts], [fact.subject_span for fact in facts])
    reasons = {n: found.reason for n, found in enumerate(located) if isinstance(found, NoSubject)}
    _note(model, [(n, fact.text, name) for n, fact in enumerate(facts) for name in _own(fact)], reasons)
    # Of the facts that are left: an object that fits nowhere is its own fact's fault.
    _note(model, list(_longest(model, {n: fact for n, fact in enumerate(facts) if n not in reasons})), reasons)
    return ReadableFacts(
        tuple(fact for n, fact in enumerate(facts) if n not in reasons),
        tuple(LeftOut(facts[n].case_id, facts[n].subject, reasons[n]) for n in sorted(reasons)),
    )


def facts_to_keep(model: LoadedModel, keep: Iterable[Fact], edits: Iterable[Fact]) -> ReadableFacts:
    """The facts that no edit is of, by subject and relation, and that a model can be asked about.

    Args:
        model: whose tokenizer and context length count.
        keep: facts that are to stay.
        edits: facts that are edited.

    Raises:
        InputError: none is left to ask about.
    """
    edited = {(fact.subject, fact.relation_id) for fact in edits}
    found = readable_facts(model, [fact for fact in keep if (fact.subject, fact.relation_id) not in edited])
    if not found.facts:
        why = f" ({printable(summary(found.left_out))})" if found.left_out else ""
        raise InputError(
            f"no fact to keep is left beside the edits{why}; expected at least one that the model can be asked about "
            "and that is not edited: name others (--keep)"
        )
    return found


def _note(model: LoadedModel, asked: Sequence[tuple[int, str, str]], reasons: dict[int, str]) -> None:
    """Add why questions cannot be asked; each is the number of a fact, a prompt and an object."""
    questions = read_questions(model, [prompt for _, prompt, _ in asked], [name for _, _, name in asked])
    for (n, _, _), question in zip(asked, questions, strict=True):
        if isinstance(question, Unaskable):
            reasons.setdefault(n, question.reason)


def _own(fact: Fact) -> tuple[str, str]:
    return fact.target_true, fact.target_new


def _longest(model: LoadedModel, facts: Mapping[int, Fact]) -> Iterator[tuple[int, str, str]]:
    """Each prompt of each fact with the longest object of its relation, where the two may be too long."""
    longest: dict[str, str] = {}
    for fact in facts.values():
        longest[fact.relation_id] = max(longest.get(fact.relation_id, ""), *_own(fact), key=_bytes)
    for n, fact in facts.items():
        for prompt in (fact.text, *fact.paraphrase_prompts, *fact.neighborhood_prompts):
            text = join(prompt, longest[fact.relation_id])
            if _bytes(text) + SPECIAL_TOKENS > model.context_length:  # a token stands for a byte at least
                yield n, prompt, longest[fact.relation_id]


def _bytes(text: str) -> int:
    return len(text.encode())
