"""Tables of a page as values: columns, and cells that know by what they are sorted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ks_core.formatting import plus_minus
from ks_core.reporting.stored_results import SETS, StoredResults


@dataclass(frozen=True)
class Cell:
    """A text, and what it is sorted by where that is a number."""

    text: str
    key: float | None = None

    @property
    def sort(self) -> str:
        """The key as HTML has it; empty where there is none."""
        return "" if self.key is None or not math.isfinite(self.key) else repr(float(self.key))


@dataclass(frozen=True)
class Table:
    """Rows under named columns.

    Attributes:
        name: its id in the page
        caption: what it shows
        numbers: of the columns, those that hold numbers
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: frozenset[str] = frozenset()


def number(value: float | None, error: float | None = None) -> Cell:
    """A number with its error, sorted by value; a dash where there is none.

    Example:
        >>> number(0.5, 0.02).text, number(None).text, number(3.14159).text
        ('0.500 ± 0.020', '–', '3.142')
    """
    if value is None:
        return Cell("–")
    return Cell(f"{value:.4g}" if error is None else plus_minus(value, error), value)


def plain_table(name: str, caption: str, rows: Iterable[tuple[str, Any]]) -> Table:
    """Names beside values, as settings are shown."""
    return Table(name, caption, ("what", "value"), tuple((Cell(what), Cell(in_words(value))) for what, value in rows))


def in_words(value: Any) -> str:
    """A value of JSON as a reader wants it.

    Example:
        >>> in_words((1, 2)), in_words(None), in_words({"torch": "2.13"}), in_words(131072)
        ('1, 2', '–', 'torch 2.13', '131,072')
    """
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {of}" for name, of in value.items())
    if isinstance(value, tuple):
        return ", ".join(map(in_words, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


SCORES = {
    "efficacy": "efficacy",
    "paraphrase": "paraphrase",
    "neighbourhood": "locality",
    "retention": "retention",
    "log-perplexity rise": "rise of log-perplexity",
}
"""Score of a stream in results.json → its column."""


def last_scores(results: StoredResults) -> dict[str, tuple[int, Mapping[str, Any]]]:
    """Method, or anyone's editor, → how many edits its stream made, and its scores after the last."""
    stream = (results.content["editing"] or {}).get("stream") or {}
    methods = stream.get("methods") or {}
    return {name: (looks[-1]["edits"], looks[-1]["scores"]) for name, looks in methods.items() if looks}


def score_cells(scores: Mapping[str, Any]) -> tuple[Cell, ...]:
    """The scores in the order of `SCORES`."""
    found = (scores.get(name) for name in SCORES)
    return tuple(number(None) if of is None else number(of["value"], _nan(of["error"])) for of in found)


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


def methods_table(results: StoredResults) -> Table | None:
    """Each method of editing after the last edit of its stream; None where no streams were run."""
    rows = tuple(
        (Cell(name), Cell(f"{edits:,}", edits), *score_cells(scores))
        for name, (edits, scores) in last_scores(results).items()
    )
    columns = ("method", "edits", *SCORES.values())
    caption = (
        "Scores after the last edit of a stream. Retention: p(new) − p(true) of the first quarter of the edits; "
        "locality: prompts about other facts whose answer stays the more probable."
    )
    return Table("methods", caption, columns, rows, frozenset(columns[1:])) if rows else None


def statistics_tables(results: StoredResults) -> tuple[Table, ...]:
    """A table for each matrix and set of facts: layers down, statistics across."""
    return tuple(
        _statistics(matrix, by_name, results.content["layers"], part)
        for part in SETS
        for matrix, by_name in results.content[part].items()
    )


def _statistics(matrix: str, by_name: Mapping[str, Any], layers: Iterable[int], part: str) -> Table:
    rows = tuple(
        (
            Cell(str(layer), layer),
            *(
                number(of["value"][place], _nan(of["error"][place])) if of["value"][place] is not None else number(None)
                for of in by_name.values()
            ),
        )
        for place, layer in enumerate(layers)
    )
    columns = ("layer", *(name.replace("_", " ") for name in by_name))
    of_facts = "all measured facts" if SETS[part] == "all" else "one fact per subject"
    caption = f"{matrix.replace('_', ' ')}, {of_facts}: value ± error over facts and text"
    return Table(f"{part}-{matrix}", caption, columns, rows, frozenset(columns))
