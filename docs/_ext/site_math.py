"""Formulas as MathML, by the converter that docutils brings: they show without a network and without a script."""

from __future__ import annotations

from html import escape
from typing import Any

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging


def mathml(tex: str, *, block: bool = False) -> str:
    """A formula in MathML.

    Raises:
        docutils.utils.math.MathError: what the converter does not know.

    Example:
        >>> mathml("a_i").startswith("<math")
        True
    """
    return str(tex2mathml(tex.strip(), as_block=block))


def visit_inline(translator: Any, node: Any) -> None:
    """Write a formula within a sentence."""
    translator.body.append(_written(node, block=False))
    raise SkipNode


def visit_block(translator: Any, node: Any) -> None:
    """Write a formula of its own, which scrolls where it is wider than the page."""
    # A box that scrolls can be reached by keyboard.
    translator.body.append(f'<div class="math" tabindex="0" role="group">{_written(node, block=True)}</div>\n')
    raise SkipNode


def _written(node: Any, *, block: bool) -> str:
    """The formula; as it stands, with a warning, which a strict build takes for an error, where it cannot be made."""
    try:
        return mathml(node.astext(), block=block)
    except MathError as error:
        logging.getLogger(__name__).warning("a formula cannot be shown: %s", error, location=node, type="math")
        return f"<code>{escape(node.astext())}</code>"
