"""First causes first: a failure may follow from that of a law which others rest on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ks_core.conformance.registry import LAWS
from ks_core.conformance.results import LawResult


def first_broken(outcomes: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The broken laws that others rest on, in the order of laws.

    Args:
        outcomes: of one implementation, (name of a law, outcome).
    """
    broken = {name for name, outcome in outcomes if outcome in ("failed", "xfailed")}
    return tuple(name for name, law in LAWS.items() if law.first and name in broken)


def cause_of(law: str, causes: Sequence[str]) -> str:
    """The first of the causes, where it stands before the law; empty where none does."""
    order = list(LAWS)
    earlier = [cause for cause in causes if order.index(cause) < order.index(law)]
    return earlier[0] if earlier else ""


def following(result: LawResult, causes: Sequence[str]) -> LawResult:
    """The result, with the law from which its failure may follow; unchanged where it is no failure."""
    cause = cause_of(result.law, causes) if result.outcome == "failed" else ""
    if not cause:
        return result
    message = f"{result.message}\n  {may_follow(cause)}"
    return replace(result, may_follow_from=cause, message=message)


def may_follow(cause: str) -> str:
    """In words.

    Example:
        >>> may_follow("inputs_are_not_modified")
        'may follow from inputs_are_not_modified, which is broken too: mend that first'
    """
    return f"may follow from {cause}, which is broken too: mend that first"
