"""`ks undo DIR --case ID`: edits taken out of a folder as if they had never been made."""

from __future__ import annotations

import argparse
import warnings
from typing import TYPE_CHECKING

from ks_core.cli.arguments import Add, warn
from ks_core.cli.dry_run import declare_dry_run
from ks_core.cli.dry_run_patches import dry_run_of_undo
from ks_core.cli.output import check_json, declare_output, write_json
from ks_core.cli.records import patch_record
from ks_core.command import given, integer, path
from ks_core.errors import AssetError, InputError

if TYPE_CHECKING:
    from ks_core.patches.folder import StoredPatch
    from ks_core.patches.writing import Measuring

HELP = "take edits out of a folder that ks edit wrote"

DESCRIPTION = (
    "Take edits out of a folder that ks edit wrote, as if they had never been made: the closed form of the others is "
    "taken anew, from what the folder holds. Its certificate is measured anew too, with the facts to keep and the text "
    "of the old one."
)

EXAMPLES = (
    "ks undo my-edits --case 7",
    "ks undo my-edits --case 7 --case 12 --no-certificate",
)

FORMAT = "ks_core/undone/1"

FINDING = ""


def declare(add: Add) -> None:
    """The arguments."""
    add("folder", metavar="DIR", type=path, help="as ks edit wrote it")
    add("--case", type=integer(), action="append", required=True, metavar="ID", help="case id of an edit; repeatable")
    add("--model", type=given, metavar="BASE", help="the base to measure with, where it is not found by its name")
    add("--device", type=given, help="torch device to measure on (default: cpu)")
    add("--no-certificate", action="store_true", help="do not measure what was written; no model is needed then")
    declare_dry_run(add)
    declare_output(add)


def execute(options: argparse.Namespace) -> int:
    """Take out, write, measure, and say what is left."""
    from ks_core.files import is_stored
    from ks_core.models.loading import checked_device
    from ks_core.patches.base import Base
    from ks_core.patches.certificate import FILE
    from ks_core.patches.folder import check_patch_folder, read_patch
    from ks_core.patches.report import report
    from ks_core.patches.writing import write

    check_json(options.json, {"DIR": options.folder, "--model": options.model})
    if options.device is not None:
        checked_device(options.device)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        check_patch_folder("DIR", options.folder)
        stored = read_patch(options.folder)
        patch = stored.patch.without(options.case)
        if options.dry_run:
            measured = not options.no_certificate and is_stored(stored.folder / FILE)
            return dry_run_of_undo(options, stored, patch, measured)
        measuring = None if options.no_certificate else _measuring(stored, options.model, options.device)
        if measuring is not None:
            patch = patch.on(Base.of(measuring.model))
        certificate = write(patch, stored, measuring)
    record = {"folder": str(options.folder), "taken_out": options.case, **patch_record(patch, certificate)}
    write_json(options.json, FORMAT, record)
    warn(said)
    print(report(patch, options.folder, None, certificate))
    return 0


def _measuring(stored: StoredPatch, name: str | None, device: str | None) -> Measuring | None:
    """With what the old certificate was measured; None where there is none."""
    from ks_core.files import is_stored
    from ks_core.models.loading import load_model
    from ks_core.patches.certificate import FILE, read_inputs
    from ks_core.patches.writing import Measuring

    if not is_stored(stored.folder / FILE):
        return None
    inputs, base = read_inputs(stored.folder), stored.patch.base
    revision = base.commit if name is None else None
    try:
        model = load_model(base.name if name is None else name, revision=revision, device=device, dtype=base.dtype)
    except (InputError, AssetError) as error:
        raise InputError(
            f"the base, with which the other edits are measured, cannot be loaded: {error}; name it with --model, or "
            "measure nothing with --no-certificate"
        ) from error
    base.require(model)
    return Measuring(model, inputs)
