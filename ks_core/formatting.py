"""Numbers, values and paths as people read them."""

from __future__ import annotations

import math
import os
from typing import Any

LONGEST = 6
"""Digits behind the point; an error below that is written with an exponent."""

SHOWN = 60
"""Characters of a value in an error message."""

PATH_SHOWN = 300
"""Characters of a path in an error message: real ones are whole, so that they can be copied."""


def plus_minus(value: float, error: float) -> str:
    """A number with its error, cut at the error's second digit.

    Example:
        >>> plus_minus(12.3456, 0.234), plus_minus(1234.5, 56.0), plus_minus(0.5, float("nan"))
        ('12.35 ± 0.23', '1234 ± 56', '0.5 ± ?')
        >>> plus_minus(1.23e-14, 1.3e-15)
        '1.2e-14 ± 1.3e-15'
    """
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


def shown_path(path: str | os.PathLike[str]) -> str:
    """A path as an error message shows it: on one line, whole unless it is longer than real ones are.

    Example:
        >>> shown_path("folder/façade.json"), shown_path("two\\nlines")
        ('folder/façade.json', 'two\\\\nlines')
    """
    text = os.fspath(path)
    cut = text if len(text) <= PATH_SHOWN else f"{text[: PATH_SHOWN // 2]}...{text[-PATH_SHOWN // 2 :]}"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)
