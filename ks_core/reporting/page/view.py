"""What the template shows of one run, everything in words and tables already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ks_core.reporting.page import entangled
from ks_core.reporting.page.again import commands_of
from ks_core.reporting.page.answers import ClaimAnswer, answers_of, summary, unasked_of
from ks_core.reporting.page.figure import Heatmap, PageFigure
from ks_core.reporting.page.figures.every import figures_of
from ks_core.reporting.page.figures.heatmap import heatmap_of
from ks_core.reporting.page.tables import Table, methods_table, plain_table, statistics_tables
from ks_core.reporting.pairs_file import missing_pairs
from ks_core.reporting.stored_results import StoredResults

HEATMAP_BYTES = 3_200_000
"""Of all heatmaps of a page, as text: with the plotting library (0.9 MB) and its tables the page of a run stays below
5 MB. Of several runs each adds about 0.6 MB of charts and tables."""

MACHINE = ("machine", "libraries", "ks_core", "dtype")
"""Fields of the provenance that say where a run was made; the others say of what."""


@dataclass(frozen=True)
class RunView:
    """One run of the page.

    Attributes:
        key: prefix of its ids
        name: of its model, and a number where several runs are of one model
        unasked: what the claims say that were no part of the run
        entangled: the facts that disturb each other most; none where the results have no matrices
        missing: what the page does not show of it, and why
    """

    key: str
    name: str
    summary: str
    hottest: str
    answers: tuple[ClaimAnswer, ...]
    unasked: tuple[str, ...]
    entangled: tuple[entangled.EntangledRow, ...]
    heatmap: Heatmap | None
    figures: tuple[PageFigure, ...]
    methods: Table | None
    statistics: tuple[Table, ...]
    settings: Table
    inputs: Table
    machine: Table
    seconds: Table
    commands: tuple[str, str]
    missing: tuple[str, ...]

    @property
    def judged(self) -> tuple[ClaimAnswer, ...]:
        """Claims with a verdict."""
        return tuple(of for of in self.answers if of.parts)

    @property
    def not_judged(self) -> tuple[ClaimAnswer, ...]:
        """Claims without."""
        return tuple(of for of in self.answers if not of.parts)

    @property
    def data(self) -> dict[str, Any]:
        """What the scripts draw."""
        return {
            "heatmap": None if self.heatmap is None else asdict(self.heatmap),
            "figures": {of.name: _plain(of.spec) for of in self.figures},
        }


def views_of(results: Sequence[StoredResults]) -> tuple[RunView, ...]:
    """A view each; heatmaps of the first runs, as far as there is room for them.

    A run whose matrices are not beside it is shown without what is drawn of them, and says so.

    Raises:
        InputError: matrices that are there, and damaged or of another run.
    """
    views, room = [], HEATMAP_BYTES
    for place, (of, name) in enumerate(zip(results, names_of(results), strict=True)):
        gone = missing_pairs(of.path, of.content["matrices"])
        of = of if gone is None else _without_matrices(of)
        heatmap = heatmap_of(of)
        fits = heatmap is not None and len(heatmap.values) <= room
        room -= len(heatmap.values) if heatmap is not None and fits else 0
        missing = _missing(of, heatmap, gone, fits=fits)
        views.append(_view(of, name, f"run{place + 1}", heatmap if fits else None, missing))
    return tuple(views)


def names_of(results: Sequence[StoredResults]) -> tuple[str, ...]:
    """What each run is called: the last part of its model, with a number where that comes more than once."""
    short = [of.model.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1] or of.model for of in results]
    return tuple(
        f"{name} ({short[: place + 1].count(name)})" if short.count(name) > 1 else name
        for place, name in enumerate(short)
    )


def _view(results: StoredResults, name: str, key: str, heatmap: Heatmap | None, missing: tuple[str, ...]) -> RunView:
    answers = answers_of(results)
    content, provenance = results.content, results.provenance
    origin, pairs = content["facts"]["origin"], entangled.pairs_of(results)
    return RunView(
        key=key,
        name=name,
        summary=summary(results, name),
        hottest=entangled.hottest_sentence(pairs),
        answers=answers,
        unasked=unasked_of(results),
        entangled=entangled.rows_of(pairs),
        heatmap=heatmap,
        figures=tuple(figures_of(results)),
        methods=methods_table(results),
        statistics=statistics_tables(results),
        settings=plain_table("settings", "What was asked for", results.settings.items()),
        inputs=plain_table(
            "inputs",
            "What was read, with its hashes",
            [*((of, value) for of, value in provenance.items() if of not in MACHINE), ("facts' origin", origin)],
        ),
        machine=plain_table("machine", "Where it ran", [(of, provenance[of]) for of in MACHINE if of in provenance]),
        seconds=plain_table("seconds", "Seconds of each part", seconds_of(results)),
        commands=commands_of(content, str(results.path)),
        missing=missing,
    )


def seconds_of(results: StoredResults) -> list[tuple[str, str]]:
    """What took how long, the pairs and then the streams."""
    found = list(results.content["seconds"].items())
    for part, of in (results.content["editing"] or {}).items():
        found += [(f"{part}: {name}", value) for name, value in ((of or {}).get("seconds") or {}).items()]
    return [(name, "–" if value is None else f"{value:,.1f}") for name, value in found]


def _without_matrices(results: StoredResults) -> StoredResults:
    return replace(results, content=MappingProxyType({**results.content, "matrices": None}))


def _missing(results: StoredResults, heatmap: Heatmap | None, gone: Path | None, *, fits: bool) -> tuple[str, ...]:
    said = []
    if gone is not None:
        said.append(
            f"The matrices of this run are not there: {gone.name} is not beside its {results.path.name}. So there is "
            "no heatmap, no table of the most entangled facts and no chart of densities or angles: put that file back, "
            "or measure again."
        )
    elif heatmap is None:
        said.append(
            f"The matrices of this run are not there (its results are of {results.format}): no heatmap and no table of "
            "the most entangled facts. Measure again to have them."
        )
    elif not fits:
        said.append("The heatmap of this run is left out, to keep the page small: make a page of this run alone.")
    if not results.content["editing"]:
        said.append("No edits were made in this run: nothing is shown of methods.")
    return tuple(said)


def _plain(value: Any) -> Any:
    if hasattr(value, "items"):
        return {name: _plain(of) for name, of in value.items()}
    return [_plain(of) for of in value] if isinstance(value, (list, tuple)) else value
