"""`ks audit EDITS`: what edits would break, before they are made."""

from __future__ import annotations

import argparse
import warnings

from ks_core.cli.arguments import Add, declare_keep, declare_model, declare_text, inputs, warn
from ks_core.command import given, integer, path
from ks_core.data.facts import PACKAGED_FACTS, load_facts
from ks_core.formatting import printable

HELP = "predict which facts edits would disturb, without editing"

DESCRIPTION = (
    "Predict which facts each edit would disturb and how much, in the layer where it is least, and in which order and "
    "groups to make the edits. Nothing is edited."
)


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
    add("--layer", type=integer(), help="layer to edit (default: the one with the least interference)")
    declare_text(add)
    add("--top", type=integer(0), default=5, metavar="N", help="disturbed facts shown for each edit (default: 5)")
    add("--json", type=path, metavar="FILE", help="write everything to FILE, and matrices to FILE's stem.safetensors")


def execute(options: argparse.Namespace) -> int:
    """Predict, write files, print the table."""
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
            check_audit_files(options.json, inputs(options, EDITS=options.edits))
        model = load_model(options.model, revision=options.revision, device=options.device, dtype=options.dtype)
        if options.keep == PACKAGED_FACTS:
            keep = keep.subset(known_facts(model, keep).case_ids)
        found = audit(
            model, edits, keep, layer=options.layer, corpus=options.corpus, tokens=options.tokens, ridge=options.ridge
        )
    # Files and warnings before the table: whoever reads that may stop at its first lines.
    written = [] if options.json is None else write_audit(found, options.json)
    warn(said)
    print(table(found, options.top))
    if written:
        print("\nwritten: " + ", ".join(map(printable, written)))
    return 0
