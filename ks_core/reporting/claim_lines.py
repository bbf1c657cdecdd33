"""The claims of a run for the terminal: one line each, what decides the undecided, and a short legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ks_core.claims.deciding import needed
from ks_core.claims.finding import Finding, Verdict
from ks_core.claims.published import NOT_COMPARED
from ks_core.claims.summing import Sum, count_of
from ks_core.formatting import plus_minus
from ks_core.reporting import words
from ks_core.reporting.claim_columns import LEAST_WIDE, Narrow, Row, Wide
from ks_core.reporting.screen import Line, Screen

ALL_PARTS = "each part with its layers, interval, n and references"


def claim_lines(sums: Sequence[Sum], screen: Screen, *, parts: bool = False) -> list[Line]:
    """One line a claim, in the order given; in few columns a second one, with the number.

    Args:
        sums: of the claims.
        screen: no line is longer than it is wide.
        parts: whether the parts of each claim follow it, with everything that is known of them.
    """
    blocks = [(_row(of, screen), _below(of, screen) if parts else []) for of in sums]
    rows = [row for row, below in blocks for row in (row, *(part for part, _ in below if part is not None))]
    layout = Wide(rows, screen) if screen.width >= LEAST_WIDE else Narrow(screen)
    lines = layout.heading()
    for row, below in blocks:
        lines += layout.lines(row)
        for part, details in below:
            lines += [] if part is None else layout.lines(part)
            indent = " " * (layout.details + (0 if part is None else part.indent))
            lines += [Line(line) for line in screen.wrapped(details, indent)] if details else []
    return lines


def legend(sums: Sequence[Sum], screen: Screen, *, more: str = "") -> list[Line]:
    """What the words and numbers of the lines mean, and where there is more: `-v`."""
    weakest = [of.weakest for of in sums if of.weakest is not None]
    told = [
        "± is one standard error, over facts and text together, and how far off is counted in it. A verdict rests on "
        "the interval: 95 % over facts, widened by twice the error over text."
    ]
    if any(part.is_of_all_at_once for of in sums for part in of.findings):
        told[0] = f"{told[0].removesuffix('.')}; {words.ALL_AT_ONCE}."
    if any(len(of.findings) > 1 for of in sums):
        named = [of for of in sums if _names_its_part(of)]
        told.append("(2 of 4): so many of a claim's parts hold; the number is that of the weakest")
        told[-1] += ", which is named" if named else ""
        told[-1] += "; +1: so many more have the same verdict." if any(len(of.resting) > 1 for of in named) else "."
    if any(of.verdict is Verdict.UNDECIDED for of in weakest):
        told.append("× the text, × the facts: so much, at least, would decide, if the number stays.")
    if any(not math.isfinite(of.error) for of in weakest):
        told.append("?: some sample leaves the number undefined.")
    told += [f"{more} shows {ALL_PARTS}."] if more else []
    return [Line(line) for line in screen.wrapped(screen.text(" ".join(told)))]


def last_line(sums: Sequence[Sum], model: str, screen: Screen) -> list[Line]:
    """How many claims hold on the model."""
    return [Line(line) for line in screen.wrapped(screen.text(count_of(sums, model)))]


def claims_text(sums: Sequence[Sum], model: str, screen: Screen, *, parts: bool = False, more: str = "") -> str:
    """All of it: lines, legend, and the count at the end."""
    lines = [*claim_lines(sums, screen, parts=parts), Line(""), *legend(sums, screen, more=more), Line("")]
    return screen.written([*lines, *last_line(sums, model, screen)])


def _row(of: Sum, screen: Screen) -> Row:
    weakest = of.weakest
    if weakest is None:
        reason = of.reason.removeprefix(f"{NOT_COMPARED}: ")
        return Row(None, _said(of, of.name, screen), "", ((screen.text(reason), ""),))
    known_as = of.name if of.name == weakest.quantity else f"{of.name}: {weakest.quantity}"
    named = _said_with_part(of, known_as, screen)
    parts = tuple(map(screen.text, _names(weakest))) if named else ()
    return replace(
        _part(weakest, screen), said=named + _said(of, known_as, screen), named=len(named), parts=parts, indent=0
    )


def _said(of: Sum, otherwise: str, screen: Screen) -> tuple[str, ...]:
    held = f" ({of.holding} of {len(of.findings)})" if len(of.findings) > 1 else ""
    return tuple(f"{screen.text(way)}{held}" for way in _sentences(of, otherwise))


def _sentences(of: Sum, otherwise: str) -> tuple[str, ...]:
    return tuple(filter(None, (of.sentence, of.short))) if of.sentence else (otherwise,)


def _names_its_part(of: Sum) -> bool:
    """Whether it must be said which part fails, or is undecided: what is claimed may still hold of the others."""
    return len(of.findings) > 1 and of.verdict is not Verdict.HOLDS


def _said_with_part(of: Sum, otherwise: str, screen: Screen) -> tuple[str, ...]:
    """The claim and the part that its number is of: `interference grows (2 of 3: linear)`; then without the count."""
    if of.weakest is None or not _names_its_part(of):
        return ()
    held, more = f"{of.holding} of {len(of.findings)}: ", f" +{len(of.resting) - 1}" if len(of.resting) > 1 else ""
    parts = _names(of.weakest)
    told = [*(f"{held}{part}{more}" for part in parts), *(f"{part}{more}" for part in parts), parts[-1]]
    return tuple(screen.text(f"{way} ({part})") for way in _sentences(of, otherwise) for part in told)


def _names(finding: Finding) -> tuple[str, ...]:
    """A part with its family and variant, and without."""
    whole = words.part(finding)
    return (whole, finding.part) if finding.part not in ("", whole) else (whole,)


def _below(of: Sum, screen: Screen) -> list[tuple[Row | None, str]]:
    """Parts of a claim, each with what is known of it; a claim of one part is its own line."""
    if not of.findings:
        return [(None, screen.text(of.reason))]
    found = [
        (_part(finding, screen) if len(of.findings) > 1 else None, screen.text(_details(finding)))
        for finding in of.findings
    ]
    return [*found, *([(None, screen.text(f"not tested: {of.untested}"))] if of.untested else [])]


def _part(finding: Finding, screen: Screen) -> Row:
    told = tuple((screen.text(held), screen.text(decides)) for held, decides in _told(finding))
    return Row(finding.verdict, (screen.text(words.part(finding)),), screen.text(_number(finding)), told, indent=2)


def _number(finding: Finding) -> str:
    return plus_minus(finding.value, finding.error).removesuffix(" ± 0")


def _told(finding: Finding) -> tuple[tuple[str, str], ...]:
    required, off = words.requirement(finding.judged.bound), words.how_far(finding)
    few = off.replace(" errors", "")
    needs = needed(finding)
    if needs is None:
        return (f"{required}, {off}", ""), (f"{required}, {few}", ""), (few, "")
    return (
        (f"{required}, {off}", needs.sentence),
        (f"{required}, {off}", needs.short),
        (f"{required}, {few}", needs.short),
        (few, needs.short),
        (few, needs.shortest),
        ("", needs.shortest),
    )


def _details(finding: Finding) -> str:
    """Everything else that is known of a number."""
    place = words.place(finding)
    layers = f"layer{'s' * (len(finding.layers) > 1)} {place}" if finding.layers else place
    told = [
        words.quantity(finding),
        layers,
        f"interval {words.interval(finding)}",
        f"{finding.count:,} {finding.counted}",
        words.references(finding),
        finding.tolerance and f"tolerance: {finding.tolerance}",
    ]
    return "; ".join(filter(None, told))
