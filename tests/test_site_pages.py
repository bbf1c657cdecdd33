"""The pages of the documentation site, put together without Sphinx: links, docstrings, what is made from the code."""

import doctest
import re
from functools import partial

import pytest
import site_docstrings
import site_generated
import site_links
from checkout import ROOT
from site_docstrings import as_rst
from site_generated import GENERATED, plain, table
from site_links import REPOSITORY, assembled, for_the_site, included, is_of_the_site_only
from test_documents import plugin_options

import ks_core
from ks_core.cli.main import COMMANDS

DOCS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if not path.name.startswith("README")
}
FOLDERS = frozenset(path.relative_to(ROOT).as_posix() for path in (ROOT / "ks_core").rglob("*") if path.is_dir())


@pytest.fixture(scope="module")
def made():
    return {name: make() for name, make in GENERATED.items()}


# --- links


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("[a](b.md#c)", "[a](b.md#c)"),
        ("[a](#c)", "[a](#c)"),
        ("[a](https://x.y/z.md)", "[a](https://x.y/z.md)"),
        ("[a](README.md)", "[a](index.md)"),
        ("[a](../README.md#cite)", "[a](index.md#cite)"),
        ("[a](../CONTRIBUTING.md)", "[a](contribute/contributing.md)"),
        ("[`a`](../ks_core/x.py)", f"[`a`]({REPOSITORY}/blob/main/ks_core/x.py)"),
        ("[a](../ks_core/claims)", f"[a]({REPOSITORY}/tree/main/ks_core/claims)"),
        ("![a](../fixtures/f.png)", "![a](../fixtures/f.png)"),
        ("[a](../fixtures/README.md)", f"[a]({REPOSITORY}/blob/main/fixtures/README.md)"),
        ("`[a](../x.py)`", "`[a](../x.py)`"),
        ("``[a](../x.py) ` ``", "``[a](../x.py) ` ``"),
        ("```py\n[a](../x.py)\n```", "```py\n[a](../x.py)\n```"),
        ("`open\n\n[a](../x.py)", f"`open\n\n[a]({REPOSITORY}/blob/main/x.py)"),
    ],
)
def test_a_link_leads_to_a_page_of_the_site_or_to_the_repository(written, shown):
    assert for_the_site("docs/a.md", written, folders=FOLDERS) == shown


def test_a_document_of_another_folder_is_shown_with_its_links():
    page = assembled(
        "docs/contribute/x.md",
        "<!-- site: include CONTRIBUTING.md -->\n[own](../ci.md)\n<!-- site: generated names -->\n",
        {"CONTRIBUTING.md": "[ci](docs/ci.md) [c](RELEASING.md) ![f](fixtures/f.png)\n"},
        {"names": lambda: "## edit\n"},
        frozenset(),
    )
    assert page == "[ci](../ci.md) [c](releasing.md) ![f](../../fixtures/f.png)\n[own](../ci.md)\n## edit\n"


@pytest.mark.parametrize("marker", ["include NO.md", "generated no"])
def test_a_marker_of_what_there_is_not_is_an_error(marker):
    with pytest.raises(KeyError):
        assembled("docs/a.md", f"<!-- site: {marker} -->\n", {}, {}, frozenset())


@pytest.mark.parametrize("name", DOCS)
def test_every_link_that_leaves_the_site_leads_to_what_is_in_the_repository(name, made):
    documents = {of: (ROOT / of).read_text(encoding="utf-8") for of in included(DOCS[name])}
    page = assembled(name, DOCS[name], documents, {of: partial(made.get, of) for of in made}, FOLDERS)
    assert "<!-- site:" not in page
    left = re.findall(rf"\]\({re.escape(REPOSITORY)}/(?:blob|tree)/main/([^)#]+)", page)
    assert [path for path in left if not (ROOT / path).exists()] == []


def test_every_page_is_in_one_table_of_contents():
    pages = {name.removeprefix("docs/").removesuffix(".md") for name in DOCS} - {"index"}
    notebooks = {f"notebooks/{path.stem}" for path in (ROOT / "docs" / "notebooks").glob("*.ipynb")}
    listed = [
        line
        for block in re.findall(r"```\{toctree\}\n(.*?)```", DOCS["docs/index.md"], re.DOTALL)
        for line in block.splitlines()
        if line and not line.startswith(":")
    ]
    assert sorted(listed) == sorted(pages | notebooks)


def test_pages_of_the_site_only_are_known():
    assert is_of_the_site_only(DOCS["docs/index.md"])
    assert is_of_the_site_only(DOCS["docs/reference/commands.md"])
    assert not is_of_the_site_only(DOCS["docs/audit.md"])


# --- what is made from the code


def test_every_command_and_argument_is_on_its_page(made):
    for name, module in COMMANDS.items():
        declared = []
        module.declare(lambda *names, _into=declared, **_: _into.extend(names))
        section = made["commands"].partition(f"## ks {name}\n")[2].partition("\n## ")[0]
        assert [option for option in declared if option.startswith("-") and option not in section] == [], name


def test_every_option_of_the_plugins_is_on_its_page(made):
    assert {option for option in plugin_options() if option not in made["pytest"]} == set()


def test_every_public_name_is_on_its_page(made):
    for name in ks_core.__all__:
        assert re.search(rf"^\.\. auto(class|function):: ks_core\.{name}$", made["names"], re.MULTILINE), name


@pytest.mark.parametrize("room", ["theory", "statistics"])
def test_every_module_of_a_room_is_on_its_page(made, room):
    modules = [path.stem for path in (ROOT / "ks_core" / room).glob("*.py") if path.stem != "__init__"]
    assert sorted(re.findall(r"automodule:: ks_core\.\w+\.(\w+)", made[room])) == sorted(modules)


def test_words_mean_themselves_in_a_table():
    assert plain("a|b *c* x_y <z> `d_e|f` [g](h)") == r"a\|b \*c\* x\_y \<z\> `d_e|f` \[g\](h)"
    assert plain("the best of --layers,\n  or 3--4") == "the best of `--layers`, or 3--4"
    assert table("option", [("-x", "")]) == "| option | what it does |\n|---|---|\n| `-x` |  |\n"


# --- docstrings

INDENTED = ["", "    ::", "", "        d|"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (["P of `a_` and |b|, x_ or **."], [r"P of `a_` and \|b\|, x\_ or \*\*."]),
        (["Says `a b", "c_` of d_."], ["Says `a b", r"c_` of d\_."]),
        (["As:", "", "    |x|* y_", "", "end_"], ["As:", "", "::", "", "    |x|* y_", "", r"end\_"]),
        (
            ["Example:", "    Of x_:", "    >>> f_(*a)", "    _"],
            ["Example:", r"    Of x\_:", "    >>> f_(*a)", "    _"],
        ),
        (["Args:", "    a: b", "        c*", "", "        d|"], ["Args:", "    a: b", r"        c\*", *INDENTED]),
        (["Give --keep."], [r"Give \--keep."]),
    ],
)
def test_docstring_as_rst(written, shown):
    assert as_rst(written) == shown


def test_doctests_stay_as_they_are():
    for lines in (
        ["Example:", "    Some text.", "", "    >>> f_(*a) | b", "    {'c_': 1}"],
        ["Example:", "    >>> a | *b_"],
    ):
        assert as_rst(lines) == lines


@pytest.mark.parametrize("module", [site_docstrings, site_generated, site_links], ids=lambda module: module.__name__)
def test_examples_in_docstrings_of_the_site_run(module):
    assert doctest.testmod(module)[0] == 0
