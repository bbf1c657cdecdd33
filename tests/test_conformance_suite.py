"""The suite as others run it: a package of their own, outside this tree, in another process, with one command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from errors import Parts, refused, says
from warm import run_module

from ks_core.command import imported
from ks_core.conformance.importing import laws_in, unmatched, version_of
from ks_core.errors import InputError

ROOT = Path(__file__).parent.parent
EDITORS = '''
import numpy as np
from ks_core.conformance import traits

@traits(order="sequential", array="numpy")
def edit(weight, keys, values, second_moment):
    if np.linalg.matrix_rank(second_moment, hermitian=True) < len(second_moment):
        raise ValueError("the second moment is singular")
    for key, value in zip(keys, values):
        direction = np.linalg.solve(second_moment, key)
        weight = weight + np.outer(value - weight @ key, direction) / (direction @ key)
    return weight

@traits(order="sequential", array="numpy")
def faulty(weight, keys, values, second_moment):
    """The residuals are taken at the weight that was given."""
    steps = [edit(weight, k[None], v[None], second_moment) - weight for k, v in zip(keys, values)]
    return weight + sum(steps, 0 * weight)
'''
METADATA = "Metadata-Version: 2.1\nName: their-editors\nVersion: 2.5\n"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder that holds an installed package of someone else's, as pip leaves one."""
    (tmp_path / "site" / "their_editors").mkdir(parents=True)
    (tmp_path / "site" / "their_editors" / "__init__.py").write_text(EDITORS)
    info = tmp_path / "site" / "their_editors-2.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA)
    (info / "top_level.txt").write_text("their_editors\n")
    (info / "RECORD").write_text("their_editors/__init__.py,,\n")
    return tmp_path


def run(folder: Path, *arguments: str, target: str = "ks_core.conformance") -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [str(folder / "site"), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PIP_NO_INDEX": "1", "OMP_NUM_THREADS": "1"}
    return run_module("pytest", "-p", "no:cacheprovider", "--pyargs", target, *arguments, cwd=folder, env=environment)


def test_foreign_package_gets_header_table_and_json(elsewhere: Path) -> None:
    ran = run(elsewhere, "--ks-editor", "their_editors:edit", "--ks-max-examples", "5", "--ks-json", "out/laws.json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "editor: their_editors:edit (their-editors 2.5)" in ran.stdout
    assert "laws: ks_core" in ran.stdout
    assert "27 passed, 9 skipped" in ran.stdout
    written = json.loads((elsewhere / "out" / "laws.json").read_text())
    assert written["tried"][0]["version"] == "their-editors 2.5"
    assert len(written["results"]) == 36
    assert all(f"  {result['law']} " in ran.stdout for result in written["results"])


def test_several_editors_are_held_against_the_laws_each_in_a_table_of_its_own(elsewhere: Path) -> None:
    editors = ("--ks-editor=their_editors:edit", "--ks-editor=their_editors:faulty", "--ks-editor=their_editors:edit")
    ran = run(elsewhere, *editors, "--ks-max-examples=2", "-k", "empty_stream", "--ks-json=laws.json", "-v")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    written = json.loads((elsewhere / "laws.json").read_text())
    assert [of["implementation"] for of in written["tried"]] == ["their_editors:edit", "their_editors:faulty"]
    for name in ("their_editors:edit", "their_editors:faulty"):
        assert f"editor {name}" in ran.stdout.splitlines()
        assert f"[empty_stream_changes_nothing-{name}] PASSED" in ran.stdout


def test_faulty_foreign_editor_fails_and_the_table_says_why(elsewhere: Path) -> None:
    """With what is known listed; a law that holds although it is listed, and names that no law has, are shown."""
    (elsewhere / "xfails").write_text("# of the first version\nlast_edit_is_exact  # as published\nno_such_law\n")
    (elsewhere / "skips").write_text("same_input_gives_the_same_output\ncollector_skips_padding\n")
    options = ("--ks-xfails", "xfails", "--ks-skips", "skips", "--ks-max-examples", "10")
    ran = run(elsewhere, "--ks-editor", "their_editors:faulty", *options)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    lines = {line.split()[0]: line for line in ran.stdout.splitlines() if line.startswith("  ") and line.split()}
    assert "failed" in lines["stream_can_be_cut_anywhere"]
    assert "residuals taken at W_0" in lines["stream_can_be_cut_anywhere"]
    assert "xfailed" in lines["last_edit_is_exact"]
    assert "as published" in lines["last_edit_is_exact"]
    assert "skipped" in lines["same_input_gives_the_same_output"]
    assert "'no_such_law' is no law" in ran.stdout
    assert "'collector_skips_padding' is a law, but not of anything" in ran.stdout
    assert "smallest counterexample found" in ran.stdout


def test_laws_in_a_test_file_of_ones_own_make_the_same_table(elsewhere: Path) -> None:
    (elsewhere / "test_theirs.py").write_text(
        "from ks_core.conformance import parametrize_with_laws\n"
        "from their_editors import edit\n\n"
        "@parametrize_with_laws(edit)\n"
        "def test_edit(law):\n"
        "    law()\n"
    )
    ran = run(elsewhere, "--ks-max-examples", "3", "-n", "2", target="test_theirs.py")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "editor edit" in ran.stdout
    assert "27 passed, 9 skipped" in ran.stdout


def test_law_that_holds_though_listed_is_shown_and_does_not_fail_the_run(elsewhere: Path) -> None:
    (elsewhere / "xfails").write_text("empty_stream_changes_nothing\n")
    ran = run(elsewhere, "--ks-editor=their_editors:edit", "--ks-xfails=xfails", "--ks-max-examples=1", "-k", "empty")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 xpassed" in ran.stdout


@pytest.mark.parametrize(
    ("option", "begins", "parts"),
    [
        ("--ks-editor=nowhere:edit", "ERROR:", {"what": "--ks-editor", "got": ("'nowhere'", "imported")}),
        ("--ks-max-examples=0", ": error:", {"what": "--ks-max-examples", "got": "'0'", "expected": "at least 1"}),
        ("--ks-xfails=nowhere", "ERROR:", {"what": "--ks-xfails", "got": ("nowhere", "cannot be read")}),
        ("-q", "nothing", {"got": "to hold", "expected": "--ks-editor"}),
    ],
)
def test_bad_options_are_refused_in_one_line(
    elsewhere: Path, option: str, begins: str, parts: dict[str, Parts]
) -> None:
    ran = run(elsewhere, option)
    assert ran.returncode != 0
    (line,) = (line for line in (ran.stdout + ran.stderr).splitlines() if begins in line)
    says(line, **parts)
    assert "Traceback" not in ran.stdout + ran.stderr


def test_json_that_cannot_be_written_is_an_error(elsewhere: Path) -> None:
    (elsewhere / "taken").write_text("")
    ran = run(elsewhere, "--ks-editor=their_editors:edit", "--ks-json=taken/laws.json", "-k", "empty")
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: --ks-json: taken/laws.json cannot be written" in ran.stdout + ran.stderr


def test_plugin_costs_other_suites_nothing_and_shows_its_options(elsewhere: Path) -> None:
    heavy = "{'torch', 'hypothesis', 'ks_core.conformance'}"
    code = f"import sys, ks_core.pytest_conformance; print({heavy} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
    shown = run(elsewhere, "--help").stdout
    for option in ("--ks-editor", "--ks-collector", "--ks-extractor", "--ks-xfails", "--ks-skips", "--ks-json"):
        assert option in shown


@pytest.mark.parametrize("missing", ["hypothesis", "pytest"])
def test_missing_tool_is_named_with_its_extra(missing: str) -> None:
    code = f"import sys; sys.modules['{missing}'] = None; import ks_core; import ks_core.conformance"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = ran.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ks_core.errors.MissingExtraError: ks_core.conformance needs {missing}, which is not")
    assert 'pip install "ks_core[conformance]"' in last


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("their_editors", {"got": "'their_editors'", "expected": "their_package.module:function"}),
        (":edit", {"got": "':edit'", "expected": "an import path"}),
        ("json:nothing", {"got": ("'json'", "no 'nothing'")}),
        ("no_module_of_this_name:edit", {"got": ("cannot be imported", "ModuleNotFoundError")}),
    ],
)
def test_import_paths_that_lead_nowhere_are_refused(spec: str, parts: dict[str, Parts]) -> None:
    with refused(InputError, **parts):
        imported("--ks-editor", spec)


