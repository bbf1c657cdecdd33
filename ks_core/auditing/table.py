"""An audit as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ks_core.auditing.gate import unreached
from ks_core.auditing.layers import WORKS
from ks_core.auditing.plan import Plan
from ks_core.auditing.prediction import Audit, Disturbance
from ks_core.data.facts import Fact
from ks_core.errors import InputError
from ks_core.formatting import plus_minus, printable, shortened
from ks_core.measurement.moments.peers.stated import RECORDED, Stated
from ks_core.measurement.readable import summary
from ks_core.statistics.means import Mean, mean_of

EDITS_SHOWN = 20
"""Edits that are shown one by one; of more, those that cost one fact most."""

TOLD = 0.1
"""Nats a token from which a loss is counted, and a better order or grouping is told: a probability a tenth smaller."""

NAME, SENTENCE, FACT, OBJECT, LOSS = 40, 120, 44, 16, 7
"""Characters that a subject, an edit, a kept fact, an object and a loss take in the table at most."""

HEADING_TOGETHER = f"  {'loss':>{LOSS}}  {'overtaken by':<{OBJECT}}  fact"
HEADING = f"  {'loss':>{LOSS}}  {'overtaken by':<{OBJECT}}  {'fact':<{FACT}}  {' P ± text':<16}  P at any token"


def table(audit: Audit, top: int = 5) -> str:
    """The audit in lines: all edits together, the layer, each edit with the facts that it would hurt most.

    Args:
        audit: what was predicted.
        top: facts shown for each edit, and of all edits together those that lose most and those that are overtaken; all
            where there are fewer.

    Raises:
        InputError: a negative number of facts.
    """
    if top < 0:
        raise InputError(f"top is {top}; expected how many facts to show for each edit, 0 or more")
    edits, kept = len(audit.edits), len(audit.keep)
    top = min(top, kept)
    lines = [
        f"{edits} edits against {kept} facts to keep, {printable(audit.model)}, layer {audit.layer}; "
        "nothing was edited",
        *([printable(summary(audit.left_out))] if audit.left_out else []),
        f"simulated: {audit.simulated:,} of {edits * kept:,} pairs of an edit and a fact, the foremost of a screen of "
        "all; and all edits together on every fact",
        *_imported(audit),
        *_silent(audit),
        *_layers(audit),
        "",
        *_together(audit, top),
        "",
        *_edits(audit, top),
        *_not_reached(audit),
        *([] if audit.plan is None else _plan(audit.plan, audit.edits)),
    ]
    return "\n".join(lines)


def _imported(audit: Audit) -> list[str]:
    """That the second moments are another project's, and that nothing of what is said of them was checked."""
    if audit.imported is None:
        return []
    stated = printable(Stated(**audit.imported[RECORDED]))
    return [
        f"second moments imported, {audit.tokens:,} tokens; stated, not checked: {stated}",
        "their text has no halves that are known: no error over text",
    ]


def _silent(audit: Audit) -> list[str]:
    if not audit.silent_neurons:
        return []
    return [f"{audit.silent_neurons} neurons of layer {audit.layer} never fired over the text: left out"]


def _layers(audit: Audit) -> list[str]:
    if not audit.layers:
        return []
    of = audit.layers[0]
    lines = [
        "",
        f"layer  edits that work  loss of a fact (nats)   of {len(of.reached)} edits, each alone, on {of.facts} facts",
    ]
    for cost in audit.layers:
        mark = "  <- audited" if cost.layer == audit.layer else ""
        lines.append(f"{cost.layer:>5}  {cost.works:>15}  {plus_minus(cost.loss, cost.loss_error)}{mark}")
    return lines


