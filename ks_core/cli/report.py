"""`ks report RESULTS…`: one page of what was measured, or of several runs side by side."""

from __future__ import annotations

import argparse

from ks_core.cli.arguments import Add
from ks_core.command import path

HELP = "make one page of a run's results, or of several side by side"

DESCRIPTION = (
    "Make report.html of one or several results.json: which claims hold, which facts are most entangled, figures and "
    "tables; several runs begin with a leaderboard. The page is one file and needs no network. Examples: "
    "ks report ks-results/gpt2; ks report ks-results --out all.html"
)


def declare(add: Add) -> None:
    """The arguments."""
    add(
        "results", metavar="RESULTS", nargs="+", type=path,
        help="a results.json, the folder that holds it, or a folder of such folders",
    )  # fmt: skip
    add("--out", metavar="FILE", type=path, default=path("report.html"), help="the page (default: %(default)s)")


def execute(options: argparse.Namespace) -> int:
    """Read, write the page, say where it is."""
    from ks_core.formatting import shown_path
    from ks_core.reporting.page.report import report

    print(f"report: {shown_path(report(options.results, options.out))}")
    return 0