@pytest.mark.parametrize(
    ("content", "parts", "finds"),
    [
        ("import no_module_of_this_name", {"got": "ModuleNotFoundError", "remedy": "PYTHONPATH"}, True),
        ("1 / 0", {"got": "ZeroDivisionError", "expected": "imported without an error"}, False),
        (
            "from ks_core.conformance import traits\n@traits(share=2)\ndef edit(*_): ...",
            {"got": ("share", "2"), "expected": "at most 1"},
            False,
        ),
    ],
)
def test_error_inside_a_module_is_not_taken_for_one_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, parts: dict[str, Parts], finds: bool
) -> None:
    (tmp_path / "their_broken_module.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    with refused(InputError, what=("--ks-editor", "'their_broken_module'"), **parts) as raised:
        imported("--ks-editor", "their_broken_module:edit")
    assert ("this Python finds" in str(raised.value)) == finds


def test_import_path_may_name_an_attribute_of_an_attribute() -> None:
    assert imported("--ks-editor", "json:JSONDecoder.decode") is json.JSONDecoder.decode


def test_version_is_that_of_the_installed_package() -> None:
    assert version_of("pytest.nowhere:x") == f"pytest {pytest.__version__}"
    assert version_of("conformance_mutants:x") == "conformance_mutants, not an installed package"


def test_lists_of_laws_are_read_with_reasons_and_odd_lines_refused(tmp_path: Path) -> None:
    listed = tmp_path / "laws"
    listed.write_text("# comment\n\nlast_edit_is_exact # why\n every_edit_holds\n")
    assert laws_in("--ks-xfails", listed) == {"last_edit_is_exact": "why", "every_edit_holds": ""}
    listed.write_text("last_edit_is_exact why\n")
    with refused(InputError, what="line 1", got="'last_edit_is_exact why'", expected="one law a line"):
        laws_in("--ks-xfails", listed)
    listed.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        laws_in("--ks-xfails", listed)
    assert unmatched({"last_edit_is_exact": ""}, {"last_edit_is_exact"}) == []
