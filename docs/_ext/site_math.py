"""Formulas as MathML, by the converter that docutils brings: they show without a network and without a script."""

from __future__ import annotations

from html import escape
from typing import Any

from docutils.utils.math.latex2mathml import tex2mathml


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
    translator.body.append(mathml(node.astext()))
    _skip()


def visit_block(translator: Any, node: Any) -> None:
    """Write a formula of its own, which scrolls where it is wider than the page."""
    tex = node.astext()
    if "\\\\" in tex and "\\begin" not in tex:
        tex = f"\\begin{{aligned}}{tex}\\end{{aligned}}"
    anchor = f' id="{escape(node["ids"][0])}"' if node["ids"] else ""
    translator.body.append(f'<div class="math" tabindex="0" role="group"{anchor}>{mathml(tex, block=True)}</div>\n')
    _skip()


def _skip() -> None:
    from docutils.nodes import SkipNode

    raise SkipNode
