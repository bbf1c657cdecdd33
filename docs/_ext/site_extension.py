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


def setup(app: Any) -> dict[str, Any]:
    """Connect all of it; Sphinx calls this."""
    app.connect("source-read", read_source)
    app.connect("autodoc-process-docstring", read_docstring, priority=400)  # napoleon's is 500
    app.add_html_math_renderer("mathml", inline_renderers=(visit_inline, None), block_renderers=(visit_block, None))
    return {"parallel_read_safe": False, "parallel_write_safe": True}
