"""`ks audit EDITS`: what edits would break, before they are made."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ks_core import defaults
from ks_core.cli.arguments import Add, declare_keep, declare_limits, declare_model, declare_text, inputs, warn
from ks_core.cli.dry_run import declare_dry_run, dry_run_of_edits
from ks_core.cli.given_moments import check_moments, declare_moments, moments_given
from ks_core.cli.output import declare_output
from ks_core.command import given, integer, integers, path
from ks_core.data.facts import PACKAGED_FACTS, FactSet, load_facts
from ks_core.formatting import one_line, printable, shown
from ks_core.outputs import check_output

if TYPE_CHECKING:
    from ks_core.auditing.gate import Limits
    from ks_core.auditing.prediction import Audit

HELP = "predict which facts edits would break, without editing"

DESCRIPTION = (
    "Predict what edits would do to facts that are to stay, each alone and all of them together: every pair is "
    "screened, the foremost are let act through the network. Nothing is edited. Exit status 1 where a limit is broken."
)

EXAMPLES = (
    "ks audit edits.json --keep keep.json",
    "ks audit edits.json --model gpt2 --layer 5 --fail-over 0.5 --json audit.json",
)

FINDING = "a limit of --fail-over, --fail-overtaken or --strict is broken"


def declare(add: Add) -> None:
    """The arguments."""
    add(
        "edits",
        metavar="EDITS",
        type=given,
        help="facts whose target_new is to become true: CounterFact JSON or ks_core's schema",
    )
    declare_keep(add)
    declare_model(add)
    add(
        "--layer",
        type=integer(),
        help="layer to edit (default: the best of --layers)",
    )
    add(
        "--layers",
        type=integers,
        metavar="N,N",
        help="layers to try with a sample (default: eight over the depth)",
    )
    add("--method", choices=("joint", "sequential"), default="joint", help="how all together are made (default: joint)")
    declare_text(add)
    declare_moments(add)
    add(
        "--exact",
        type=exact,
        metavar="N",
        help="facts that are simulated for each edit, or all; the others are screened (default: 50)",
    )
    declare_limits(add)
    add("--top", type=integer(0), default=5, metavar="N", help="facts shown for each edit (default: 5)")
    declare_dry_run(add)
    declare_output(add, "write everything to FILE, and matrices to FILE's stem.safetensors")
    add("--csv", type=path, metavar="FILE", help="write every simulated pair to FILE, a row each")


def exact(text: str) -> int | str:
    """A type of argument: a number of facts, or all."""
    if text == "all":
        return text
    try:
        return integer(1)(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{shown(text)}; expected an integer of at least 1, or all") from None


def execute(options: argparse.Namespace) -> int:
    """Predict, write files, print the table; 1 where a limit is broken."""
    from ks_core.auditing.files import check_audit_files
    from ks_core.auditing.gate import Limits
    from ks_core.auditing.predict import EXACT, audit
    from ks_core.measurement.known import known_facts
    from ks_core.models.loading import load_model

    limits = Limits(options.fail_over, options.fail_overtaken)
    check_moments(options, corpus=defaults.CORPUS, tokens=defaults.TOKENS)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        edits = load_facts(options.edits)  # before a model is loaded
        keep = load_facts(options.keep)
        read = inputs(options, EDITS=options.edits) | {"--moments": options.moments}
        if options.json is not None:
            check_audit_files(options.json, {**read, "--csv": options.csv})
        if options.csv is not None:
            check_output("--csv", options.csv, {**read, "--json": options.json})
        if options.dry_run:
            return dry_run_of_edits(options, len(edits), keep)
        model = load_model(options.model, revision=options.revision, device=options.device, dtype=options.dtype)
        if options.keep == PACKAGED_FACTS:
            keep = keep.subset(known_facts(model, keep).case_ids)
        found = audit(
            model,
            edits,
            keep,
            layer=options.layer,
            layers=options.layers,
            corpus=options.corpus,
            tokens=options.tokens,
            moments=moments_given(options, model, options.layers if options.layer is None else [options.layer]),
            ridge=options.ridge,
            method=options.method,
            exact=EXACT if options.exact is None else options.exact,
        )
    return _told(options, found, edits, limits, said)


def _told(
    options: argparse.Namespace,
    found: Audit,
    edits: FactSet,
    limits: Limits,
    said: Iterable[warnings.WarningMessage],
) -> int:
    """Write files, then warnings and complaints, then the table: whoever reads that may stop at its first lines."""
    from ks_core.auditing.files import write_audit, write_csv
    from ks_core.auditing.gate import Limits, complaints, unasked, unreached
    from ks_core.auditing.table import table

    written = [] if options.json is None else write_audit(found, options.json)
    written += [] if options.csv is None else [write_csv(found, options.csv)]
    warn(said)
    broken = [*complaints(limits, found)]
    if limits != Limits() or options.strict:  # as a gate: what was not looked at does not pass
        broken += unasked(found.left_out, edits.facts)
    if options.strict:
        broken += unreached(found.edits, found.reached, found.target)
    for complaint in broken:
        print(f"ks audit: FAILED: {one_line(complaint)}", file=sys.stderr)
    print(table(found, options.top))
    if written:
        print("\nwritten: " + ", ".join(map(printable, written)))
    return 1 if broken else 0
