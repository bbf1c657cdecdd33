"""Projects of someone else, with tests of their own, in which the package is merely installed or its fixtures used."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from warm import run_module

SMALL = ("--ks-num-facts=8", "--ks-num-edits=4", "--ks-tokens=1600", "--ks-resamples=40")
"""Of a measurement of a tiny model that takes seconds."""


def write_project(folder: Path, **files: str) -> Path:
    """A project of test files `test_NAME.py`, of a `conftest.py` (`conftest`) and a `pytest.ini` (`ini`)."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {"conftest": "conftest.py", "ini": "pytest.ini"}
    for name, content in files.items():
        (folder / names.get(name, f"test_{name}.py")).write_text(content)
    (folder / "pytest.ini").touch()  # or pytest looks for one in the folders above
    return folder


def run_pytest(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a project as its owner does, with the cache in the project, and no network."""
    given = {"KS_CORE_CACHE": str(folder / "cache"), "PIP_NO_INDEX": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    everything = {**os.environ, **given, **environment}
    return run_module("pytest", "-p", "no:cacheprovider", *options, cwd=folder, env=everything)


def inputs_as_options(paths: dict[str, str]) -> list[str]:
    return [*SMALL, *(f"--ks-{name}={path}" for name, path in paths.items())]


def errors_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines of a refusal."""
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("ERROR:")]
