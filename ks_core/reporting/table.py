"""The claims of a run as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Finding, NotApplicable
from ks_core.claims.registry import CLAIMS
from ks_core.formatting import plus_minus, printable, shortened
from ks_core.reporting import words

COLUMNS = ("claim", "model", "layers", "measured ± error", "interval", "required", "reference", "verdict")

NAME_IN_TABLE = 48
"""Characters of a model's name that the table has room for."""


def claims_table(
    findings: Sequence[Finding],
    model: str,
    not_applicable: Mapping[str, NotApplicable] | None = None,
    claims: Iterable[Claim] = tuple(CLAIMS.values()),
) -> str:
    """Findings one row each, below it what was measured, and what was not judged, with the reason.

    The error is that over facts and text together; results.json has them apart.
    """
    rows = [_row(finding, model) for finding in findings]
    widths = [max(len(row[column]) for row in (COLUMNS, *rows)) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (COLUMNS, *rows)]
    rule = "  ".join("-" * width for width in widths)
    legend = [
        f"{row[0].ljust(widths[0])}  {printable(words.quantity(f))}; {f.count:,} {printable(f.counted)}"
        for row, f in zip(rows, findings, strict=True)
    ]
    open_ends = [
        f"{name.ljust(widths[0])}  not judged: {printable(of.reason)}" for name, of in (not_applicable or {}).items()
    ]
    open_ends += [
        f"{claim.name.ljust(widths[0])}  not tested: {claim.untested}"
        for claim in claims
        if claim.untested and claim.name in {f.claim for f in findings}
    ]
    return "\n".join([lines[0].rstrip(), rule, *map(str.rstrip, lines[1:]), "", *legend, *open_ends])


def _row(finding: Finding, model: str) -> tuple[str, ...]:
    cells = (
        finding.id,
        shortened(model, NAME_IN_TABLE),
        words.place(finding),
        plus_minus(finding.value, finding.error),
        words.interval(finding),
        words.required(finding.judged.bound),
        words.references(finding),
        finding.verdict.value,
    )
    return tuple(map(printable, cells))
