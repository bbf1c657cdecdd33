"""An audit as files: JSON for all that is said of edits and facts, and its matrices beside it as safetensors."""

from __future__ import annotations

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

FORMAT = "ks_core/audit/2"

SUFFIX = ".safetensors"

MATRICES = {
    "share": "shares",
    "share_error_over_text": "share_errors",
    "change_of_value": "changes",
    "change_of_log_probability": "log_probability_changes",
}
"""Name in the file → field of `Audit`; edits in rows, facts to keep in columns, float64."""


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


def as_json(audit: Audit, matrices: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Everything in an audit but its matrices, as plain JSON values.

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
        "layers": [vars(of) for of in audit.layers],
        "edits": [_record(fact) | {"reached": p} for fact, p in zip(audit.edits, audit.reached, strict=True)],
        "kept": [_record(fact) for fact in audit.keep],
        "left_out": [asdict(of) for of in audit.left_out],
        "matrices": matrices,
        "order": [fact.case_id for fact in audit.order],
        "groups": [[fact.case_id for fact in group] for group in audit.groups],
    }


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