def _together(audit: Audit, top: int) -> list[str]:
    found = audit.together
    overtaken = [of for of in found.worst(len(found.keep)) if of.overtaken_by is not None]
    lost, mean = int((found.losses > TOLD).sum()), mean_of(found.losses)
    lines = [
        f"all edits together ({audit.method}): {len(overtaken)} of {len(found.keep)} facts overtaken, {lost} lose more "
        f"than {TOLD} nats a token; mean loss {plus_minus(mean.value, mean.error)}",
        HEADING_TOGETHER,
    ]
    worst = found.worst(top)
    shown = worst + [of for of in overtaken[:top] if of not in worst]
    lines += [
        f"  {of.loss:>+{LOSS}.2f}  {_object(of.overtaken_by):<{OBJECT}}  {_fact(of.fact)}".rstrip() for of in shown
    ]
    unseen = [of for of in overtaken if of not in shown]
    return lines + ([f"  and {len(unseen)} more that are overtaken"] if unseen else [])


def _edits(audit: Audit, top: int) -> list[str]:
    worst = np.nanmax(audit.losses, axis=1)
    shown = sorted(np.argsort(-worst, kind="stable")[:EDITS_SHOWN].tolist())
    lines = ["each edit alone", HEADING] if len(shown) == len(audit.edits) else _summary(audit, len(shown))
    for number in shown:
        reached = audit.reached[number]
        told = f"p = {reached:.2f}"
        if reached < audit.target:
            told = f"NOT REACHED: p = {reached:.3g} of {audit.target:g}"
        lines.append(f"{_edit(audit.edits[number])}  ({told})")
        lines += [_row(of) for of in audit.worst(number, top)]
    return lines


def _summary(audit: Audit, shown: int) -> list[str]:
    hurting = int(audit.overtaken.any(axis=1).sum())
    return [
        f"each edit alone: {hurting} of {len(audit.edits)} let another object overtake a fact; "
        f"the {shown} that cost one fact most",
        HEADING,
    ]


def _row(of: Disturbance) -> str:
    loss = f"{of.loss:>+{LOSS}.2f}" if of.simulated else f"{'~' + format(of.first_order, '+.2f'):>{LOSS}}"
    by = _object(of.overtaken_by) if of.simulated else "only screened"
    share = plus_minus(of.share, of.share_error)
    signed = share if share.startswith("-") else f" {share}"
    return f"  {loss}  {by:<{OBJECT}}  {_fact(of.fact)}  {signed:<16}  {of.largest_share:+.2f}"


def _not_reached(audit: Audit) -> list[str]:
    """The edits that do not work: below `target` alone is said beside the edit."""
    few = unreached(audit.edits, audit.reached, WORKS)
    return ["", f"{few[0]}; try other layers (--layers)"] if few else []


def _plan(plan: Plan, edits: Sequence[Fact]) -> list[str]:
    lines = []
    if plan.saved_by_order.value > TOLD:
        lines.append(
            f"one after another in this order, an edit keeps {_told(plan.saved_by_order)} nats a token more than in "
            "the given one: " + _subjects([edits[place] for place in plan.order])
        )
    for group in plan.groups:
        if len(group) > 1 and plan.saved_by_joining(group).value > TOLD:
            lines.append(
                f"with all made jointly and not one after another, each of these keeps "
                f"{_told(plan.saved_by_joining(group))} nats a token more: " + _subjects([edits[n] for n in group])
            )
    return ["", *lines] if lines else []


def _told(of: Mean) -> str:
    return f"{plus_minus(of.value, of.error)} (mean of {of.count})"


def _subjects(facts: Sequence[Fact]) -> str:
    some = ", ".join(shortened(printable(fact.subject), NAME) for fact in facts[:EDITS_SHOWN])
    return some + (f" and {len(facts) - EDITS_SHOWN} more (--json has all)" if len(facts) > EDITS_SHOWN else "")


def _edit(fact: Fact) -> str:
    return shortened(printable(f"{fact.statement} -> {fact.target_new}"), SENTENCE)


def _fact(fact: Fact) -> str:
    return f"{shortened(printable(f'{fact.subject}: {fact.target_true}'), FACT):<{FACT}}"


def _object(name: str | None) -> str:
    return "" if name is None else shortened(printable(name), OBJECT)
