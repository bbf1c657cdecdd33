"""Links of the pages in docs/, which lead somewhere on the repository's web site, made to lead there on this one too.

What is a page of the site is linked as a page; images stay files; everything else of the repository (code, fixtures) is
linked there.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping

REPOSITORY = "https://github.com/ks-core/ks_core"

SITE_PAGES = {
    "README.md": "docs/index.md",
    "docs/README.md": "docs/index.md",
    "CONTRIBUTING.md": "docs/contribute/contributing.md",
    "RELEASING.md": "docs/contribute/releasing.md",
    "CHANGELOG.md": "docs/contribute/changelog.md",
}
"""Documents of the repository that the site shows as another page of docs/."""

_INCLUDE = re.compile(r"^<!-- site: include (\S+) -->\n", re.MULTILINE)
_GENERATED = re.compile(r"^<!-- site: generated (\S+) -->\n", re.MULTILINE)
_CODE_OR_LINK = re.compile(
    r"^```.*?^```$"  # a fenced block
    r"|(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)"  # a code span
    r"|(?P<image>!?)\[(?P<words>[^\[\]]*)\]\((?P<target>[^)\s]+)\)",
    re.DOTALL | re.MULTILINE,
)


def for_the_site(name: str, text: str, *, page: str | None = None, folders: frozenset[str] = frozenset()) -> str:
    """A document as the site shows it: every link that leaves docs/ leads to a page of the site or to the repository.

    Args:
        name: of the document from the root, such as `docs/audit.md` or `README.md`.
        text: Markdown.
        page: the page that shows it, where that is another.
        folders: of the repository, which its site shows at another address than files.

    Example:
        >>> for_the_site("docs/a.md", "[b](b.md#c) [code](../ks_core/x.py) `[x](y)` ![f](../fixtures/f.png)")
        '[b](b.md#c) [code](https://github.com/ks-core/ks_core/blob/main/ks_core/x.py) `[x](y)` ![f](../fixtures/f.png)'
        >>> for_the_site("README.md", "[a](docs/a.md) [all](docs/README.md)", page="docs/index.md")
        '[a](a.md) [all](index.md)'
    """

    def replaced(found: re.Match[str]) -> str:
        if found["target"] is None:
            return found[0]
        target = _target(name, found["target"], page or name, folders, image=bool(found["image"]))
        return f"{found['image']}[{found['words']}]({target})"

    return _CODE_OR_LINK.sub(replaced, text)


def assembled(
    name: str,
    text: str,
    documents: Mapping[str, str],
    generated: Mapping[str, Callable[[], str]],
    folders: frozenset[str],
) -> str:
    """A page of docs/ with what its markers name put in: documents of the repository, and what is made from the code.

    Args:
        name: of the page from the root.
        text: of the page.
        documents: by their names from the root, those that it includes.
        generated: what makes a text, by the name that a marker gives it.
        folders: as `for_the_site` takes them.

    Raises:
        KeyError: a marker names what there is not.
    """
    own = for_the_site(name, text, folders=folders)
    whole = _INCLUDE.sub(lambda found: for_the_site(found[1], documents[found[1]], page=name, folders=folders), own)
    return _GENERATED.sub(lambda found: generated[found[1]](), whole)


def included(text: str) -> list[str]:
    """The documents that a page includes."""
    return _INCLUDE.findall(text)


def is_of_the_site_only(text: str) -> bool:
    """Whether a page shows what stands elsewhere, so that the repository's own index need not have it."""
    return bool(_INCLUDE.search(text) or _GENERATED.search(text))


def _target(name: str, target: str, page: str, folders: frozenset[str], *, image: bool) -> str:
    path, hash_, anchor = target.partition("#")
    if not path or "://" in target or target.startswith("mailto:"):
        return target
    there = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
    there = SITE_PAGES.get(there, there)
    if image or there.startswith("docs/"):
        return posixpath.relpath(there, posixpath.dirname(page)) + hash_ + anchor
    kind = "tree" if there in folders else "blob"
    return f"{REPOSITORY}/{kind}/main/{there}{hash_}{anchor}"
