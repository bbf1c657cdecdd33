"""What a page carries inside itself: data, scripts and styles, so that it needs no network and runs nothing foreign."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ks_core.formatting import printable

FOLDER = Path(__file__).with_name("templates")

SCRIPTS = ("theme.js", "tables.js", "heatmap.js", "charts.js", "start.js")
"""Of the page, in the order in which they run."""

_ESCAPES = {ord(of): f"\\u{ord(of):04x}" for of in "<>&\u2028\u2029"}


def json_text(value: Any) -> Markup:
    r"""A value as JSON that can stand in a `<script>`: nothing in it ends the element or begins a comment.

    Every text is shown as it is by `printable`: names and facts are other people's.

    Example:
        >>> print(json_text({"fact": "</script><b>"}))
        {"fact":"\u003c/script\u003e\u003cb\u003e"}
    """
    text = json.dumps(_printable(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_ESCAPES))  # noqa: S704  # escaped in the line itself


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(name): _printable(of) for name, of in value.items()}
    return [_printable(of) for of in value] if isinstance(value, (list, tuple)) else value


def scripts() -> tuple[Markup, ...]:
    """The scripts of a page: the plotting library, then the page's own, as they stand between the tags."""
    from vl_convert import javascript_bundle

    library = javascript_bundle()  # type: ignore[call-arg]  # its stub knows no default
    own = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return tuple(map(_script, (library, own)))


def _script(text: str) -> Markup:
    """A script that does not end its element: `<` before what HTML looks for is written as its escape."""
    safe = re.sub(r"<(?=/script|!--)", r"\\x3c", text.replace("\r", ""), flags=re.IGNORECASE)
    return Markup(safe)  # noqa: S704  # ours, or the plotting library's


def styles() -> Markup:
    """The style sheet."""
    return Markup((FOLDER / "page.css").read_text(encoding="utf-8"))  # noqa: S704  # ours


def policy(of: tuple[Markup, ...]) -> str:
    """The Content-Security-Policy of a page: no network, and no script but these.

    Args:
        of: the scripts, as they stand between the tags.

    The styles are inline without a hash, as the plotting library adds some. Expressions of charts are interpreted, so
    that nothing is evaluated.
    """
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in of)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
