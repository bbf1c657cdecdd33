"""An audit as files: JSON for all that is said of edits and facts, its matrices as safetensors, its pairs as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ks_core.auditing.prediction import Audit
from ks_core.data.facts import Fact
from ks_core.errors import InputError
from ks_core.files import sha256_of
from ks_core.outputs import check_output, is_regular, output_path, write_text
from ks_core.statistics.means import Mean
from ks_core.statistics.pairs import Array
from ks_core.strict_json import finite_or_none

FORMAT = "ks_core/audit/3"

SCHEMA = Path(__file__).with_name("audit.schema.json")
"""JSON Schema of what `write_audit` writes."""

SUFFIX = ".safetensors"

MATRICES = {
    "share": "shares",
    "share_error_over_text": "share_errors",
    "largest_share": "largest_shares",
    "first_order_loss": "first_order",
    "loss": "losses",
    "overtaken": "overtaken",
}
"""Name in the file → field of `Audit`; edits in rows, facts to keep in columns. float64, a loss NaN where it was only
screened, an error over text NaN where it is not known; `overtaken` bool."""

COLUMNS = (
    "edit_case_id",
    "edit_subject",
    "target_new",
    "fact_case_id",
    "fact_subject",
    "fact_object",
    "loss_nats",
    "overtaken_by",
    "share",
    "share_error_over_text",
    "largest_share",
    "first_order_loss_nats",
)
"""Of the CSV: a row for each simulated pair, by loss; before them, with empty edit, what all edits together cost."""


def check_audit_files(path: Path, inputs: Mapping[str, str | Path | None]) -> None:
    """Refuse a path that `write_audit` could not write to, before there is an audit; arguments as for `check_output`.

    Raises:
        InputError: the file, or the one for its matrices, cannot be written, is an input, or holds something else.
    """
    check_output("--json", path, inputs)
    if not is_regular(path):
        return
    matrices = matrices_path(path)
    if matrices == path:
        raise InputError(f"--json: {path} ends in {SUFFIX}, as the file of its matrices does; expected another ending")
    check_output("--json, its matrices", matrices, {**inputs, "--json": path})
    if matrices.exists() and not _holds_matrices(matrices):
        raise InputError(
            f"--json, its matrices: {matrices} is there and holds no matrices of an audit; remove it, or name another "
            "file"
        )


def matrices_path(path: Path) -> Path:
    """Where the matrices of an audit stand whose JSON is written to a path.

    Example:
        >>> matrices_path(Path("found/out.json")).as_posix()
        'found/out.safetensors'
    """
    return path.with_suffix(SUFFIX)


def write_audit(audit: Audit, path: Path) -> list[Path]:
    """Write an audit as JSON, and its matrices beside it; into a pipe or a device, which has no beside, JSON alone.

    Returns:
        The paths that were written. The JSON names the other file with its hash, the names and the shapes in it.

    Raises:
        InputError: a file cannot be written.
    """
    if not is_regular(path):
        write_text(path, json.dumps(as_json(audit), indent=1, allow_nan=False) + "\n")
        return [path]
    matrices = {name: np.ascontiguousarray(getattr(audit, field)) for name, field in MATRICES.items()}
    beside = matrices_path(path)
    with output_path(beside) as made:
        save_file(matrices, made, metadata={"format": FORMAT})
        digest = sha256_of(made)
    named = {
        "file": beside.name,
        "sha256": digest,
        "rows": "edits",
        "columns": "kept",
        "shapes": {name: list(matrix.shape) for name, matrix in matrices.items()},
    }
    write_text(path, json.dumps(as_json(audit, named), indent=1, allow_nan=False) + "\n")
    return [path, beside]


def write_csv(audit: Audit, path: Path) -> Path:
    """Write what was simulated as CSV, `COLUMNS`; all edits together first, then the pairs, each part by falling loss.

    Raises:
        InputError: the file cannot be written.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for of in audit.together.worst(len(audit.keep)):
        rows.writerow([None] * 3 + [*_fact_cells(of.fact), of.loss, of.overtaken_by] + [None] * 4)
    known = np.argwhere(np.isfinite(audit.losses))
    for edit, fact in sorted(known.tolist(), key=lambda pair: -audit.losses[pair[0], pair[1]]):
        pair = audit.pair(edit, fact)
        own = [pair.edit.case_id, pair.edit.subject, pair.edit.target_new]
        felt = [pair.share, finite_or_none(pair.share_error), pair.largest_share, pair.first_order]
        rows.writerow([*own, *_fact_cells(pair.fact), pair.loss, pair.overtaken_by, *felt])
    write_text(path, text.getvalue())
    return path


