"""`ks diff BASE EDITED`: what someone did to a model, whoever it was."""

from __future__ import annotations

import argparse
import sys
import warnings

from ks_core import defaults
from ks_core.cli.arguments import Add, warn
from ks_core.cli.dry_run import declare_dry_run
from ks_core.cli.dry_run_patches import dry_run_of_diff
from ks_core.cli.output import declare_output
from ks_core.command import given, integer, integers, number
from ks_core.errors import InputError
from ks_core.formatting import one_line

HELP = "compare an edited model with its base, whoever edited it"

DESCRIPTION = (
    "Compare two models of one architecture, or an adapter with its base: which tensors differ and by how much, which "
    "facts' values move, and what becomes of answers and text. The exit status is 1 where a threshold is broken."
)

EXAMPLES = (
    "ks diff gpt2 edited-gpt2 --keep packaged",
    "ks diff toy my-edits --edits edits.json --only-layers 0 --json diff.json",
)

FINDING = "a limit of --fail-over, --fail-overtaken or --only-layers is broken"


def declare(add: Add) -> None:
    """The arguments."""
    add("base", metavar="BASE", type=given, help="packaged model, local folder or hub id")
    add("edited", metavar="EDITED", type=given, help="the same, or a local folder with an adapter for BASE")
    add("--edits", metavar="FILE", type=given, help="facts whose target_new was to become true")
    add("--keep", metavar="FILE", type=given, help="facts that were to stay; 'packaged': those that BASE knows")
    add("--corpus", type=given, help="text for second moments and perplexity, as --ks-corpus (default: none)")
    add("--tokens", type=integer(), default=defaults.TOKENS, help="of it for second moments (default: %(default)s)")
    add("--ridge", type=number, default=0.0, help="added to second moments, in mean eigenvalues (default: %(default)g)")
    add("--fail-over", type=number, metavar="NATS", help="exit 1 where a fact to keep loses more, a token")
    add("--fail-overtaken", type=integer(0), metavar="N", help="exit 1 where more facts to keep are overtaken")
    add("--only-layers", type=integers, metavar="L,L", help="exit 1 where a tensor outside these layers differs")
    add("--top", type=integer(0), default=5, metavar="N", help="tensors, facts and layers shown (default: %(default)s)")
    declare_dry_run(add)
    declare_output(add)
    add("--revision", type=given, help="branch, tag or commit of BASE on the hub")
    add("--device", type=given, help="torch device, where a model is loaded (default: cpu)")
    add("--dtype", type=given, help="of the forward passes (default: float32)")


def execute(options: argparse.Namespace) -> int:
    """Compare, write the file, print the page; complaints last, on standard error."""
    from ks_core.auditing.gate import Limits
    from ks_core.comparing.diff import diff
    from ks_core.comparing.files import write_diff
    from ks_core.comparing.table import table
    from ks_core.outputs import check_output

    read = {name: getattr(options, name) for name in ("base", "edited", "edits", "keep", "corpus")}
    if options.json is not None:
        check_output("--json", options.json, {f"--{name}": value for name, value in read.items()})
    limits = Limits(options.fail_over, options.fail_overtaken)
    if options.keep is None and limits != Limits():
        raise InputError(
            "--fail-over and --fail-overtaken are about facts to keep; expected some: name them with --keep"
        )
    if options.dry_run:
        return dry_run_of_diff(options)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        how = {name: getattr(options, name) for name in ("tokens", "ridge", "revision", "device", "dtype")}
        found = diff(read.pop("base"), read.pop("edited"), **read, **how)
    complaints = found.complaints(limits, options.only_layers)
    if options.json is not None:
        write_diff(found, options.json, complaints)
    warn(said)
    print(table(found, options.top))
    for complaint in complaints:
        print(f"ks diff: FAILED: {one_line(complaint)}", file=sys.stderr)
    return 1 if complaints else 0
