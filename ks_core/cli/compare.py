"""`ks compare A.json B.json`: two stored runs, of benchmarks or of what was measured."""

from __future__ import annotations

import argparse
import math
import sys

from ks_core.cli.arguments import Add
from ks_core.cli.output import declare_output
from ks_core.command import integer, path
from ks_core.formatting import one_line, shown

HELP = "compare two stored runs: benchmarks, or results"

DESCRIPTION = (
    "Compare two files that pytest-benchmark saved, two results.json, or two baselines. Times are compared on one "
    "machine only, ratios on any; numbers of science within their bands. '~': no difference beyond the errors; '?': no "
    "error is known. Exit status 1 where --fail is broken, 2 for files that cannot be compared."
)

EXAMPLES = (
    "ks compare before.json now.json",
    "ks compare main/results.json mine/results.json --fail 10% --json comparison.json",
)

FINDING = "what --fail allows is exceeded"


def declare(add: Add) -> None:
    """The arguments."""
    add("before", metavar="A.json", type=path, help="the first run")
    add("now", metavar="B.json", type=path, help="the second, of the same kind")
    add(
        "--fail",
        metavar="X%",
        type=percentage,
        help="exit 1 where a time or a ratio is worse by more than this, beyond its error; of results, where a number "
        "left its band or a verdict turned",
    )
    add("--strict", action="store_true", help="with --fail: what could not be compared does not pass either")
    add("--top", type=integer(0), default=10, metavar="N", help="findings that moved shown (default: %(default)s)")
    declare_output(add)


def percentage(text: str) -> float:
    """A type of argument: a percentage of 0 or more, as a part of one.

    Example:
        >>> percentage("10%"), percentage("2.5")
        (0.1, 0.025)
    """
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{shown(text)}; expected a percentage of 0 or more, such as 10%")
    return value / 100


def execute(options: argparse.Namespace) -> int:
    """Compare, write the file, print the page; complaints last, on standard error."""
    from ks_core.errors import InputError
    from ks_core.outputs import check_output
    from ks_core.reporting.runs.compare import compare
    from ks_core.reporting.runs.files import write_comparison
    from ks_core.reporting.runs.table import table

    if options.strict and options.fail is None:
        raise InputError("--strict is about what --fail does not let pass; expected --fail X% beside it")
    if options.json is not None:
        check_output("--json", options.json, {"A.json": options.before, "B.json": options.now})
    found = compare(options.before, options.now)
    complaints = [] if options.fail is None else found.complaints(options.fail, strict=options.strict)
    if options.json is not None:
        write_comparison(found, options.json, complaints)
    print(table(found, options.top))
    for complaint in complaints:
        print(f"ks compare: FAILED: {one_line(complaint)}", file=sys.stderr)
    return 1 if complaints else 0
