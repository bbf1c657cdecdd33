"""One fact: a prompt with a subject and two objects, its texts in the one form that they can have."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from ks_core import arguments
from ks_core.data.joining import join, separator
from ks_core.data.white_space import tidy_name, tidy_prompt
from ks_core.errors import InputError
from ks_core.formatting import shown

TIDY = {
    **dict.fromkeys(("subject", "relation_id", "target_true", "target_new"), tidy_name),
    **dict.fromkeys(("prompt", "paraphrase_prompts", "neighborhood_prompts"), tidy_prompt),
}
"""the one form of white space of each text of a fact"""


@dataclass(frozen=True)
class Fact:
    """One (subject, relation, object) triple as a prompt that the object completes, after CounterFact.

    Its texts have no white space at their ends and single spaces inside (line breaks stay in prompts), no NUL and no
    half surrogate pairs; other control characters pass. What has another form is refused here; `load_facts` brings it
    into that form.

    Attributes:
        prompt: text with exactly one `{}`, where the subject goes; the object is its continuation

    Raises:
        InputError: names the field, what was given and what was expected.

    Example:
        >>> fact = Fact(7, "Victor Hugo", "P103", "As a child, {} spoke", "French", "Dutch")
        >>> fact.text, fact.statement
        ('As a child, Victor Hugo spoke', 'As a child, Victor Hugo spoke French')
        >>> fact.subject_span
        (12, 23)
    """

    case_id: int
    subject: str
    relation_id: str
    prompt: str
    target_true: str
    target_new: str
    paraphrase_prompts: tuple[str, ...] = ()
    neighborhood_prompts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "case_id", arguments.whole_number("case_id", self.case_id))
        for name in ("paraphrase_prompts", "neighborhood_prompts"):
            prompts = tuple(arguments.texts(name, getattr(self, name)))
            object.__setattr__(self, name, prompts)
            for place, prompt in enumerate(prompts):
                _refuse_untidy(f"{name}[{place}]", prompt, tidy_prompt(prompt))
                if "{}" in prompt:
                    raise InputError(f"{name}[{place}] is {shown(prompt)}; expected its subject in the place of {{}}")
        for name in ("subject", "relation_id", "prompt", "target_true", "target_new"):
            text = getattr(self, name)
            if not isinstance(text, str):
                raise InputError(f"{name} is {shown(text)}; expected a text")
            _refuse_untidy(name, text, TIDY[name](text))
        places = self.prompt.count("{}")
        if places != 1:
            raise InputError(
                f"prompt is {shown(self.prompt)} with {places} places for the subject; expected exactly one {{}}"
            )
        if same_text(self.target_true, self.target_new):
            raise InputError(
                f"target_true and target_new are both {shown(self.target_true)}; expected two different objects"
            )

    @property
    def text(self) -> str:
        """The prompt with the subject filled in."""
        return self.prompt.replace("{}", self.subject)

    @property
    def separators(self) -> tuple[str, str]:
        """What stands between `text` and the true and the new object: spaces, or nothing (`joining` says where)."""
        return separator(self.text, self.target_true), separator(self.text, self.target_new)

    @property
    def statement(self) -> str:
        """The fact as it is true: `text` with its object after it."""
        return join(self.text, self.target_true)

    @property
    def subject_span(self) -> tuple[int, int]:
        """Start and end of the subject in `text`, in characters; the end is exclusive."""
        start = self.prompt.index("{}")
        return start, start + len(self.subject)


def as_facts(facts: Iterable[Fact], name: str = "facts") -> tuple[Fact, ...]:
    """Facts in a tuple, whatever collection they come in.

    Raises:
        InputError: no collection, or one that holds something else; begins with `name`.

    Example:
        >>> as_facts("facts.json")
        Traceback (most recent call last):
        ...
        ks_core.errors.InputError: facts is 'facts.json'; expected a collection of Facts: load_facts reads a file
    """
    expected = "a collection of Facts: load_facts reads a file"
    found = tuple(arguments.items(name, facts, expected))
    for place, fact in enumerate(found):
        if not isinstance(fact, Fact):
            raise InputError(f"{name}[{place}] is {shown(fact)}; expected a Fact")
    return found


def same_text(one: str, other: str) -> bool:
    """Whether two texts are the same for Unicode: canonically equivalent, as é is in one character and in two."""
    return one == other or unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)


def _refuse_untidy(name: str, text: str, tidy: str) -> None:
    if not tidy:
        raise InputError(f"{name} is {shown(text)}; expected a non-empty text")
    if "\0" in text or not arguments.is_unicode(text):
        raise InputError(f"{name} is {shown(text)}; expected a text without NUL and half surrogate pairs")
    if text != tidy:
        raise InputError(
            f"{name} is {shown(text)}, with white space at its ends or too much of it inside; "
            f"expected {shown(tidy)} (tidy_name and tidy_prompt in ks_core.data.white_space give it)"
        )
