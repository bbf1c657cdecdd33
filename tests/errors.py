"""What an error tells its reader, part by part, however the sentence around the parts is worded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

Parts = str | tuple[str, ...]


def says(
    error: BaseException | str, *, what: Parts = (), got: Parts = (), expected: Parts = (), remedy: Parts = ()
) -> None:
    """Check that an error is one line that says what is wrong, what was got, what was expected and what to do.

    Args:
        error: an exception, or the line that a command prints of one.
        what: names what is wrong: the argument, the file, the record.
        got: the value, shape or count that was given.
        expected: stands after the word "expected".
        remedy: what to do, the last that is said.

    Each is a piece of the message, or several in their order; those given stand in the order of the arguments.
    """
    text = str(error)
    assert "\n" not in text.strip(), f"more than one line: {text!r}"
    place = 0
    expected = ("expected ", *_several(expected)) if expected else ()
    for name, parts in {"what": what, "got": got, "expected": expected, "remedy": remedy}.items():
        for part in _several(parts):
            found = text.find(part, place)
            assert found >= 0, f"{name}: {part!r} is not in {text[place:]!r}, the rest of {text!r}"
            place = found + len(part)


@contextmanager
def refused(kind: type[BaseException], **parts: Parts) -> Iterator[pytest.ExceptionInfo[BaseException]]:
    """The block raises such an error, which `says` these parts."""
    with pytest.raises(kind) as caught:
        yield caught
    says(caught.value, **parts)


def _several(parts: Parts) -> tuple[str, ...]:
    return (parts,) if isinstance(parts, str) else parts
