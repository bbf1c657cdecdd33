"""The table of optional parts is that of pyproject.toml, and what is missing is named."""

import re
import sys

import pytest
from checkout import ROOT
from errors import refused

import ks_core as ks
from ks_core.errors import KsError, MissingExtraError
from ks_core.extras import EXTRAS, require

IMPORTED_AS = {"vl-convert-python": "vl_convert"}


def stated(extra: str) -> set[str]:
    """Packages of an extra in pyproject.toml by the names that are imported, without other extras."""
    # by hand: a reader of TOML comes with Python 3.11 only
    block = re.search(rf"^{extra} = \[(.*?)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)[1]
    names = [re.match(r"[\w-]+", entry)[0] for entry in re.findall(r'"([^"]+)"', block) if "[" not in entry]
    return {IMPORTED_AS.get(name, name) for name in names}


@pytest.mark.parametrize("extra", EXTRAS)
def test_extras_are_those_of_the_project(extra):
    assert set(EXTRAS[extra]) == stated(extra)


def test_the_core_needs_four_packages():
    assert stated("dependencies") == {"numpy", "safetensors", "scipy", "torch"}


def test_require_passes_where_everything_is_installed():
    for extra in ("models", "paper", "conformance"):
        require(extra, "this")


def test_require_names_what_is_missing_and_how_to_install_it(monkeypatch):
    for name in ("tqdm", "gguf"):
        monkeypatch.setitem(sys.modules, name, None)  # what an absent package looks like to `import`
    remedy = 'pip install "ks_core[models]"'
    with refused(MissingExtraError, what="this part", got="gguf, tqdm", remedy=remedy) as caught:
        require("models", "this part")
    assert isinstance(caught.value, KsError)
    assert isinstance(caught.value, ImportError)


def test_reading_results_back_names_the_extra_of_the_validator(monkeypatch):
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    remedy = 'pip install "ks_core[paper]"'
    with refused(MissingExtraError, what="load_results needs", got="jsonschema", remedy=remedy):
        ks.load_results("results.json")
