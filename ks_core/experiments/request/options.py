"""Which pytest option gives a field of the settings, as errors and reasons name it for users of both."""

from __future__ import annotations

SPELT = {"families": "--ks-family"}
"""Options that are not spelt as their field: this one is given once for each family."""


def in_pytest(field: str) -> str:
    """The option of a field.

    Example:
        >>> in_pytest("num_facts")
        'in pytest: --ks-num-facts'
    """
    option = SPELT.get(field, f"--ks-{field.replace('_', '-')}")
    return f"in pytest: {option}"


def set_by(field: str) -> str:
    """Where to change a value: the field, and its option.

    Example:
        >>> set_by("num_facts")
        '(num_facts; in pytest: --ks-num-facts)'
    """
    return f"({field}; {in_pytest(field)})"
