"""Long streams as tables for the terminal: what each method keeps and breaks, foretold and measured, and where."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ks_core.experiments.lifelong.look import Curve
from ks_core.experiments.lifelong.measurement import Acting, Lifelong
from ks_core.experiments.lifelong.scores import watched_scores
from ks_core.formatting import plus_minus, printable, shortened
from ks_core.reporting.screen import columns, padded
from ks_core.statistics.means import Mean, mean_of

PERCENT = 100.0

COLUMNS: tuple[tuple[str, str, float], ...] = (
    ("p(new) %", "p(new)", PERCENT),
    ("retention %", "retention", PERCENT),
    ("efficacy %", "efficacy", PERCENT),
    ("paraphrase %", "paraphrase", PERCENT),
    ("neighbourhood %", "neighbourhood", PERCENT),
    ("watched halved %", "watched halved", PERCENT),
    ("watched tail", "watched tail", 1.0),
    ("log-perplexity", "log-perplexity rise", 1.0),
    ("‖ΔW‖/‖W‖", "growth", 1.0),
)
"""Heading, score by its name in `scores.SCORES`, and what it is multiplied by."""

ROUNDING = 1e-9
"""Of a number: far above what float64 leaves of sums of millions, far below any error over facts."""

NAME = 40
"""Characters of a method's name: other people's editors are named by their import paths."""

REASON = 140
"""Characters of why a method failed."""


class Row(NamedTuple):
    """Cells under headings, and text behind them that no column makes room for."""

    cells: Sequence[str]
    more: str = ""


def lifelong_tables(measured: Lifelong, width: int | None = None) -> list[str]:
    """Lines: methods by the number of edits, other settings of them, forecasts, where edits act, what the words mean.

    Whatever was not measured (no forecast, no other settings) has no lines. Rows that are wider than `width` columns
    are sentences, see `table`.
    """
    defaults = [curve for curve in measured.curves if curve.is_default]
    others = [curve for curve in measured.curves if not curve.is_default]
    blocks = {
        "what a method's name does not say": [f"{name}: {told}" for name, told in measured.details.items()],
        "methods as published, or as recommended": _methods(measured, defaults, width),
        "other settings": _methods(measured, others, width),
        "watched facts of the edits' own relations and of others apart, after all edits": _apart(
            measured, defaults, width
        ),
        "foretold from a sample of the edits, beside measured": _forecasts(measured, width),
        "where edits act: watched facts, with the edits felt at these tokens of their prompts alone": _acting(
            measured, width
        ),
    }
    told = [line for title, lines in blocks.items() if lines for line in (title, *lines, "")]
    return [*_made_of(measured), "", *told, *MEANINGS]


MEANINGS = (
    "± is one standard error: spread between orders (samples of a forecast) and over facts, texts for perplexity, "
    "together.",
    "p(new): probability of the new object a token. retention: the same of the first quarter of the edits, or of those "
    "made so far.",
    "efficacy, paraphrase, neighbourhood: shares of prompts where the wanted one of two objects is ahead.",
    "watched halved: share of facts that no edit is for whose own object has lost half of its probability a token, or "
    "more.",
    "watched tail: what the tenth that loses most loses on average; it and the rise of log-perplexity are in nats a "
    "token.",
)
"""What headings and ± stand for."""


def _made_of(measured: Lifelong) -> list[str]:
    plan, texts = measured.plan, len(measured.text_lengths)
    reached, read = shown(mean_of(measured.reached), PERCENT), measured.before[0]
    asked = {name: len(getattr(read, name).lead) for name in ("early", "later", "paraphrase", "neighbourhood")}
    lines = [
        f"long streams in layer {plan.layer}: {len(plan.edits)} edits in {len(plan.orders)} orders (other settings in "
        f"the first), retention of {plan.early}; values put in reach p(new) {reached} %",
        f"watched: {len(plan.watched)} facts that no edit is for ({len(plan.near)} of the edits' relations, "
        f"{len(plan.far)} of others), and {texts} held-out texts",
        f"read of the edits: {asked['early']} of the first quarter and {asked['later']} of the others, with "
        f"{asked['paraphrase']} paraphrases and {asked['neighbourhood']} prompts of the neighbourhood",
    ]
    if measured.simulated:
        worst = max(measured.simulated.values())
        return [*lines, f"simulated and really made edits differ at a watched fact by {worst:.1e} nats at most"]
    return lines


def _methods(measured: Lifelong, curves: Sequence[Curve], width: int | None) -> list[str]:
    rows = [row for count in measured.plan.frontier for curve in curves for row in _rows(measured, curve, count)]
    return table(["edits", "method", *(heading for heading, _, _ in COLUMNS)], rows, width)


def _rows(measured: Lifelong, curve: Curve, count: int) -> list[Row]:
    """After so many edits: the scores of a method, and why some orders are missing, where some are."""
    looks = curve.at(count)
    name = [str(count), _name(curve.name)]
    scores = measured.scores(curve, count) if looks else {}
    cells = [name + [shown(scores[score], times) for _, score, times in COLUMNS]] if looks else []
    failed = curve.failed if len(looks) < max(1, len(curve.looks)) else ""
    some = f" ({len(looks)} of {len(curve.looks)} orders got here)" if looks else ""
    return [Row(of) for of in cells] + ([Row(name, f"failed{some}: {_reason(failed)}")] if failed else [])


def _apart(measured: Lifelong, curves: Sequence[Curve], width: int | None) -> list[str]:
    scores = {"watched halved": PERCENT, "watched change": 1.0}
    headings = ["edits", "method", *(f"{name}{' %' if times > 1 else ''}, {which}" for name, times in scores.items()
                                     for which in ("own", "other"))]  # fmt: skip
    end, rows = len(measured.plan.edits), []
    for curve in curves:
        if curve.at(end):
            found = apart_scores(measured, curve, end)
            cells = [shown(found[which][name], times) for name, times in scores.items() for which in ("near", "far")]
            rows.append(Row([str(end), _name(curve.name), *cells]))
    return table(headings, rows, width)


def apart_scores(measured: Lifelong, curve: Curve, count: int) -> dict[str, dict[str, Mean]]:
    """The scores of the near and of the far watched facts after so many edits."""
    parts = {"near": slice(0, len(measured.plan.near)), "far": slice(len(measured.plan.near), None)}
    standings, before = [look.watched for look in curve.at(count)], measured.before[0].watched
    return {name: watched_scores([of.at(part) for of in standings], before.at(part)) for name, part in parts.items()}


def _forecasts(measured: Lifelong, width: int | None) -> list[str]:
    scores = ("retention", "watched halved")
    headings = [
        "edits",
        "method",
        "sample",
        *(f"{score} %, {kind}" for score in scores for kind in ("foretold", "measured")),
    ]
    rows = []
    for forecast in measured.forecasts:
        real = [curve for curve in measured.curves if curve.method == forecast.method and curve.is_default]
        for count in forecast.curve.counts:
            foretold = measured.foretold(forecast, count)
            found = measured.scores(real[0], count) if real and real[0].at(count) else {}
            pairs = [of for score in scores for of in (foretold[score], found.get(score))]
            cells = ["none" if of is None else shown(of, PERCENT) for of in pairs]
            rows.append(Row([str(count), _name(forecast.method), str(forecast.sample), *cells]))
        if forecast.curve.failed:
            rows.append(Row(["", _name(forecast.method), str(forecast.sample)], _reason(forecast.curve.failed)))
    return table(headings, rows, width)


def _acting(measured: Lifelong, width: int | None) -> list[str]:
    places = ("everywhere", "at_subject", "elsewhere")
    headings = ["edits", "method", *(f"halved %, {place.replace('_', ' ')}" for place in places),
                *(f"mean change, {place.replace('_', ' ')}" for place in places)]  # fmt: skip
    rows = []
    for acting in measured.acting:
        scores = acting_scores(measured, acting)
        halved = [shown(scores[place]["watched halved"], PERCENT) for place in places]
        change = [shown(scores[place]["watched change"]) for place in places]
        rows.append(Row([str(acting.edits), _name(acting.method), *halved, *change]))
    return table(headings, rows, width)


def acting_scores(measured: Lifelong, acting: Acting) -> dict[str, dict[str, Mean]]:
    """The scores of the watched facts by where the edits act: everywhere, at_subject, elsewhere."""
    before = measured.before[0].watched
    standings = {"everywhere": acting.everywhere, "at_subject": acting.at_subject, "elsewhere": acting.elsewhere}
    return {place: watched_scores([standing], before) for place, standing in standings.items()}


def shown(score: Mean, times: float = 1.0) -> str:
    """A score with its error; none over no facts. What differs between orders by rounding alone does not differ.

    Example:
        >>> shown(Mean(0.52, 0.031, 100), PERCENT), shown(Mean(float("nan"), float("nan"), 0))
        ('52.0 ± 3.1', 'none')
    """
    if not math.isfinite(score.value):
        return "none"
    error = 0.0 if score.error < ROUNDING * abs(score.value) else score.error
    return plus_minus(times * score.value, times * error)


def table(headings: Sequence[str], rows: Iterable[Row], width: int | None = None) -> list[str]:
    """Lines of a table whose columns are as wide as they need; none without rows.

    Where a line would have more than `width` columns each row becomes a sentence with the headings in it.

    Example:
        >>> table(["n", "name"], [Row(["10", "a"]), Row(["7", "b"], "failed")])
        ['n   name', '10  a', '7   b     failed']
        >>> table(["n", "name"], [Row(["10", "a"]), Row(["7", "b"], "failed")], width=10)
        ['n 10; name a', 'n 7; name b; failed']
    """
    all_rows = list(rows)
    if not all_rows:
        return []
    cells = [headings, *(row.cells for row in all_rows)]
    widths = [max(columns(of[place]) for of in cells if place < len(of)) for place in range(len(headings))]
    lines = [
        "  ".join([*(padded(cell, room) for cell, room in zip(of, widths, strict=False)), more]).rstrip()
        for of, more in zip(cells, ["", *(row.more for row in all_rows)], strict=True)
    ]
    if width is None or max(map(columns, lines)) <= width:
        return lines
    return ["; ".join([*_named(headings, row.cells), *filter(None, [row.more])]) for row in all_rows]


def _named(headings: Sequence[str], cells: Sequence[str]) -> list[str]:
    return [f"{heading} {cell}" for heading, cell in zip(headings, cells, strict=False) if cell]


def _name(name: str) -> str:
    return shortened(printable(name), NAME)


def _reason(reason: str) -> str:
    return shortened(printable(reason), REASON)
