"""What the site adds to Sphinx: pages put together when they are read, docstrings, formulas as MathML."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from site_docstrings import as_rst
from site_generated import GENERATED
from site_links import assembled, included
from site_math import visit_block, visit_inline

ROOT = Path(__file__).resolve().parents[2]


@cache
def folders() -> frozenset[str]:
    """Folders of the repository that pages may link to."""
    rooms = (ROOT / room for room in ("bench", "fixtures", "ks_core", "tests", "tools"))
    found = (path for room in rooms for path in (room, *room.rglob("*")) if path.is_dir())
    return frozenset(path.relative_to(ROOT).as_posix() for path in found)


def read_source(app: Any, docname: str, content: list[str]) -> None:
    """Put a page together."""
    if not (Path(app.srcdir) / f"{docname}.md").is_file():
        return
    names = included(content[0])
    documents = {name: (ROOT / name).read_text(encoding="utf-8") for name in names}
    for name in names:
        app.env.note_dependency(str(ROOT / name))
    content[0] = assembled(f"docs/{docname}.md", content[0], documents, GENERATED, folders())


def read_docstring(_app: Any, what: str, _name: str, _of: Any, _options: Any, lines: list[str]) -> None:
    """Make a docstring reStructuredText, before its sections are looked for."""
    # Of an attribute napoleon takes the first line up to a colon for the type; here it is a sentence, so that an empty
    # comment stands before it.
    lines[:] = [*(["..", ""] if what in ("attribute", "data", "property") else []), *as_rst(lines)]


REACHED = {
    "body": (("<pre>", '<pre tabindex="0">'), ('<div class="table-wrapper', '<div tabindex="0" class="table-wrapper')),
    "furo_navigation_tree": (('role="heading"', 'role="heading" aria-level="2"'),),
}
"""What Sphinx and furo leave out of a page for those who use a keyboard or a reader: boxes that scroll can be reached,
and headings have a level."""


def finish_page(_app: Any, _page: str, _template: str, context: dict[str, Any], _tree: Any) -> None:
    """Mend what is put into a page's template."""
    for place, pairs in REACHED.items():
        for written, wanted in pairs if context.get(place) else ():
            context[place] = context[place].replace(written, wanted)


def setup(app: Any) -> dict[str, Any]:
    """Connect all of it; Sphinx calls this."""
    app.connect("source-read", read_source)
    app.connect("autodoc-process-docstring", read_docstring, priority=400)  # napoleon's is 500
    app.connect("html-page-context", finish_page, priority=900)  # after furo's own
    app.add_html_math_renderer("mathml", inline_renderers=(visit_inline, None), block_renderers=(visit_block, None))
    return {"parallel_read_safe": False, "parallel_write_safe": True}
