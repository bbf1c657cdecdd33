"""`ks verify DIR`: hold a patch against its certificate, with nothing but its folder and its base."""

from __future__ import annotations

import argparse
import warnings
from typing import TYPE_CHECKING

from ks_core.cli.arguments import Add, warn
from ks_core.cli.dry_run import declare_dry_run
from ks_core.cli.dry_run_patches import dry_run_of_verify
from ks_core.cli.output import check_json, declare_output, write_json
from ks_core.cli.records import verification_record
from ks_core.command import given
from ks_core.formatting import plus_minus, printable

if TYPE_CHECKING:
    from ks_core.patches.verification import Check, Verification

HELP = "measure an edited model's certificate again"

DESCRIPTION = (
    "Hold a patch against its certificate: its files and its base by their hashes, then every number, measured again "
    "on the files as they are. The exit status is 1 where something does not hold."
)

EXAMPLES = (
    "ks verify my-edits",
    "ks verify my-edits --model ./my-model --device cuda --json verified.json",
)

FORMAT = "ks_core/verification/1"

FINDING = "a hash or a number of the certificate does not hold"


def declare(add: Add) -> None:
    """The arguments."""
    add("folder", metavar="DIR", type=given, help="the patch: an adapter or a model with its certificate.json")
    add("--model", type=given, metavar="BASE", help="the base, where it is not found by the certificate's name")
    add("--device", type=given, help="torch device (default: cpu)")
    add("--dtype", type=given, help="to measure in (default: that of the certificate)")
    declare_dry_run(add)
    declare_output(add)


def execute(options: argparse.Namespace) -> int:
    """Verify, print what does not hold, or that all does."""
    from ks_core.patches.verification import verify

    check_json(options.json, {"DIR": options.folder, "--model": options.model})
    if options.dry_run:
        return dry_run_of_verify(options)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        found = verify(options.folder, options.model, device=options.device, dtype=options.dtype)
    write_json(options.json, FORMAT, {"folder": options.folder, **verification_record(found)})
    warn(said)
    print(table(found, options.folder))
    return 1 if found.failed else 0


def table(found: Verification, folder: str) -> str:
    """The verification in lines: each number as certified and as found, and the verdict last."""
    certificate, failed = found.certificate, found.failed
    place, base = printable(folder), printable(certificate.base["name"])
    hashes = [check for check in found.checks if not check.is_number]
    lines = [f"{place}: {len(certificate.edits)} edits of {base}"]
    lines += [f"  {_said_of_hash(check)}" for check in hashes if not check.holds]
    if not found.measured:
        return "\n".join([*lines, "", f"does not hold: {len(failed)} of {len(hashes)} hashes; nothing was measured"])
    now, then = found.environment, certificate.environment
    lines.append(f"{len(hashes)} hashes hold; measured again on {now['device']} in {now['dtype']}")
    if other := [f"{name} {then.get(name)} -> {now[name]}" for name in now if now[name] != then.get(name)]:
        lines.append(printable("since it was certified: " + ", ".join(other)))
    numbers = [check for check in found.checks if check.is_number and not (check.holds and _over_none(check))]
    width = max((len(printable(check.name)) for check in numbers), default=0)
    lines += ["", f"{'':<{width}}  {'certified':<23}{'found':<23}{'n':>8}  within"]
    lines += [_row(check, width) for check in numbers]
    if certificate.predicted is not None:
        said = [f"{name} {plus_minus(of.value, of.error)}" for name, of in certificate.predicted.means.items()]
        lines += ["", printable("predicted before it was written: " + ", ".join(said))]
    verdict = f"does not hold: {', '.join(printable(check.name) for check in failed)}" if failed else "holds"
    return "\n".join([*lines, "", verdict])


def _over_none(check: Check) -> bool:
    """Whether it is a mean over nothing, as of paraphrases where there are none."""
    return getattr(check.certified, "count", 0) == getattr(check.found, "count", 0) == 0


def _said_of_hash(check: Check) -> str:
    if check.found is None:
        return f"{printable(check.name)}: missing"
    if check.certified is None:
        return f"{printable(check.name)}: was added since"
    return f"{printable(check.name)}: {str(check.found)[:16]}, certified {str(check.certified)[:16]}"


def _row(check: Check, width: int) -> str:
    from ks_core.statistics.means import Mean

    numbers = [
        plus_minus(of.value, of.error) if isinstance(of, Mean) else "none" for of in (check.certified, check.found)
    ]
    count = check.found.count if isinstance(check.found, Mean) else 0
    within = f"{check.tolerance.value:.1g}" if check.tolerance else "0"
    mark = "" if check.holds else "  <- does not hold"
    return f"{printable(check.name):<{width}}  {numbers[0]:<23}{numbers[1]:<23}{count:>8}  {within}{mark}"