def _fact_cells(fact: Fact) -> list[Any]:
    return [fact.case_id, fact.subject, fact.target_true]


def as_json(audit: Audit, matrices: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Everything in an audit but its matrices, as plain JSON values, by `SCHEMA`.

    Args:
        audit: what was predicted.
        matrices: where the matrices are, put in under their name; None where they are not kept.
    """
    return {
        "format": FORMAT,
        "model": audit.model,
        "tokens": audit.tokens,
        "ridge": audit.ridge,
        "layer": audit.layer,
        "layers": [{**asdict(of), "loss_error": finite_or_none(of.loss_error)} for of in audit.layers],
        "silent_neurons": audit.silent_neurons,
        "target": audit.target,
        "pairs": {"all": audit.losses.size, "simulated": audit.simulated},
        "edits": [_edit(audit, number) for number in range(len(audit.edits))],
        "kept": [_kept(audit, number) for number in range(len(audit.keep))],
        "left_out": [asdict(of) for of in audit.left_out],
        "method": audit.method,
        "matrices": matrices,
        "plan": _plan(audit),
        **({} if audit.imported is None else {"second_moment": dict(audit.imported)}),
    }


def _edit(audit: Audit, number: int) -> dict[str, Any]:
    worst = audit.worst(number, 1)[0]
    found = {"case_id": worst.fact.case_id, "loss": worst.loss, "overtaken_by": worst.overtaken_by}
    return _record(audit.edits[number]) | {"reached": audit.reached[number], "worst": found}


def _kept(audit: Audit, number: int) -> dict[str, Any]:
    together = audit.together
    return _record(audit.keep[number]) | {
        "log_probability": float(audit.before[number]),
        "loss_together": float(together.losses[number]),
        "overtaken_by": together.overtaken_by[number],
    }


def _plan(audit: Audit) -> dict[str, Any] | None:
    if audit.plan is None:
        return None
    ids = [fact.case_id for fact in audit.edits]

    def numbers(of: Array | None) -> list[float] | None:
        return None if of is None else of.tolist()

    return {
        "log_probability": {
            "as_given": numbers(audit.plan.as_given),
            "gentlest": numbers(audit.plan.gentlest),
            "jointly": numbers(audit.plan.jointly),
        },
        "order": [ids[place] for place in audit.plan.order],
        "saved_by_order": _mean(audit.plan.saved_by_order),
        "groups": [
            {"case_ids": [ids[place] for place in group], "saved": _mean(audit.plan.saved_by_joining(group))}
            for group in audit.plan.groups
        ],
    }


def _mean(of: Mean) -> dict[str, Any]:
    return {"value": finite_or_none(of.value), "error": finite_or_none(of.error), "n": of.count}


def _record(fact: Fact) -> dict[str, Any]:
    return {
        "case_id": fact.case_id,
        "subject": fact.subject,
        "relation_id": fact.relation_id,
        "prompt": fact.prompt,
        "target_true": fact.target_true,
        "target_new": fact.target_new,
        "separators": fact.separators,
    }


def _holds_matrices(path: Path) -> bool:
    try:
        with safe_open(path, framework="np") as stored:
            return bool((stored.metadata() or {}).get("format", "").startswith("ks_core/audit/"))
    except (OSError, SafetensorError):
        return False
