"""Workflows, hooks and documents call only what is there, and say the same as pyproject.toml and CITATION.cff.

The workflows themselves run elsewhere; here they are read.
"""

import configparser
import re
from pathlib import Path

import pytest
import yaml
from checkout import ROOT

import ks_core

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
AUTOMATED = [*WORKFLOWS, ROOT / ".pre-commit-config.yaml"]
DOCUMENTS = [
    ROOT / "tox.ini",
    *(path for room in (".", "docs", "fixtures/*", "tools") for path in sorted(ROOT.glob(f"{room}/*.md"))),
]
PYPROJECT = (ROOT / "pyproject.toml").read_text()


def environments() -> set[str]:
    """The names of tox.ini's environments; `py3{10,11}-tests` are two."""
    ini = configparser.RawConfigParser()
    ini.read(ROOT / "tox.ini")
    names = [section.removeprefix("testenv:") for section in ini.sections() if section.startswith("testenv:")]
    split = [re.fullmatch(r"(.*?)\{(.*)\}(.*)", name) or name for name in names]
    return {
        name
        for of in split
        for name in ([of] if isinstance(of, str) else [f"{of[1]}{factor}{of[3]}" for factor in of[2].split(",")])
    }


def missing(text: str, root: Path = ROOT) -> list[str]:
    """What a text calls that is not there: environments of tox, scripts of ours."""
    called = [name for names in re.findall(r"\btox\b[^\n`]*? -e ([\w,.-]+)", text) for name in names.split(",")]
    scripts = re.findall(r"\b((?:tools|tests|bench|fixtures)[/\w{}]*\.py)\b", text.replace("{/}", "/"))
    return [
        *(f"tox -e {name}" for name in called if name not in environments()),
        *(script for script in scripts if not (root / script).is_file()),
    ]


def strange_pythons(text: str) -> list[str]:
    """Versions that a workflow runs on, and the project does not say that it supports."""
    supported = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PYPROJECT)
    asked = re.findall(r'"(3\.\d+)"', " ".join(re.findall(r"^\s+(?:python|python-version): (.+)$", text, re.MULTILINE)))
    return [version for version in asked if version not in supported]


@pytest.mark.parametrize("path", [*AUTOMATED, *DOCUMENTS], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_everything_that_is_called_is_there(path):
    assert missing(path.read_text()) == []


@pytest.mark.parametrize("path", AUTOMATED, ids=lambda path: path.name)
def test_a_workflow_is_yaml_and_runs_on_supported_pythons(path):
    content = yaml.safe_load(path.read_text())
    assert "repos" in content or all(job["steps"] and job["runs-on"] for job in content["jobs"].values())
    assert strange_pythons(path.read_text()) == []


def test_planted_faults_are_caught():
    ci = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert missing(ci.replace("lint,types,core", "lint,typos,core")) == ["tox -e typos"]
    assert missing(ci.replace("tox -e tests", "python tests/no_such.py")) == ["tests/no_such.py"]
    assert strange_pythons(ci.replace('"3.13"]', '"3.9"]')) == ["3.9"]
    assert set(strange_pythons(ci.replace('python-version: "3.11"', 'python-version: "3.99"'))) == {"3.99"}


def test_the_tests_run_on_every_supported_python_and_on_two_systems():
    matrix = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["tests"]["strategy"][
        "matrix"
    ]
    assert matrix["python"] == re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PYPROJECT)
    assert f'requires-python = ">={matrix["python"][0]}"' in PYPROJECT
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos"}
    assert {f"py{version.replace('.', '')}-tests" for version in matrix["python"]} <= environments()


def test_a_release_is_published_without_a_password_and_only_after_it_was_built():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    assert jobs["publish"]["needs"] == "build"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert "secrets." not in "".join(path.read_text() for path in WORKFLOWS)


def test_the_citation_names_the_paper_and_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == ks_core.__version__
    assert f'__version__ = "{ks_core.__version__}"\n' in (ROOT / "ks_core" / "__init__.py").read_text()
    paper = citation["preferred-citation"]
    readme = " ".join((ROOT / "fixtures" / "paper" / "README.md").read_text().replace("*", "").split())
    assert paper["title"] in readme
    assert [author["family-names"] for author in paper["authors"]] == ["Hu", "Cao", "Chen", "Liu", "Zhao"]
    assert paper["year"] == 2025
    assert citation["repository-code"] in PYPROJECT
