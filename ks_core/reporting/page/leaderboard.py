"""Several runs side by side: a row a run, and a row for each run and method of editing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import harmonic_mean
from typing import Any

from ks_core.claims.finding import Finding
from ks_core.reporting.page.answers import SYMBOLS, answers_of, counts_of
from ks_core.reporting.page.tables import SCORES, Cell, Table, last_scores, number, score_cells
from ks_core.reporting.stored_results import StoredResults

COLUMNS = (
    "run",
    "facts",
    "layers",
    "hold",
    "do not",
    "undecided",
    "spread of P",
    "kurtosis of P",
    "whitened cosine over chance",
    "P against dose",
)

SHARES = ("efficacy", "paraphrase", "neighbourhood")
"""Of the scores, those that ROME and MEMIT join to one: shares of prompts that are answered as they should be."""


def leaderboard(results: Sequence[StoredResults], names: Sequence[str]) -> Table:
    """A row a run: its claims, and the numbers by which models differ.

    Spread and kurtosis are means over the layers; their error is the mean of the layers' errors, which is no less than
    that of the mean: layers share facts and text.
    """
    caption = (
        "Spread (standard deviation) and excess kurtosis of P: mean over layers, with the mean of the layers' errors. "
        "Whitened cosine over chance: of the layer nearest to chance. P against dose: rank correlation of P and what a "
        "single edit does to other facts."
    )
    rows = tuple(_row(of, name) for of, name in zip(results, names, strict=True))
    return Table("leaderboard", caption, COLUMNS, rows, frozenset(COLUMNS[1:]))


def claims_of_runs(results: Sequence[StoredResults], names: Sequence[str]) -> Table:
    """A row a claim that any run judged: its verdict on each run."""
    answers = [{of.name: of for of in answers_of(run)} for run in results]
    every = {name: of for by_name in reversed(answers) for name, of in by_name.items()}
    rows = tuple(
        (Cell(of.headline), *(Cell(_verdict(by_name[name].verdict if name in by_name else "")) for by_name in answers))
        for name, of in every.items()
        if any(name in by_name and by_name[name].parts for by_name in answers)
    )
    return Table("claims-of-runs", "The verdict on each claim in each run", ("claim", *names), rows)


def _verdict(word: str) -> str:
    return f"{SYMBOLS[word]} {word}" if word else "–"


def methods_of_runs(results: Sequence[StoredResults], names: Sequence[str]) -> Table | None:
    """A row for each run and method, or anyone's editor, the best score first; None where no run has streams."""
    rows = [
        (
            Cell(name),
            Cell(method),
            Cell(f"{edits:,}", edits),
            number(*(score_of(scores) or (None,))),
            *score_cells(scores),
        )
        for of, name in zip(results, names, strict=True)
        for method, (edits, scores) in last_scores(of).items()
    ]
    columns = ("run", "method", "edits", "score", *SCORES.values())
    score = columns.index("score")
    ranked = sorted(rows, key=lambda row: _falling(row[score]))
    caption = (
        "Methods of editing, and anyone's editors, after the last edit of their streams, the best score first. Score: "
        "harmonic mean of efficacy, paraphrase and locality, as in ROME and MEMIT; its error is as if the three erred "
        "together, an upper bound."
    )
    return Table("methods-of-runs", caption, columns, tuple(ranked), frozenset(columns[2:])) if rows else None


def score_of(scores: Mapping[str, Any]) -> tuple[float, float] | None:
    """The harmonic mean of efficacy, paraphrase and locality, and its error; None where one of them is no share.

    It rises with each, so half of the way from all one error lower to all one error higher bounds its error to first
    order, however the three depend on each other. An error that is unknown leaves it unknown (NaN).
    """
    found = [of for of in map(scores.get, SHARES) if of is not None and of["value"] is not None and of["value"] >= 0]
    if len(found) < len(SHARES):
        return None
    value = harmonic_mean([of["value"] for of in found])
    if any(of["error"] is None for of in found):
        return value, math.nan
    low, high = (harmonic_mean([max(of["value"] + side * of["error"], 0.0) for of in found]) for side in (-1, 1))
    return value, (high - low) / 2


def _falling(cell: Cell) -> float:
    return math.inf if cell.key is None else -cell.key


def _row(results: StoredResults, name: str) -> tuple[Cell, ...]:
    counts = counts_of(answers_of(results))
    facts = len(results.content["facts"]["measured_case_ids"])
    layers = len(results.content["layers"])
    return (
        Cell(name),
        *(Cell(f"{count:,}", count) for count in (facts, layers)),
        *(Cell(str(counts[verdict]), counts[verdict]) for verdict in ("holds", "does not hold", "undecided")),
        _mean(results, "std"),
        _mean(results, "kurtosis"),
        _found(results, "universal"),
        _found(results, "bound-pairs:dose"),
    )


def _mean(results: StoredResults, statistic: str) -> Cell:
    of = results.content["statistics"]["P"][statistic]
    values, errors = ([math.nan if one is None else one for one in of[part]] for part in ("value", "error"))
    value = math.fsum(values) / len(values) if values else math.nan
    return number(value if math.isfinite(value) else None, math.fsum(errors) / max(len(errors), 1))


def _found(results: StoredResults, name: str) -> Cell:
    found: list[Finding] = [of for of in results.findings if of.id == name]
    return number(found[0].value, found[0].error) if found else number(None)
