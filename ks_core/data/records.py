"""Typed reading of JSON objects: every complaint names the file, the record and the field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ks_core.arguments import is_unicode
from ks_core.errors import InputError
from ks_core.formatting import shown


@dataclass(frozen=True)
class Record:
    """One JSON object and where it stands.

    Attributes:
        place: file and record, as an error message begins
        path: dotted path from the record to this object, with a final dot; empty at the top

    Example:
        >>> record = Record({"prompt": 7}, "facts.json, record 0")
        >>> record.text("prompt")
        Traceback (most recent call last):
        ...
        ks_core.errors.InputError: facts.json, record 0: prompt is 7; expected a non-empty text
    """

    content: dict[str, Any]
    place: str
    path: str = ""

    def integer(self, field: str) -> int:
        """An integer field; JSON's true and false are not integers here."""
        value = self._value(field, "an integer")
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(field, value, "an integer")
        return value

    def text(self, field: str) -> str:
        """A text field that is not blank."""
        value = self._value(field, "a non-empty text")
        if not is_text(value):
            raise self._wrong(field, value, "a non-empty text")
        return str(value)

    def texts(self, field: str) -> tuple[str, ...]:
        """A list of texts, none of them blank; the list itself may be empty, or not there."""
        value = self.content.get(field, [])
        if not isinstance(value, list):
            raise self._wrong(field, value, "a list of texts")
        for index, item in enumerate(value):
            if not is_text(item):
                raise self._wrong(f"{field}[{index}]", item, "a non-empty text")
        return tuple(value)

    def child(self, field: str) -> Record:
        """A nested object."""
        value = self._value(field, "an object")
        if not isinstance(value, dict):
            raise self._wrong(field, value, "an object")
        return Record(value, self.place, f"{self.path}{field}.")

    def _value(self, field: str, expected: str) -> Any:
        if field not in self.content:
            raise InputError(f"{self.place}: {self.path}{field} is missing; expected {expected}")
        return self.content[field]

    def _wrong(self, field: str, value: Any, expected: str) -> InputError:
        return InputError(f"{self.place}: {self.path}{field} is {shown(value)}; expected {expected}")


def is_text(value: Any) -> bool:
    """Whether a value is a string that is not blank and can be written as UTF-8.

    JSON escapes can spell half of a surrogate pair, which no tokenizer accepts.
    """
    return isinstance(value, str) and bool(value.strip()) and is_unicode(value)
