"""White space in facts: one form of each text, so that what looks the same is the same.

A model reads " X" and "X" as different tokens, and a set counts them as two objects, where the writer of a file meant
one. Each text of a fact therefore has one form, and only `Fact`s in that form can be made.
"""

from __future__ import annotations

import re

_INVISIBLE = "\u00ad\u200b\u200e\u200f\u2060\ufeff"
# Soft hyphen, zero-width space, marks of direction, word joiner, byte-order mark. Not the joiners U+200C and U+200D:
# words of Persian and of Indian scripts, and emoji, end in them.
_ENDS = re.compile(rf"\A[\s{_INVISIBLE}]+|[\s{_INVISIBLE}]+\Z")


def tidy_name(text: str) -> str:
    """A subject, object or relation: nothing blank at its ends, and one space where there is any white space inside.

    Tabs, no-break spaces and line breaks are white space; zero-width spaces and marks of direction are blank at the
    ends only (between Khmer words, say, they mean something).

    Example:
        >>> tidy_name(" New\\u00a0 York\\u200b "), tidy_name("Tab\\there")
        ('New York', 'Tab here')
    """
    return " ".join(_ENDS.sub("", text).split())


def tidy_prompt(text: str) -> str:
    """A prompt: the same, but its line breaks stay, as `\\n`: prompts such as "Q: …\\nA:" are made of lines.

    Example:
        >>> tidy_prompt(" The  {} is\\t"), tidy_prompt("Q: {}? \\r\\nA: ")
        ('The {} is', 'Q: {}?\\nA:')
    """
    return _ENDS.sub("", "\n".join(" ".join(line.split()) for line in text.splitlines()))
