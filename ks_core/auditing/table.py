"""An audit as a table for the terminal."""

from __future__ import annotations

from ks_core.auditing.prediction import Audit
from ks_core.data.facts import Fact
from ks_core.errors import InputError
from ks_core.formatting import plus_minus, printable, shortened
from ks_core.measurement.readable import summary

LAYERS_SHOWN = 3
"""Layers in the table: the chosen one is among the gentlest, unless it was asked for; JSON has them all."""

NAME, SENTENCE = 60, 200
"""Characters that a subject and an edit take in the table at most."""

CERTAIN = 0.5
"""Probability of its new object below which an edit is said not to work in the layer: something else stays likelier."""


def table(audit: Audit, top: int = 5) -> str:
    """The audit in lines: the layer, each edit with the facts that it would disturb most, order and groups.

    Args:
        audit: what was predicted.
        top: facts shown for each edit; all where there are fewer.

    Raises:
        InputError: a negative number of facts.
    """
    if top < 0:
        raise InputError(f"top is {top}; expected how many facts to show for each edit, 0 or more")
    model = printable(audit.model)
    lines = [
        f"{len(audit.edits)} edits against {len(audit.keep)} facts to keep, {model}; nothing was edited",
        *([printable(summary(audit.left_out))] if audit.left_out else []),
        "",
        *_layers(audit),
        "",
        "predicted disturbance, most first      P ± text        change of value  change of log p (nats)",
    ]
    for number, edit in enumerate(audit.edits):
        lines.append(f"{_edit(edit)}  (reaches p = {audit.reached[number]:.2f})")
        for found in audit.worst(number, min(top, len(audit.keep))):
            lines.append(
                f"    {_fact(found.fact):<34.34} {plus_minus(found.share, found.share_error):<15} "
                f"{found.change:>14.0%}  {found.log_probability_change:>+20.2f}"
            )
    return "\n".join([*lines, "", *_plan(audit)])


def _layers(audit: Audit) -> list[str]:
    gentlest = sorted(audit.layers, key=lambda of: of.onto_kept)[:LAYERS_SHOWN]
    chosen = next(of for of in audit.layers if of.layer == audit.layer)
    rows = [*gentlest, *([] if chosen in gentlest else [chosen])]
    lines = ["layer  P onto facts to keep (rms)  P among edits (rms)"]
    for of in rows:
        onto = plus_minus(of.onto_kept, of.onto_kept_error)
        mark = "  <- audited" if of.layer == audit.layer else ""
        lines.append(f"{of.layer:>5}  {onto:<26}  {of.among_edits:.3f}{mark}")
    if chosen.silent_neurons:
        lines.append(f"{chosen.silent_neurons} neurons of layer {audit.layer} never fired over the text: left out")
    return lines


def _plan(audit: Audit) -> list[str]:
    lines = ["order that disturbs earlier edits least: " + ", ".join(map(_subject, audit.order))]
    tied = [group for group in audit.groups if len(group) > 1]
    lines.append(
        "make jointly: " + "; ".join(", ".join(map(_subject, group)) for group in tied)
        if tied
        else "no two edits disturb each other: any grouping will do"
    )
    weak = [_subject(fact) for fact, p in zip(audit.edits, audit.reached, strict=True) if p < CERTAIN]
    if weak:
        lines.append(
            f"no value in layer {audit.layer} makes the model say the new object for: {', '.join(weak)}; "
            "try another layer (--layer)"
        )
    return lines


def _subject(fact: Fact) -> str:
    return shortened(printable(fact.subject), NAME)


def _edit(fact: Fact) -> str:
    return shortened(printable(f"{fact.statement} -> {fact.target_new}"), SENTENCE)


def _fact(fact: Fact) -> str:
    return printable(f"{fact.subject}: {fact.target_true}")
