"""Numbers as people read them."""

from __future__ import annotations

import math

LONGEST = 6
"""Digits behind the point; an error below that is written with an exponent."""


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
