"""Every link of every document leads somewhere, and every command, option, extra and line of Python in them is real."""

import ast
import re
import shlex
from importlib import import_module
from types import SimpleNamespace

import pytest
from checkout import ROOT
from site_links import is_of_the_site_only

from ks_core import pytest_conformance, pytest_plugin

ROOMS = ("docs", "fixtures", "tools", "tests", "bench", "ks_core")
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted([*ROOT.glob("*.md"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.md"))])
}
PAGES = [name for name in DOCUMENTS if name == "README.md" or name.startswith("docs/")]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def anchors(text):
    """The anchors that GitHub gives to the headings of a document: a second one of a name ends in -1."""
    found = []
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).strip().replace(" ", "-")
        found.append(slug if slug not in found else f"{slug}-{found.count(slug)}")
    return found


def broken(name, text, documents, exists):
    """Links of a document that lead nowhere: to no file, or to no heading of a document."""
    faults = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        there = resolved(name, path)
        if not exists(there) or (anchor and anchor not in anchors(documents.get(there, ""))):
            faults.append(target)
    return faults


def resolved(name, path):
    """A relative path, as it is from the root; that of the document itself where it is empty."""
    if not path:
        return name
    parts = name.split("/")[:-1]
    for part in path.strip("/").split("/"):
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name):
    assert broken(name, DOCUMENTS[name], DOCUMENTS, lambda path: (ROOT / path).exists()) == []


def test_planted_faults_broken_links_are_found():
    documents = {"a.md": "# A b, `c`\n\n## A b, `c`\n\n```\n# no\n```\n", "docs/b.md": "# B"}

    def faults(name, text):
        return broken(name, text, documents, documents.__contains__)

    assert faults("docs/b.md", "[x](../a.md#a-b-c) [x](../a.md#a-b-c-1) [x](#b) [x](https://x.y/z) `[x](y)`") == []
    assert faults("docs/b.md", "[x](a.md) [x](../a.md#no) [x](#c)") == ["a.md", "../a.md#no", "#c"]
    assert faults("a.md", "![x](no.png)\n```\n[x](y)\n```") == ["no.png"]


def test_every_page_is_in_the_index_and_every_page_that_is_named_is_there():
    index = re.findall(r"\]\(([\w.]+)\)", DOCUMENTS["docs/README.md"])
    of_the_site = {name for name in PAGES if is_of_the_site_only(DOCUMENTS[name])}
    assert sorted(index) == sorted({name.removeprefix("docs/") for name in set(PAGES) - of_the_site} - {"README.md"})
    texts = [path.read_text(encoding="utf-8") for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    named = {page for text in [*texts, *DOCUMENTS.values()] for page in re.findall(r"\bdocs/\w+\.md\b", text)}
    assert named - {"docs/b.md", "docs/a.md"} <= set(DOCUMENTS)


# --- commands


def commands(text):
    """Every command of ours that a document shows in a block, one line each, without what a shell makes of it."""
    blocks = [code for kind, code in FENCE.findall(text) if kind in ("bash", "sh", "console", "")]
    indented = re.findall(r"(?:^ {4}.*\n)+", FENCE.sub("", text), re.MULTILINE)
    lines = "\n".join([*blocks, *indented]).replace("\\\n", " ").splitlines()
    for line in lines:
        for part in line.split("  #")[0].split("&&"):
            words = part.strip().removeprefix("$ ")
            words = re.sub(r"^(srun )?torchrun .*-m ks_core\.cli ", "ks ", words)
            if re.match(r"(ks|pytest|tox|pip install|python -m pytest)( |$)", words):
                yield words


def plugin_options():
    """The options that the two plugins add to pytest."""
    found = []
    group = SimpleNamespace(addoption=lambda *names, **_: found.extend(names))
    parser = SimpleNamespace(getgroup=lambda *_: group, addini=lambda *_, **__: None)
    for plugin in (pytest_plugin, pytest_conformance):
        plugin.pytest_addoption(parser)
    return set(found)


def faults_of(command, monkeypatch):
    """What of a command does not exist: arguments of `ks`, options of the plugins, extras, environments of tox."""
    options = set(re.findall(r"(?<!\S)(--ks-[\w-]+)", command))
    faults = sorted(options - plugin_options())
    extras = [name for names in re.findall(r"(?:\.|ks_core)\[([\w,]+)\]", command) for name in names.split(",")]
    faults += [name for name in extras if not re.search(rf"^{name} = \[", PYPROJECT, re.MULTILINE)]
    if command.startswith("ks "):
        monkeypatch.setattr(import_module("ks_core.cli.main"), "run", lambda *_, **__: 0)
        try:
            import_module("ks_core.cli.main").main(shlex.split(command)[1:])
        except SystemExit as refused:
            faults.append(f"status {refused.code}")
    return faults


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_has_the_arguments_that_it_is_shown_with(name, monkeypatch):
    shown = list(commands(DOCUMENTS[name]))
    assert {command: faults for command in shown if (faults := faults_of(command, monkeypatch))} == {}


def unknown_options(text):
    """Options within a sentence that the command of `ks` before them does not have."""
    faults = []
    for name, rest in re.findall(r"`ks ([a-z]\w*)([^`]*)`", FENCE.sub("", text)):
        known = []
        import_module("ks_core.cli.main").COMMANDS[name].declare(lambda *names, known=known, **_: known.extend(names))
        faults += [option for option in re.findall(r"(?<!\S)--[\w-]+", rest) if option not in known]
    return faults


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_in_a_sentence_has_the_options_that_it_is_shown_with(name):
    assert unknown_options(DOCUMENTS[name]) == []


def test_planted_fault_a_wrong_option_in_a_sentence_is_found():
    assert unknown_options("`ks audit x --strict`, `ks edit\nx --onto y --strickt`") == ["--strickt"]
    assert unknown_options("`ks edit\nx`, `ks edit y --strickt`") == ["--strickt"]


def test_commands_are_found():
    assert len([command for name in PAGES for command in commands(DOCUMENTS[name])]) > 40


def test_planted_faults_wrong_commands_are_found(monkeypatch):
    text = (
        "```bash\npip install tox && tox -e paper -- --ks-model \\\n    x  # why\n```\n\n    $ ks undo mine --case 1\n"
    )
    assert list(commands(text)) == ["pip install tox", "tox -e paper -- --ks-model      x", "ks undo mine --case 1"]
    assert faults_of("ks undo mine --case 1", monkeypatch) == []
    assert faults_of("ks undo mine --cases 1 --no", monkeypatch) == ["status 2"]
    assert faults_of("pytest -m paper bench/paper --ks-modell=x", monkeypatch) == ["--ks-modell"]
    assert faults_of('pip install -e ".[paper,papers]"', monkeypatch) == ["papers"]


# --- Python


def python_blocks():
    return [
        pytest.param(code, id=f"{name}-{place}")
        for name, text in DOCUMENTS.items()
        for place, (kind, code) in enumerate(FENCE.findall(text))
        if kind in ("py", "python")
    ]


@pytest.mark.parametrize("code", python_blocks())
def test_every_block_of_python_is_python_and_imports_what_is_there(code):
    """Most are run besides, by tests/test_readme.py."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert all(import_module(name.name) for name in node.names)
        if isinstance(node, ast.ImportFrom):
            assert all(hasattr(import_module(node.module), name.name) for name in node.names)
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and names(node.value) == "ks"}
    assert called <= set(import_module("ks_core").__all__)


def names(node):
    return node.id if isinstance(node, ast.Name) else None
