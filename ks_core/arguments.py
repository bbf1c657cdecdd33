"""Arguments that come from Python: their types, before a wrong one is taken for something else."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable, Iterator, Mapping
from numbers import Real
from typing import Any, TypeVar

import numpy as np

from ks_core.errors import InputError
from ks_core.formatting import shown

T = TypeVar("T")

LARGEST = 2**63 - 1
"""of a whole number: what fits into 64 bits"""


def whole_number(name: str, value: Any, least: int = -LARGEST, most: int = LARGEST, hint: str = "") -> int:
    """An integer of Python, NumPy or torch, as Python's; true and false are none.

    Args:
        name: of the argument, as an error message begins.
        value: what was given.
        least, most: the range.
        hint: added to the message, as which option to change.

    Raises:
        InputError: something else, or outside the range.

    Example:
        >>> whole_number("steps", 3.5)
        Traceback (most recent call last):
        ...
        ks_core.errors.InputError: steps is 3.5; expected a whole number
    """
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise InputError(f"{name} is {shown(value)}; expected a whole number{hint}")
    try:
        number = operator.index(value)
    except TypeError as error:
        raise InputError(f"{name} is {shown(value)}; expected a whole number{hint}") from error
    if number < least:
        raise InputError(f"{name} is {shown(number)}; expected at least {least}{hint}")
    if number > most:
        raise InputError(f"{name} is {shown(number)}; expected at most {most}{hint}")
    return number


def real_number(name: str, value: Any, expected: str = "a finite number", hint: str = "") -> float:
    """A finite number as a float; true, false and numbers in quotes are none.

    Raises:
        InputError: something else; the message says `expected`.
    """
    if isinstance(value, Real) and not isinstance(value, (bool, np.bool_)):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise InputError(f"{name} is {shown(value)}; expected {expected}{hint}")


def word(name: str, value: Any) -> str:
    """A text that is not blank, such as a name or a path (`os.PathLike` too), without NUL.

    Raises:
        InputError: something else.
    """
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise InputError(f"{name} is {shown(value)}; expected a non-empty text without NUL")
    return text


def items(name: str, values: Any, expected: str) -> Iterator[Any]:
    """The items of a collection; a text is none, though Python would give its letters, nor is a mapping.

    Raises:
        InputError: no collection; the message says what was `expected`.
    """
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise InputError(f"{name} is {shown(values)}; expected {expected}")
    return iter(values)


def distinct_numbers(name: str, values: Any, expected: str, hint: str = "") -> tuple[int, ...]:
    """Whole numbers of 0 or more, such as those of layers, in the order in which they are given.

    Raises:
        InputError: no collection, none in it, one twice, or something else in it; the message says what was `expected`.

    Example:
        >>> distinct_numbers("layers", [0, 0], "a collection of layer numbers")
        Traceback (most recent call last):
        ...
        ks_core.errors.InputError: layers is (0, 0); expected a collection of layer numbers, each once and at least one
    """
    given = items(name, values, expected)
    numbers = tuple(whole_number(f"{name}[{place}]", number, 0) for place, number in enumerate(given))
    if not numbers or len(set(numbers)) < len(numbers):
        raise InputError(f"{name} is {shown(numbers)}; expected {expected}, each once and at least one{hint}")
    return numbers


def instance(name: str, value: Any, kind: type[T], made: str) -> T:
    """A value of a type of this package.

    Args:
        name: of the argument.
        value: what was given.
        kind: its type.
        made: how to make one, after the type's name in the message.

    Raises:
        InputError: something else.
    """
    if not isinstance(value, kind):
        raise InputError(f"{name} is {shown(value)}; expected {kind.__name__}, {made}")
    return value


def texts(name: str, values: Any, expected: str = "a collection of texts") -> Iterator[str]:
    """The texts of a collection, one after another, blank ones too.

    Raises:
        InputError: no collection, or an item that is no text or cannot be written as UTF-8; names its place.

    Example:
        >>> list(texts("prefixes", "abc"))
        Traceback (most recent call last):
        ...
        ks_core.errors.InputError: prefixes is 'abc'; expected a collection of texts
    """
    for place, text in enumerate(items(name, values, expected)):
        if not isinstance(text, str) or not is_unicode(text):
            raise InputError(f"{name}[{place}] is {shown(text)}; expected a text")
        yield text


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8; half a surrogate pair cannot, and no tokenizer takes it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
