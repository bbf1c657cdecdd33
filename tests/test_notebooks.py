"""The notebooks of the documentation: stored without outputs, and they run, with assertions that can fail."""

import json
import os
import re
import subprocess
import sys

import nbformat
import pytest
from checkout import ROOT
from test_documents import DOCUMENTS, broken

FOLDER = ROOT / "docs" / "notebooks"
NOTEBOOKS = {path.name: nbformat.read(path, as_version=4) for path in sorted(FOLDER.glob("*.ipynb"))}


def run(notebook, folder):
    """A notebook with its outputs, run beside the others with an empty cache; None and what it says where it fails."""
    source, made = folder / "source.ipynb", folder / "made.ipynb"
    nbformat.write(notebook, source)
    places = {"KS_CORE_CACHE": "cache", "IPYTHONDIR": "ipython", "JUPYTER_RUNTIME_DIR": "run"}
    ours = {name: str(folder / place) for name, place in places.items()}
    called = [sys.executable, str(ROOT / "tests" / "run_notebook.py"), str(source), str(made), str(folder / "kernel")]
    ended = subprocess.run(
        called, cwd=FOLDER, env=os.environ | ours | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, timeout=300
    )
    return (json.loads(made.read_text(encoding="utf-8")) if ended.returncode == 0 else None), ended.stderr


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs(name, tmp_path):
    made, said = run(NOTEBOOKS[name], tmp_path)
    assert made is not None, said
    kinds = [kind for cell in made["cells"] for output in cell.get("outputs", ()) for kind in output.get("data", ())]
    assert "image/png" in kinds  # what it is to show is shown
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(NOTEBOOKS)  # nothing is left beside it


def test_planted_fault_a_notebook_whose_assertion_fails_is_caught(tmp_path):
    made, said = run(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("assert 1.5 <= 1, 'too large'")]), tmp_path
    )
    assert made is None
    assert "AssertionError" in said
    assert "too large" in said


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_stored_without_outputs_and_asserts_what_it_says(name):
    nbformat.validate(NOTEBOOKS[name])
    code = [cell for cell in NOTEBOOKS[name].cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)
    assert {cell.execution_count for cell in code} == {None}
    assert sum(cell.source.count("assert ") for cell in code) >= 5
    assert any("## What this can say, and what not" in cell.source for cell in NOTEBOOKS[name].cells)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_link_of_a_notebook_leads_somewhere(name):
    text = "\n\n".join(cell.source for cell in NOTEBOOKS[name].cells if cell.cell_type == "markdown")
    assert re.search(r"\]\(\.\./\w+\.md", text)
    assert broken(f"docs/notebooks/{name}", text, DOCUMENTS, lambda path: (ROOT / path).exists()) == []
