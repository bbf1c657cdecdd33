"""The published numbers are the transcribed files, and say where they come from."""

from __future__ import annotations

import pytest
from checkout import FIXTURES

from ks_core.files import sha256_of


@pytest.mark.parametrize("name", ["gpt2_small.json", "known_case_ids.json"])
def test_readme_states_the_hash_of_each_file(name):
    readme = (FIXTURES / "paper/README.md").read_text(encoding="utf-8")
    row = next(line for line in readme.splitlines() if line.startswith(f"| `{name}`"))
    assert f"`{sha256_of(FIXTURES / 'paper' / name)}`" in row


def test_readme_names_the_source():
    readme = (FIXTURES / "paper/README.md").read_text(encoding="utf-8")
    assert "arXiv 2408.07413" in readme
    assert "AAAI 2025" in readme
