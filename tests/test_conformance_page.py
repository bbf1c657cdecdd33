"""docs/conformance.md says of laws, traits and outcomes what the code has."""

from __future__ import annotations

import re
from dataclasses import fields

import conformance_page
import pytest

from ks_core.conformance.registry import LAWS
from ks_core.conformance.results import OUTCOMES
from ks_core.theory.traits import Traits

TEXT = conformance_page.PAGE.read_text(encoding="utf-8")


def test_tables_are_those_of_the_code() -> None:
    assert conformance_page.page(TEXT) == TEXT, "run: python tools/conformance_page.py"


@pytest.mark.parametrize("name", LAWS)
def test_every_law_stands_in_the_page_once(name: str) -> None:
    assert TEXT.count(f"| `{name}` |") == 1


def test_every_trait_and_every_outcome_is_explained() -> None:
    described = conformance_page.trait_descriptions()
    assert list(described) == [field.name for field in fields(Traits)]
    assert all(described.values())
    assert set(OUTCOMES) <= set(re.findall(r"^\| (\w+) \|", TEXT, re.MULTILINE))


def test_every_table_has_as_many_cells_in_each_row() -> None:
    """A bar in a formula would add one."""
    for table in conformance_page.tables().values():
        assert {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()} == {4}


def test_page_names_only_files_that_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (conformance_page.PAGE.parent / target).exists(), target
