"""Docstrings of the project as reStructuredText: formulas and tables as they are, and no character that is markup.

They are written to be read in a terminal: what is indented stands as it is, a name is between single backticks, and
`|x|`, `*` or `x_` mean themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Warns|Yields|Numerics|Example):$")
_CODE_SPAN = re.compile(r"(`[^`]*`)")
_MARKUP = re.compile(r"[*|\\]|(?<=\w)_(?!\w)|--(?=\w)")


def as_rst(lines: Sequence[str]) -> list[str]:
    """A docstring, line by line, for a parser of reStructuredText and of the sections of a Google-style docstring.

    Example:
        >>> as_rst(["Length of `x`.", "", "    |x| = x_*", "", "Args:", "    x: any x_, or *."])
        ['Length of `x`.', '', '::', '', '    |x| = x_*', '', 'Args:', '    x: any x\\\\_, or \\\\*.']
    """
    made: list[str] = []
    section = ""
    for block in _blocks(lines):
        first = block[0]
        if found := _SECTION.match(first):
            section = found[1]
        elif first.strip() and not first.startswith(" "):
            section = ""
        if _is_verbatim(block, section):
            indent = " " * (4 if section else 0)
            made += [f"{indent}::", "", *block]
        else:
            prompt = next((n for n, line in enumerate(block) if line.lstrip().startswith(">>>")), len(block))
            made += _escaped("\n".join(block[:prompt])).split("\n") if prompt else []
            made += block[prompt:]  # a doctest, which the parser knows, ends with the run
    return made


def _blocks(lines: Sequence[str]) -> Iterator[list[str]]:
    """Runs of lines without a blank one between them; each blank line is a run of its own."""
    run: list[str] = []
    for line in lines:
        if line.strip():
            run.append(line)
            continue
        if run:
            yield run
        run = []
        yield [""]
    if run:
        yield run


def _is_verbatim(block: Sequence[str], section: str) -> bool:
    """Whether a run stands as it is: indented where the text around it is not, and no doctest."""
    text = block[0].lstrip()
    return bool(text) and not text.startswith(">>>") and len(block[0]) - len(text) > (4 if section else 0)


def _escaped(text: str) -> str:
    parts = _CODE_SPAN.split(text)  # a span may go on in the next line
    return "".join(part if place % 2 else _MARKUP.sub(r"\\\g<0>", part) for place, part in enumerate(parts))
