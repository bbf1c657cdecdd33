"""What the page shows as a figure: a chart with its words, or a heatmap of all layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PageFigure:
    """One chart of the page with the words that stand for it.

    Attributes
    ----------
    name
        Id of its section, for example ``"kurtosis"``.
    title
        A few words above it.
    caption
        What is seen, of how many, with which errors; plain text.
    alternative
        The text alternative: what the chart shows in a sentence or two, with its numbers.
    spec
        A Vega-Lite specification with its data inline and the width ``"container"``. It names no colours of text,
        axes or background: the page's theme, light or dark, has them.
    """

    name: str
    title: str
    caption: str
    alternative: str
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class Heatmap:
    """Superposition P of the shown facts with one another, in every layer, as the page carries it.

    Attributes
    ----------
    layers
        Numbers of the layers, in the order of the first axis of ``values``.
    facts
        Label of each shown fact, in the shown order: sorted by relation and object.
    relations
        Relation of each shown fact.
    scale
        P = value / scale.
    values
        Base64 of little-endian int16, shape (layers, n, n), n <= 256; row i = the edited fact. What is beyond the
        range of int16 is clipped to it.
    caption
        What is seen, of how many facts; plain text.
    alternative
        The text alternative.
    """

    layers: tuple[int, ...]
    facts: tuple[str, ...]
    relations: tuple[str, ...]
    scale: float
    values: str
    caption: str
    alternative: str
