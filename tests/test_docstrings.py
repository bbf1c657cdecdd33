"""Every example in a docstring runs and gives what it shows."""

import doctest
import importlib
import pkgutil

import pytest

import ks_core

MODULES = sorted(module.name for module in pkgutil.walk_packages(ks_core.__path__, "ks_core."))
# torch prints float64 with four digits, NumPy 2 its scalars with their type: ELLIPSIS leaves room where it is written.
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name):
    found = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert found.failed == 0


def test_docstring_examples_are_found():
    attempted = sum(doctest.testmod(importlib.import_module(name), optionflags=FLAGS).attempted for name in MODULES)
    assert attempted > 50, "the search for examples finds too few"
