"""The metadata of the wheel names the licence of everything that is in it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYPROJECT = (ROOT / "pyproject.toml").read_text()


def value(name):
    """A value of one line; a reader of TOML comes with Python 3.11 only."""
    return ast.literal_eval(re.search(rf"^{name} = (.+)$", PYPROJECT, re.MULTILINE)[1])


PACKED = ("baselines", "facts", "models", "paper")
"""Fixtures that the wheel carries; tests/test_wheel_content.py looks into it."""


def stated(folder):
    """The licences that a fixture's README states."""
    said = (ROOT / "fixtures" / folder / "README.md").read_text()
    text = re.search(r"\*\*Licence\.\*\*(.+?)(\n\n|\Z)", said, re.DOTALL)[1]
    named = set(re.findall(r"CC0-1\.0|CC BY-SA 4\.0|MIT", text))
    assert named or "are facts" in text, "each fixture says its licence"
    return named


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in (ROOT / "fixtures").glob("*/README.md")))
def test_the_licence_of_a_fixture_is_beside_it_and_in_the_metadata_where_it_is_in_the_wheel(folder):
    if stated(folder) - {"MIT"}:
        assert (ROOT / "fixtures" / folder / "LICENSE").is_file()
        assert (f"fixtures/{folder}/LICENSE" in value("license-files")) == (folder in PACKED)


def test_the_metadata_names_the_licences_of_the_fixtures_in_the_wheel_and_no_other():
    packed = {licence.replace(" ", "-") for folder in PACKED for licence in stated(folder)}
    assert set(value("license").split(" AND ")) == {"MIT", *packed}


def test_every_licence_file_is_there_and_says_which_it_is():
    texts = {name: (ROOT / name).read_text() for name in value("license-files")}
    assert "MIT License" in texts["LICENSE"]
    assert "creativecommons.org/licenses/by-sa/4.0" in texts["fixtures/models/LICENSE"]
    for licence in ("publicdomain/zero/1.0", "licenses/by-sa/4.0"):
        assert f"creativecommons.org/{licence}" in texts["fixtures/facts/LICENSE"]


def test_the_readme_names_the_licences_of_all_that_is_no_code():
    licence = (ROOT / "README.md").read_text().rstrip().rpartition("\n\n")[2]
    for words in ("MIT", "CC BY-SA 4.0", "CC0"):
        assert words in licence
