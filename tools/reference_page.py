"""The list of names in docs/reference.md, made from the code: python tools/reference_page.py writes it anew."""

from __future__ import annotations

import inspect
from enum import Enum
from pathlib import Path
from typing import Any

import ks_core
from ks_core.cli.main import COMMANDS

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"
NAMES_AT = "<!-- names -->\n", "<!-- /names -->\n"
COMMANDS_AT = "<!-- commands -->\n", "<!-- /commands -->\n"


def commands() -> str:
    """A table of the commands of `ks`, and what each is called in Python."""
    rows = [f"| `ks {name}` | `ks.{name}` | {command.HELP} |" for name, command in COMMANDS.items()]
    return "\n".join(["| command | in Python | |", "|---|---|---|", *rows]) + "\n"


def names() -> str:
    """Every public name with its signature and the first line of its docstring."""
    return "\n".join(f"### `{signature(name)}`\n\n{first_line(name)}\n" for name in ks_core.__all__)


def signature(name: str) -> str:
    """A name as it is called, without types; errors and enumerations are not called."""
    value: Any = getattr(ks_core, name)
    if isinstance(value, type) and issubclass(value, (Enum, Exception)):
        return name
    found = inspect.signature(value)
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in found.parameters.values()]
    return f"{name}{inspect.Signature(plain)}"


def first_line(name: str) -> str:
    """What it is, in the docstring's own words."""
    if name in ks_core.SECOND_NAMES:
        return f"Another name of `{ks_core.SECOND_NAMES[name]}`."
    line = (inspect.getdoc(getattr(ks_core, name)) or "").split("\n\n")[0]
    return " ".join(line.split())


def page(text: str) -> str:
    """The page with its list of names as it is to be."""
    for (begin, end), made in {COMMANDS_AT: commands, NAMES_AT: names}.items():
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = f"{before}{begin}\n{made()}\n{end}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
