"""The command `ks`: `ks audit EDITS` predicts what edits would break."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from ks_core import __version__
from ks_core.audit import as_json, audit, table
from ks_core.data.facts import PACKAGED, FactSet, load_facts
from ks_core.errors import KsError
from ks_core.files import atomic_path
from ks_core.measurement.known import known_facts
from ks_core.models.loaded import LoadedModel
from ks_core.models.loading import load_model


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status, 2 for input that cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", UserWarning)
            return _audit(options, said)
    except (KsError, OSError) as error:
        print(f"ks {options.command}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what was measured is kept in the cache, the same command goes on there", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ks", description="knowledge superposition in language models")
    parser.add_argument("--version", action="version", version=f"ks_core {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser(
        "audit",
        help="predict which facts edits would disturb, without editing",
        description="Predict which facts each edit would disturb and how much, in the layer where it is least, and in "
        "which order and groups to make the edits. Nothing is edited.",
    ).add_argument
    add("edits", metavar="EDITS", help="facts whose target_new is to become true: CounterFact JSON or ks_core's schema")
    add("--keep", metavar="FILE", default=PACKAGED, help="facts to keep (default: the packaged ones the model knows)")
    add("--model", default="smollm2-135m-instruct", help="packaged model, local folder or hub id")
    add("--revision", help="branch, tag or commit of a hub model")
    add("--layer", type=int, help="layer to edit (default: the one with the least interference)")
    add("--corpus", default="wikipedia-introductions", help="text of the second moments, as for --ks-corpus")
    add("--tokens", type=int, default=131_072, help="how much of it (default: 131072)")
    add("--ridge", type=float, default=0.0, help="added to second moments, in mean eigenvalues (default: 0)")
    add("--device", default="cpu", help="torch device (default: cpu)")
    add("--dtype", default="float32", help="of the forward passes (default: float32)")
    add("--top", type=int, default=5, metavar="N", help="disturbed facts shown for each edit (default: 5)")
    add("--json", type=Path, metavar="FILE", help="write everything to FILE")
    return parser


def _audit(options: argparse.Namespace, said: list[warnings.WarningMessage]) -> int:
    edits = load_facts(options.edits)  # before a model is loaded
    keep = load_facts(options.keep)
    model = load_model(options.model, revision=options.revision, device=options.device, dtype=options.dtype)
    if options.keep == PACKAGED:
        keep = _known(model, keep)
    found = audit(
        model, edits, keep, layer=options.layer, corpus=options.corpus, tokens=options.tokens, ridge=options.ridge
    )
    print(table(found, options.top))
    for warning in said:
        if warning.category is UserWarning:
            print(f"warning: {warning.message}", file=sys.stderr)
    if options.json is not None:
        with atomic_path(options.json) as made:
            made.write_text(json.dumps(as_json(found), indent=1, allow_nan=False) + "\n", encoding="utf-8")
        print(f"\nwritten: {options.json}")
    return 0


def _known(model: LoadedModel, facts: FactSet) -> FactSet:
    return facts.subset(known_facts(model, facts).case_ids)


if __name__ == "__main__":
    sys.exit(main())
