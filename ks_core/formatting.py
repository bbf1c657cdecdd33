"""Numbers, values, names and paths as people read them."""

from __future__ import annotations

import math
import os
import unicodedata
from typing import Any

LONGEST = 6
"""Digits after the point; an error below that is written with an exponent."""

SHOWN = 60
"""Characters of a value in an error message."""

PATH_SHOWN = 300
"""Characters of a path in an error message: real ones are whole, so that they can be copied."""

INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Characters that Unicode counts as letters, marks or symbols, and that show nothing."""

LINE = 600
"""Characters of an error: more than any message of this package has without the values that it echoes."""


def plus_minus(value: float, error: float) -> str:
    """A number with its error, cut at the error's second digit.

    Example:
        >>> plus_minus(12.3456, 0.234), plus_minus(1234.5, 56.0), plus_minus(0.5, float("nan"))
        ('12.35 ± 0.23', '1234 ± 56', '0.5 ± ?')
        >>> plus_minus(1.23e-14, 1.3e-15)
        '1.2e-14 ± 1.3e-15'
    """
    if not math.isfinite(value):
        return "? ± ?"
    if not math.isfinite(error):
        return f"{value:.3g} ± ?"
    if error == 0:
        return f"{value:.4g} ± 0"
    digits = max(0, 1 - math.floor(math.log10(error)))
    if digits > LONGEST:
        return f"{value:.2g} ± {error:.2g}"
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def shown(value: Any) -> str:
    """A value as an error message shows it: on one line, in ASCII, and not longer than a line.

    Example:
        >>> shown("a\\nb"), len(shown("x" * 100_000))
        ("'a\\\\nb'", 60)
    """
    try:
        text = ascii(value if not isinstance(value, (str, bytes)) else value[: SHOWN + 1])
    except ValueError:  # an integer of more digits than Python writes
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def quoted(text: str) -> str:
    """A name or prompt as a message shows it: as it is written, on one line and not longer than a line.

    Example:
        >>> quoted("Łódź"), quoted("two\\nlines")
        ("'Łódź'", "'two\\\\nlines'")
    """
    whole = repr(text[: SHOWN + 1])  # escapes what cannot be printed
    return whole if len(whole) <= SHOWN else f"{whole[: SHOWN - 3]}..."


def printable(text: object) -> str:
    r"""A text on one line that shows what is in it, whoever wrote it: names and facts are other people's.

    Control characters (a terminal obeys them), line breaks (they forge rows of a table), marks of direction (they
    reorder what is read), whatever shows nothing, and halves of surrogate pairs (they cannot be encoded) become
    escapes. Letters, combining marks, symbols and spaces of every script stay as they are.

    Example:
        >>> print(printable("Zoë\nforged\x1b[2J \u202eright to left\u200b"))
        Zoë\nforged\x1b[2J \u202eright to left\u200b
    """
    return "".join(character if _shows(character) else _escaped(character) for character in str(text))


def _shows(character: str) -> bool:
    spaces = unicodedata.category(character) == "Zs"  # which Python calls not printable, but for one
    return (character.isprintable() or spaces) and character not in INVISIBLE


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def shortened(text: str, length: int) -> str:
    """A text of at most so many characters, its middle left out where it is longer.

    Example:
        >>> shortened("a very long name", 9)
        'a ve…name'
    """
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


def one_line(error: object) -> str:
    """An error as the terminal gets it: one line, of a length that can be read, both ends of the message kept."""
    return shortened(printable(error), LINE)


def shown_path(path: str | os.PathLike[str]) -> str:
    """A path as an error message shows it: on one line, whole unless it is longer than real ones are.

    Example:
        >>> shown_path("folder/façade.json"), shown_path("two\\nlines")
        ('folder/façade.json', 'two\\\\nlines')
    """
    return shortened(printable(os.fspath(path)), PATH_SHOWN)
