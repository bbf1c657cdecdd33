"""The tables in docs/conformance.md, made from the code: python tools/conformance_page.py writes them anew."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path

from ks_core.conformance.law import Law
from ks_core.conformance.registry import laws_for
from ks_core.theory.traits import Traits

PAGE = Path(__file__).parents[1] / "docs" / "conformance.md"
SUBJECTS = ("editor", "collector", "extractor")


def traits_table() -> str:
    """Every trait with its default and what it claims, in the words of the class."""
    described = trait_descriptions()
    rows = [f"| `{field.name}` | `{field.default!r}` | {escaped(described[field.name])} |" for field in fields(Traits)]
    return "\n".join(["| trait | default | what is claimed |", "|---|---|---|", *rows])


def trait_descriptions() -> dict[str, str]:
    """What stands under "Attributes" in the docstring of `Traits`, by name."""
    _, _, attributes = (inspect.getdoc(Traits) or "").partition("Attributes:\n")
    items = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", attributes, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in items}


def laws_table(subject: str) -> str:
    """The laws of one kind in the order of reports, with what must hold and for whom."""
    rows = [f"| `{law.name}` | {escaped(law.formula)} | {whom(law)} |" for law in laws_for(subject)]
    return "\n".join(["| law | what must hold | for |", "|---|---|---|", *rows])


def whom(law: Law) -> str:
    """The claims that a law asks for, and whether others rest on it."""
    return (" and ".join(law.needs) or "all") + (" · first" if law.first else "")


def escaped(text: str) -> str:
    """A cell of a table: a bar would end it."""
    return text.replace("|", r"\|")


def tables() -> dict[str, str]:
    """All that is made from the code, by the name of its place."""
    return {"traits": traits_table()} | {f"laws of {subject}s": laws_table(subject) for subject in SUBJECTS}


def page(text: str) -> str:
    """The page with its tables as they are to be."""
    for name, table in tables().items():
        before, rest = text.split(f"<!-- {name} -->\n")
        _, after = rest.split(f"<!-- /{name} -->\n")
        text = f"{before}<!-- {name} -->\n\n{table}\n\n<!-- /{name} -->\n{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
