"""How a figure becomes a file, and what all figures have in common: style, labels, colours."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from ks_core.formatting import printable, shortened
from ks_core.outputs import output_path

STYLE: Any = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "text.usetex": False}
"""Of all figures; whoever sets TeX for his own would have it read other people's names."""

NAME_IN_TITLE = 48
"""Characters of a name that a title has room for."""

Drawings = Mapping[str, Callable[[], Figure]]
"""File name → what draws the figure."""


def save_figures(folder: Path, drawings: Drawings) -> tuple[list[Path], list[str]]:
    """Draw and write figures by file name, each whole or not at all.

    A figure that cannot be drawn or written is no reason to lose the others, or what was measured.

    Returns:
        The paths that were written, and one line for each figure that was not.
    """
    paths, problems = [], []
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # Filters that turn warnings into errors are for tests; that a font lacks a glyph need not even be said.
        warnings.simplefilter("default")
        warnings.simplefilter("ignore", UserWarning)
        for name, draw in drawings.items():
            try:
                figure = draw()
                with output_path(folder / name) as made:
                    figure.savefig(made, dpi=150, format="png")
                paths.append(folder / name)
            except Exception as error:
                problems.append(f"figure {name} was not drawn: {type(error).__name__}: {error}")
    return paths, problems


def as_label(name: str) -> str:
    """A name as matplotlib is to show it: on one line, of a length that fits, no part of it taken for a formula.

    Example:
        >>> print(as_label("costs_$5^2"))
        costs_\\$5^2
    """
    return shortened(printable(name), NAME_IN_TITLE).replace("$", r"\$")


def colours(count: int) -> list[str]:
    """So many colours that can be told apart, dark to light."""
    return [matplotlib.colors.to_hex(colormaps["viridis"](place)) for place in np.linspace(0, 0.9, count)]
