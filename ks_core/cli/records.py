"""What commands about patches write as JSON: edits, numbers and checks as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ks_core.patches.certificate import Certificate
    from ks_core.patches.patch import Patch
    from ks_core.patches.verification import Verification
    from ks_core.statistics.means import Mean


def patch_record(patch: Patch, certificate: Certificate | None) -> dict[str, Any]:
    """What a folder holds, and what was measured on its files, if anything was."""
    return {
        "kind": patch.kind,
        "model": patch.base.name,
        "edits": [
            {
                "case_id": fact.case_id,
                "subject": fact.subject,
                "relation_id": fact.relation_id,
                "prompt": fact.text,
                "target_true": fact.target_true,
                "target_new": fact.target_new,
                "layer": edits.layer,
                "method": edits.method,
            }
            for edits in patch.edits
            for fact in edits.facts
        ],
        "measured": None if certificate is None else {k: _mean(of) for k, of in certificate.measured.means.items()},
    }


def verification_record(found: Verification) -> dict[str, Any]:
    """Each check of a certificate, and what became of it."""
    return {
        "holds": not found.failed,
        "measured": found.measured,
        "environment": dict(found.environment),
        "checks": [
            {
                "name": check.name,
                "certified": _either(check.certified),
                "found": _either(check.found),
                "tolerance": None if check.tolerance is None else check.tolerance.value,
                "holds": check.holds,
            }
            for check in found.checks
        ],
    }


def _either(value: str | Mean | None) -> Any:
    return value if value is None or isinstance(value, str) else _mean(value)


def _mean(of: Mean) -> dict[str, float]:
    return {"value": float(of.value), "error": float(of.error), "count": int(of.count)}
