"""`ks report RESULTS…`: one page of what was measured, or of several runs side by side."""

from __future__ import annotations

import argparse

from ks_core.cli.arguments import Add
from ks_core.cli.output import check_json, declare_output, write_json
from ks_core.command import path

HELP = "make one page of a run's results, or of several side by side"

DESCRIPTION = (
    "Make an HTML page of one or several results.json: which claims hold, which facts are most entangled, figures and "
    "tables; several runs begin with a leaderboard. The page is one file and needs no network."
)

EXAMPLES = (
    "ks report ks-results/gpt2",
    "ks report ks-results other/results.json --out all.html",
)

FINDING = ""

FORMAT = "ks_core/report/1"


def declare(add: Add) -> None:
    """The arguments."""
    add(
        "results",
        metavar="RESULTS",
        nargs="+",
        type=path,
        help="a results.json, the folder that holds it, or a folder of such folders",
    )
    add("--out", metavar="FILE", type=path, default=path("report.html"), help="the page (default: %(default)s)")
    declare_output(add, "write what the page is of, and each claim's verdict, to FILE")


def execute(options: argparse.Namespace) -> int:
    """Read, write the page and the file, say where it is."""
    from ks_core.errors import InputError
    from ks_core.formatting import shown_path
    from ks_core.reporting.page.answers import answers_of
    from ks_core.reporting.page.report import runs_of
    from ks_core.reporting.page.write import write_page

    check_json(options.json, {f"RESULTS {of}": of for of in options.results})
    if options.json is not None and options.json.resolve() == options.out.resolve():
        raise InputError(f"--json is {shown_path(options.json)}, as is --out; expected two files: name another")
    runs = runs_of(options.results, options.out, "--out")
    write_page(options.out, runs)
    told = [
        {"model": of.model, "results": str(of.path), "claims": {one.name: one.verdict for one in answers_of(of)}}
        for of in runs
    ]
    write_json(options.json, FORMAT, {"page": str(options.out), "runs": told})
    print(f"report: {shown_path(options.out)}")
    return 0
