"""The names of the front door: what they load, where they are defined, and what is said of them."""

import ast
import inspect
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import reference_page

import ks_core as ks
from ks_core.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
HEAVY = (
    "torch",
    "numpy",
    "scipy",
    "transformers",
    "tokenizers",
    "safetensors",
    "matplotlib",
    "pandas",
    "pytest",
    "tqdm",
)


def in_a_fresh_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.strip()


def test_import_loads_no_other_library():
    loaded = f"print([name for name in {HEAVY} if name in sys.modules])"
    assert in_a_fresh_process(f"import sys, ks_core; dir(ks_core); {loaded}") == "[]"


def test_planted_fault_an_eager_name_is_seen_by_the_test_of_imports():
    loaded = f"print([name for name in {HEAVY} if name in sys.modules])"
    assert "torch" in in_a_fresh_process(f"import sys, ks_core; ks_core.load_model; {loaded}")


def test_an_error_needs_no_library():
    loaded = f"print([name for name in {HEAVY} if name in sys.modules])"
    assert in_a_fresh_process(f"import sys, ks_core; ks_core.KsError; {loaded}") == "[]"


def test_names_are_the_same_at_run_time_and_for_type_checkers():
    tree = ast.parse(Path(ks.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.asname for node in block.body for alias in node.names}
    assert typed == set(ks.__all__) == set(ks._HOMES)
    assert set(ks.__all__) <= set(dir(ks))


def not_said(name, value):
    """What the docstring of a public name leaves out."""
    doc = value.__doc__ or ""
    value = type(value).__call__ if inspect.ismodule(value) else value
    first = doc.split("\n\n")[0].strip()
    missing = [] if first.endswith((".", ":")) and not first.startswith(f"{name}(") else ["what it is, in a sentence"]
    if inspect.isfunction(value) and value.__name__ == "__call__":  # a room, whose own page has its arguments
        missing += [] if ">>> " in doc else ["an example"]
    elif inspect.isfunction(value):
        args = doc.partition("Args:")[2].partition("\n\n")[0]
        named = {word for line in args.splitlines() for word in re.findall(r"\w+", line.partition(": ")[0])}
        missing += [parameter for parameter in inspect.signature(value).parameters if parameter not in named]
        missing += [] if ">>> " in doc else ["an example"]
    elif not issubclass(value, Exception):
        own = {
            key: of for key, of in vars(value).items() if key[0] != "_" and (callable(of) or isinstance(of, property))
        }
        missing += [key for key, of in own.items() if not (of.__doc__ or "").strip()]
    return missing


@pytest.mark.parametrize("name", ks.__all__)
def test_every_name_says_what_it_is_and_what_it_takes(name):
    assert not_said(name, getattr(ks, name)) == []


def test_planted_fault_a_poor_docstring_is_seen():
    @dataclass
    class Poor:
        field: int

        def method(self):
            return self.field

    def poor(first, second):
        """Do something.

        Args:
            first: the one.
        """

    assert not_said("Poor", Poor) == ["what it is, in a sentence", "method"]
    assert not_said("poor", poor) == ["second", "an example"]


@pytest.mark.parametrize("name", ks.__all__)
def test_every_name_is_defined_where_it_is_said_to_be(name):
    assert getattr(ks, name).__module__ == f"ks_core.{ks._HOMES[name]}"


def test_unknown_names_are_no_attributes():
    with pytest.raises(AttributeError, match="module 'ks_core' has no attribute 'audits'"):
        _ = ks.audits


def test_functions_are_not_hidden_by_rooms():
    code = "import pkgutil, ks_core; print([m.name for m in pkgutil.iter_modules(ks_core.__path__)])"
    assert set(ast.literal_eval(in_a_fresh_process(code))) & set(ks.__all__) == {"models"}, "which is called itself"


@pytest.mark.parametrize("first", ["", "import ks_core.models.loading; ", "ks.load_model; "])
def test_the_room_that_is_called_is_one_whatever_was_imported_before_it(first):
    code = f"import ks_core as ks; {first}m = ks.models; from ks_core.models import loading; "
    code += "print(ks.models is m, ks.models.loading is loading, [of.name for of in ks.models('toy')])"
    assert in_a_fresh_process(code) == "True True ['toy']"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_a_call_of_its_name(name):
    assert name in ks.__all__
    assert callable(getattr(ks, name))


def test_a_second_name_is_the_same_call():
    assert ks.moments is ks.second_moments
    assert ks.undo is ks.undo_edits


def test_reference_page_has_every_name_as_it_is():
    text = reference_page.PAGE.read_text(encoding="utf-8")
    assert text == reference_page.page(text), "run: python tools/reference_page.py"
    assert "load_model(model=" in text
