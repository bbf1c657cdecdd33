"""methods@long: what methods of editing keep and lose after hundreds of edits (not a claim of the paper).

The claim `methods` asks the same after a few dozen, where nothing fails yet. A method that answers for all its edits at
once (joint) keeps them, and has to pay with everything else that the weight holds.

Definitions, each after all N edits, mean over orders. `retention`: p(new) of the first quarter of the edits, joint less
sequential. `damage`: share of the watched facts, which no edit is for, whose own object has lost half of its
probability a token or more, joint less sequential. `locality`: share of neighbourhood prompts where the true object
stays ahead of the new one, protected less sequential; protected edits are joint ones that leave the keys of hundreds of
other subjects alone, titles of articles, and a reference says what joint ones do without. `perplexity`: the rise of the
log-perplexity of held-out text by sequential edits.

Threshold: 0 for each, a direction. Errors are paired, the same orders, facts and texts under both methods, and both
orders and facts are drawn anew (`ks_core.statistics.crossed.crossed_mean`). A number is unknown, and undecided, where a
method has no look at all N edits; why stands in the table and in results.json.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Bound, Finding, Reference
from ks_core.claims.judging import judge_number
from ks_core.experiments.lifelong.measurement import Lifelong
from ks_core.experiments.lifelong.scores import per_fact
from ks_core.statistics.crossed import crossed_mean
from ks_core.statistics.estimate import Replicates
from ks_core.statistics.means import mean_of
from ks_core.statistics.pairs import Array

RISES = Bound("above", 0.0)


def judge(measured: Lifelong) -> list[Finding]:
    """Judge joint and protected edits against sequential ones, and what these cost the text."""
    return [judge_part(measured) for judge_part in (_retention, _damage, _locality, _perplexity)]


def _retention(measured: Lifelong) -> Finding:
    of_edits = [_by_edit(measured, numbers_at_end(measured, method, "retention")) for method in ("joint", "sequential")]
    return _difference(measured, "retention", "p(new) of the first quarter, joint less sequential", "edits", *of_edits)


def _damage(measured: Lifelong) -> Finding:
    of_facts = [np.stack(numbers_at_end(measured, method, "watched halved")) for method in ("joint", "sequential")]
    quantity = "watched facts whose probability has halved, joint less sequential"
    return _difference(measured, "damage", quantity, "watched facts", *of_facts)


def _locality(measured: Lifelong) -> Finding:
    of_prompts = [_apart(numbers_at_end(measured, method, "neighbourhood")) for method in ("protected", "sequential")]
    quantity = "neighbourhood score, protected less sequential"
    found = _difference(measured, "locality", quantity, "neighbourhood prompts in all orders", *of_prompts)
    joint = np.concatenate(numbers_at_end(measured, "joint", "neighbourhood"))
    return replace(found, references=(*found.references, Reference("joint", mean_of(joint).value)))


def _perplexity(measured: Lifelong) -> Finding:
    rise = np.stack(numbers_at_end(measured, "sequential", "log-perplexity rise"))
    quantity = "rise of log-perplexity, sequential"
    estimate = crossed_mean(rise, measured.resamples, measured.seed, weights=measured.text_lengths)
    found = _finding(measured, "perplexity", quantity, estimate, len(measured.text_lengths), "texts")
    return replace(found, unit="nats a token")


def _difference(measured: Lifelong, part: str, quantity: str, counted: str, one: Array, sequential: Array) -> Finding:
    known = ~np.isnan(one - sequential)
    estimate = crossed_mean(one - sequential, measured.resamples, measured.seed)
    reference = (Reference("sequential", float(sequential[known].mean())),) if known.any() else ()
    return _finding(measured, part, quantity, estimate, int(known.any(axis=0).sum()), counted, reference)


def _finding(
    measured: Lifelong,
    part: str,
    quantity: str,
    estimate: Replicates,
    count: int,
    counted: str,
    references: tuple[Reference, ...] = (),
) -> Finding:
    return Finding(
        claim="methods",
        part=part,
        variant="long",
        quantity=quantity,
        edits=len(measured.plan.edits),
        judged=judge_number(estimate, RISES),
        count=count,
        counted=counted,
        layers=(measured.plan.layer,),
        references=references,
    )


def numbers_at_end(measured: Lifelong, method: str, score: str) -> list[Array]:
    """By order, the numbers behind a score after all edits by a method; NaN, as many, in an order without that look."""
    plan = measured.plan
    looks = next((of.looks for of in measured.curves if of.method == method and of.is_default), ())
    found = []
    for order, before in enumerate(measured.before):
        last = [look for look in (looks[order] if order < len(looks) else ()) if look.edits == len(plan.edits)]
        numbers, _ = per_fact(last[0] if last else before, before, measured.text_lengths, plan.early)[score]
        found.append(numbers if last else np.full(len(numbers), np.nan))
    return found


def _by_edit(measured: Lifelong, by_order: list[Array]) -> Array:
    """(R, N): numbers of the first quarter of each order in the places of their edits, which orders share; else NaN."""
    plan = measured.plan
    placed = np.full((len(plan.orders), len(plan.edits)), np.nan)
    for row, order, numbers in zip(placed, plan.orders, by_order, strict=True):
        row[order[: len(numbers)]] = numbers
    return placed


def _apart(by_order: list[Array]) -> Array:
    """(R, R p): numbers of things that every order has of its own, NaN in the places of the others'."""
    longest = max(map(len, by_order))
    placed = np.full((len(by_order), len(by_order), longest), np.nan)
    for number, numbers in enumerate(by_order):
        placed[number, number, : len(numbers)] = numbers
    return placed.reshape(len(by_order), -1)


SENTENCE = "over hundreds of edits joint ones keep more and break more, protected ones keep the neighbourhood"
CLAIM = Claim("methods@long", SENTENCE, "lifelong", judge, short="long: joint keeps, breaks")
