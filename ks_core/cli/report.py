"""`ks report RESULTS…`: one page of what was measured, or of several runs side by side."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ks_core.cli.arguments import Add
from ks_core.cli.output import check_json, declare_output, write_json
from ks_core.command import path

if TYPE_CHECKING:
    from ks_core.claims.finding import Finding
    from ks_core.claims.summing import Sum
    from ks_core.reporting.stored_results import StoredResults

HELP = "make one page of a run's results, or of several side by side"

DESCRIPTION = (
    "Make report.html of one or several results.json: which claims hold, which facts are most entangled, figures and "
    "tables; several runs begin with a leaderboard. The page is one file and needs no network."
)

EXAMPLES = ("ks report ks-results/gpt2", "ks report ks-results --out all.html")

FINDING = ""

FORM = "ks_core/report/1"


def declare(add: Add) -> None:
    """The arguments."""
    add(
        "results", metavar="RESULTS", nargs="+", type=path,
        help="a results.json, the folder that holds it, or a folder of such folders",
    )  # fmt: skip
    add("--out", metavar="FILE", type=path, default=path("report.html"), help="the page (default: %(default)s)")
    declare_output(add, "write what each claim comes to in each run to FILE")


def execute(options: argparse.Namespace) -> int:
    """Read, write the page, say where it is."""
    from ks_core.errors import InputError
    from ks_core.formatting import shown_path
    from ks_core.reporting.page.report import report, stored

    check_json(options.json, {f"RESULTS {of}": of for of in options.results})
    if options.json is not None and options.json.resolve() == options.out.resolve():
        raise InputError(f"--json is {shown_path(options.json)}, as is --out; expected two files: name another")
    results = stored(options.results)
    page = report(results, options.out)
    write_json(options.json, FORM, {"page": str(page), "runs": [_told(of) for of in results]})
    print(f"report: {shown_path(page)}")
    return 0


def _told(results: StoredResults) -> dict[str, Any]:
    from ks_core.claims.summing import sums_of

    sums = sums_of(results.findings, results.content["not_judged"])
    claims = {of.name: _sum(of) for of in sums}
    return {"results": str(results.path), "model": results.model, "claims": claims}


def _sum(of: Sum) -> dict[str, Any]:
    """A claim: the number that its verdict rests on, then those of all its parts."""
    weakest = of.weakest
    if weakest is None:
        return {"verdict": None, "reason": of.reason}
    return {**_part(weakest), "parts": [_part(finding) for finding in of.findings]}


def _part(finding: Finding) -> dict[str, Any]:
    """A number: what the page and the terminal say of it."""
    from ks_core.claims.deciding import what_would_decide
    from ks_core.claims.summing import distance
    from ks_core.reporting.words import how_far, requirement

    judged = finding.judged
    return {
        "verdict": finding.verdict.value,
        "finding": finding.id,
        "value": finding.value,
        "error": finding.error,
        "unit": finding.unit,
        "count": finding.count,
        "counted": finding.counted,
        "required": requirement(judged.bound),
        "distance": distance(finding),
        "how_far": how_far(finding),
        "interval": judged.interval,
        "all_at_once": judged.familywise if finding.is_of_all_at_once else None,
        "would_decide": what_would_decide(finding),
    }
