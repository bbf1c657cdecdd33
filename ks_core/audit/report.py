"""An audit as a table for the terminal, and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ks_core.audit.predict import Audit
from ks_core.data.facts import Fact
from ks_core.formatting import plus_minus
from ks_core.measurement.readable import summary

FORMAT = "ks_core/audit/1"

LAYERS_SHOWN = 3
"""Layers in the table: the chosen one is among the gentlest, unless it was asked for; JSON has them all."""

CERTAIN = 0.5
"""Probability of its new object below which an edit is said not to work in the layer: something else stays likelier."""


def table(audit: Audit, top: int = 5) -> str:
    """The audit in lines: the layer, each edit with the facts that it would disturb most, order and groups.

    Args:
        audit: what was predicted.
        top: facts shown for each edit.
    """
    lines = [
        f"{len(audit.edits)} edits against {len(audit.kept)} facts to keep, {audit.model}; nothing was edited",
        *([summary(audit.left_out)] if audit.left_out else []),
        "",
        *_layers(audit),
        "",
        "predicted disturbance, most first      P ± text        change of value  change of log p (nats)",
    ]
    for number, edit in enumerate(audit.edits):
        lines.append(f"{_edit(edit)}  (reaches p = {audit.reached[number]:.2f})")
        for found in audit.worst(number, top):
            lines.append(
                f"    {_fact(found.fact):<34.34} {plus_minus(found.share, found.share_error):<15} "
                f"{found.change:>14.0%}  {found.log_probability_change:>+20.2f}"
            )
    return "\n".join([*lines, "", *_plan(audit)])


def _layers(audit: Audit) -> list[str]:
    gentlest = sorted(audit.layers, key=lambda of: of.onto_kept)[:LAYERS_SHOWN]
    chosen = next(of for of in audit.layers if of.layer == audit.layer)
    rows = [*gentlest, *([] if chosen in gentlest else [chosen])]
    lines = ["layer  P onto kept facts (rms)  P among edits (rms)"]
    for of in rows:
        onto = plus_minus(of.onto_kept, of.onto_kept_error)
        mark = "  <- audited" if of.layer == audit.layer else ""
        lines.append(f"{of.layer:>5}  {onto:<23}  {of.among_edits:.3f}{mark}")
    if chosen.silent_neurons:
        lines.append(f"{chosen.silent_neurons} neurons of layer {audit.layer} never fired over the text: left out")
    return lines


def _plan(audit: Audit) -> list[str]:
    lines = ["order that disturbs earlier edits least: " + ", ".join(fact.subject for fact in audit.order)]
    tied = [group for group in audit.groups if len(group) > 1]
    lines.append(
        "make jointly: " + "; ".join(", ".join(fact.subject for fact in group) for group in tied)
        if tied
        else "no two edits disturb each other: any grouping will do"
    )
    weak = [fact.subject for fact, p in zip(audit.edits, audit.reached, strict=True) if p < CERTAIN]
    if weak:
        lines.append(
            f"no value in layer {audit.layer} makes the model say the new object for: {', '.join(weak)}; "
            "try another layer (--layer)"
        )
    return lines


def as_json(audit: Audit) -> dict[str, Any]:
    """Everything in the audit as plain JSON values; disturbances as matrices, edits in rows, kept facts in columns."""
    return {
        "format": FORMAT,
        "model": audit.model,
        "tokens": audit.tokens,
        "ridge": audit.ridge,
        "layer": audit.layer,
        "layers": [vars(of) for of in audit.layers],
        "edits": [_record(fact) | {"reached": p} for fact, p in zip(audit.edits, audit.reached, strict=True)],
        "kept": [_record(fact) for fact in audit.kept],
        "left_out": [asdict(of) for of in audit.left_out],
        "share": audit.shares.tolist(),
        "share_error_over_text": audit.share_errors.tolist(),
        "change_of_value": audit.changes.tolist(),
        "change_of_log_probability": audit.log_probability_changes.tolist(),
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


def _edit(fact: Fact) -> str:
    return f"{fact.statement} -> {fact.target_new}"


def _fact(fact: Fact) -> str:
    return f"{fact.subject}: {fact.target_true}"
