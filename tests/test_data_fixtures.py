"""Packaged files are found in a source tree and in an installed package."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from checkout import FIXTURES, ROOT
from errors import refused

from ks_core.data import fixtures
from ks_core.data.fixtures import checkout_fixtures, fixture_path
from ks_core.errors import AssetError

PACKAGE = Path(fixtures.__file__).parents[1]


def test_fixture_path_finds_files_and_folders():
    assert fixture_path("facts/facts.json").is_file()
    assert fixture_path("paper").is_dir()


def test_fixture_path_refuses_what_is_not_there():
    with refused(AssetError, what="facts/none.json", got="neither", remedy="check the name"):
        fixture_path("facts/none.json")


def found_by_copy(site: Path) -> Path:
    """What the package finds when it runs from another folder, in a process of its own."""
    code = "from ks_core.data.fixtures import fixture_path; print(fixture_path('facts/facts.json'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=site, capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


def test_fixture_path_prefers_the_files_inside_an_installed_package(tmp_path):
    site = tmp_path / "site-packages"
    shutil.copytree(PACKAGE, site / "ks_core", ignore=shutil.ignore_patterns("fixtures", "__pycache__"))
    for place in (site / "fixtures", site / "ks_core" / "fixtures"):
        (place / "facts").mkdir(parents=True)
        (place / "facts" / "facts.json").write_text("{}")
    assert found_by_copy(site) == site / "ks_core" / "fixtures" / "facts" / "facts.json"
    shutil.rmtree(site / "ks_core" / "fixtures")
    assert found_by_copy(site) == site / "fixtures" / "facts" / "facts.json"


def test_checkout_fixtures_are_those_of_this_project_only(tmp_path):
    assert checkout_fixtures(ROOT) == FIXTURES
    assert checkout_fixtures(FIXTURES) is None
    (tmp_path / "fixtures" / "models").mkdir(parents=True)
    assert checkout_fixtures(tmp_path) is None, "somebody else's fixtures"
