"""Where in a model's tokens the subjects of facts end, with errors that name the fact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ks_core.data.facts import Fact
from ks_core.errors import InputError
from ks_core.formatting import quoted
from ks_core.models.loaded import LoadedModel
from ks_core.models.tokens import NoSubject, Span, TokenisedPrompts, padded_prompts, subject_places

Located = tuple[list[int], int]
"""A text's tokens, and which of them is its subject's last."""


def subject_rows(
    model: LoadedModel, texts: Sequence[str], spans: Sequence[Span], facts: Sequence[Fact]
) -> TokenisedPrompts:
    """Texts as one padded batch within the model's context, with each subject's last token.

    Args:
        model: whose tokenizer is used.
        texts: n texts, at least one.
        spans: n character ranges, of each text's subject.
        facts: n facts that the texts are about.

    Raises:
        InputError: a subject that cannot be found among the tokens, or a text longer than the context; names the fact.
    """
    located = []
    for fact, found in zip(facts, locate(model, texts, spans), strict=True):
        if isinstance(found, NoSubject):
            raise InputError(f"{described(fact)} cannot be read: {found.reason}")
        located.append(found)
    return padded_prompts(model.tokenizer, [row for row, _ in located], [place for _, place in located])


def locate(model: LoadedModel, texts: Sequence[str], spans: Sequence[Span]) -> Iterator[Located | NoSubject]:
    """Each text's tokens with its subject's last one, or why it cannot be read; arguments as `subject_rows`."""
    if not texts:
        return
    for text, row, place in zip(texts, *subject_places(model.tokenizer, texts, spans), strict=True):
        if isinstance(place, NoSubject):
            yield place
        elif len(row) > model.context_length:
            yield NoSubject(
                f"{quoted(text)} has {len(row)} tokens; the context length of {model.name} is {model.context_length}: "
                "shorten the prompt"
            )
        else:
            yield row, place


def described(fact: Fact) -> str:
    """A fact as messages name it.

    Example:
        >>> described(Fact(7, "Victor Hugo", "P103", "As a child, {} spoke", "French", "Dutch"))
        "fact 7 ('Victor Hugo')"
    """
    return f"fact {fact.case_id} ({quoted(fact.subject)})"
