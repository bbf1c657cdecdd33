"""Prompts with subjects, for key extractors: apart from other text, joined to it, and standing twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from hypothesis import strategies as st

from ks_core.theory.traits import Traits

Template = tuple[str, int]
"""a text with {} for the subject, and at which of its places, counted from 0, the span is"""
Filling = tuple[Template, str]
"""a template and its subject"""

TOKENIZERS = (
    "byte-level",  # GPT-2, SmolLM2, Qwen
    "byte-level with <s>",  # Llama 3
    "sentencepiece with <s>",
    "older sentencepiece with <s>",  # Llama 2: the normaliser puts the first space
    "unigram with <s>",  # T5's kind, with byte fallback
)
APART: tuple[Template, ...] = (
    ("{}", 0),
    ("{} is in", 0),
    ("The city of {} lies by the sea", 0),
    ("People say that {}", 0),
)
JOINED: tuple[Template, ...] = (
    ("{}'s", 0),
    ("({})", 0),
    ("The tongue of {}'s mother", 0),
    ("The city ({}) lies by the sea", 0),
    ("There were two {}s", 0),
    ("Two {}s lie by the shore", 0),
)
TWICE: tuple[Template, ...] = (
    ("Is {} the same as {}?", 0),
    ("Is {} the same as {}?", 1),
    ("Many {}ers live in {}", 1),
)
SUBJECTS = ("Paris", "Vladimir Mayakovsky", "Windows 8.1", "São Paulo", "東京", "Łódź", "Apple", "Beatle", "a")
SHORTEST = (APART[0], "a")  # fewer tokens than any other, whatever the tokenizer
LAYERS = 2


@dataclass(frozen=True)
class Prompts:
    """Prompts with their subjects, and how they are put to the models.

    Attributes:
        prompts: n texts.
        subject_spans: n half-open ranges of characters.
        tokenizer: one of `TOKENIZERS`.
        layer: whose keys are asked for.
        families: the claimed ones; each law that is about keys tries them all on each example, so that none is passed
            over by chance.
    """

    prompts: tuple[str, ...]
    subject_spans: tuple[tuple[int, int], ...]
    tokenizer: str
    layer: int
    families: tuple[str, ...]

    def only(self, chosen: Sequence[int]) -> Prompts:
        """Some of the prompts, in this order."""
        prompts = tuple(self.prompts[i] for i in chosen)
        spans = tuple(self.subject_spans[i] for i in chosen)
        return Prompts(prompts, spans, self.tokenizer, self.layer, self.families)


def filled(template: Template, subject: str) -> tuple[str, tuple[int, int]]:
    """The prompt and the span of its subject.

    Example:
        >>> filled(("Is {} the same as {}?", 1), "Paris")
        ('Is Paris the same as Paris?', (21, 26))
    """
    text, place = template
    parts = text.split("{}")
    start = len(subject.join(parts[: place + 1]))
    return subject.join(parts), (start, start + len(subject))


def prompts_of(*templates: Template) -> Callable[[Traits], st.SearchStrategy[Prompts]]:
    """Two different prompts of these templates, to be read one at a time."""
    chosen = st.lists(st.sampled_from(fillings(*templates)), min_size=2, max_size=2, unique=True)
    return lambda traits: _prompts_from(chosen, traits)


def batches(traits: Traits) -> st.SearchStrategy[Prompts]:
    """Two to four prompts of all templates, the shortest of all among them: it is padded beside any other."""
    longer = [filling for filling in fillings(*APART, *JOINED, *TWICE) if filling != SHORTEST]
    others = st.lists(st.sampled_from(longer), min_size=1, max_size=3, unique=True)
    return _prompts_from(st.tuples(others, st.integers(0, 3)).map(_with_the_shortest), traits)


def fillings(*templates: Template) -> list[Filling]:
    """Every template with every subject whose characters stand in the prompt as often as its template has places."""
    return [
        (template, subject)
        for template, subject in product(templates, SUBJECTS)
        if filled(template, subject)[0].count(subject) == template[0].count("{}")
    ]


def _with_the_shortest(drawn: tuple[list[Filling], int]) -> list[Filling]:
    others, place = drawn
    return [*others[:place], SHORTEST, *others[place:]]


def _prompts_from(chosen: st.SearchStrategy[list[Filling]], traits: Traits) -> st.SearchStrategy[Prompts]:
    def prompts(drawn: list[Filling], tokenizer: str, layer: int) -> Prompts:
        texts, spans = zip(*(filled(*filling) for filling in drawn), strict=True)
        return Prompts(texts, spans, tokenizer, layer, traits.families)

    return st.builds(prompts, chosen, st.sampled_from(TOKENIZERS), st.integers(0, LAYERS - 1))
