"""The command `ks`: `ks audit EDITS` predicts what edits would break."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from functools import partial

from ks_core import __version__, defaults
from ks_core.command import Parser, given, integer, number, path, run
from ks_core.data.facts import PACKAGED_FACTS, load_facts
from ks_core.data.fixtures import fixture_path
from ks_core.formatting import one_line, printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status, 2 for input that cannot be used."""
    options = _parser().parse_args(arguments)
    return run(
        f"ks {options.command}",
        partial(_audit, options),
        interrupted="interrupted; what was measured is cached, the same command goes on there",
    )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="ks", description="knowledge superposition in language models")
    parser.add_argument("--version", action="version", version=f"ks_core {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser(
        "audit",
        help="predict which facts edits would disturb, without editing",
        description="Predict which facts each edit would disturb and how much, in the layer where it is least, and in "
        "which order and groups to make the edits. Nothing is edited.",
    ).add_argument
    add(
        "edits",
        metavar="EDITS",
        type=given,
        help="facts whose target_new is to become true: CounterFact JSON or ks_core's schema",
    )
    add(
        "--keep",
        metavar="FILE",
        type=given,
        default=PACKAGED_FACTS,
        help="facts to keep (default: the packaged ones the model knows)",
    )
    add("--model", type=given, default=defaults.MODEL, help="packaged model, local folder or hub id")
    add("--revision", type=given, help="branch, tag or commit of a hub model")
    add("--layer", type=integer(), help="layer to edit (default: the one with the least interference)")
    add("--corpus", type=given, default=defaults.CORPUS, help="text of the second moments, as --ks-corpus")
    add("--tokens", type=integer(), default=defaults.TOKENS, help="how much of it (default: %(default)s)")
    add("--ridge", type=number, default=0.0, help="added to second moments, in mean eigenvalues (default: %(default)g)")
    add("--device", type=given, default=defaults.DEVICE, help="torch device (default: %(default)s)")
    add("--dtype", type=given, default=defaults.DTYPE, help="of the forward passes (default: %(default)s)")
    add("--top", type=integer(0), default=5, metavar="N", help="disturbed facts shown for each edit (default: 5)")
    add("--json", type=path, metavar="FILE", help="write everything to FILE, and matrices to FILE's stem.safetensors")
    return parser


def _audit(options: argparse.Namespace) -> int:
    # here, so that `ks --help` is quick and what is not installed is one clear error
    from ks_core.auditing.files import check_audit_files, write_audit
    from ks_core.auditing.predict import audit
    from ks_core.auditing.table import table
    from ks_core.measurement.known import known_facts
    from ks_core.models.loading import load_model

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        edits = load_facts(options.edits)  # before a model is loaded
        keep = load_facts(options.keep)
        if options.json is not None:
            check_audit_files(options.json, _inputs(options))
        model = load_model(options.model, revision=options.revision, device=options.device, dtype=options.dtype)
        if options.keep == PACKAGED_FACTS:
            keep = keep.subset(known_facts(model, keep).case_ids)
        found = audit(
            model, edits, keep, layer=options.layer, corpus=options.corpus, tokens=options.tokens, ridge=options.ridge
        )
    # Files and warnings before the table: whoever reads that may stop at its first lines.
    written = [] if options.json is None else write_audit(found, options.json)
    for warning in said:
        if warning.category is UserWarning:
            print(f"warning: {one_line(warning.message)}", file=sys.stderr)
    print(table(found, options.top))
    if written:
        print("\nwritten: " + ", ".join(map(printable, written)))
    return 0


def _inputs(options: argparse.Namespace) -> dict[str, str]:
    keep = str(fixture_path("facts/facts.json")) if options.keep == PACKAGED_FACTS else options.keep
    return {"EDITS": options.edits, "--keep": keep, "--corpus": options.corpus, "--model": options.model}


if __name__ == "__main__":
    sys.exit(main())
