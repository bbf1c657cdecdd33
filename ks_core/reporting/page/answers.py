"""The claims of a run as answers: a verdict and a number a claim, with its parts, and how many hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ks_core.claims.deciding import what_would_decide
from ks_core.claims.finding import Finding
from ks_core.claims.summing import Sum, distance, sums_of
from ks_core.formatting import plus_minus
from ks_core.reporting import words
from ks_core.reporting.stored_results import StoredResults

NOT_JUDGED = "not judged"
SYMBOLS = {"holds": "✓", "does not hold": "✗", "undecided": "?", NOT_JUDGED: "–"}
"""Verdict → what stands beside its word, so that no colour has to say it."""

NAMES = {"holds": "holds", "does not hold": "fails", "undecided": "open", NOT_JUDGED: "none"}
"""Verdict → its class in the style sheet."""

NOT_MEASURED = "what it needs was not measured in this run"

_BETWEEN = {"above": "above", "below": "below", "within": "within"}


@dataclass(frozen=True)
class PartAnswer:
    """One number that decides a part of a claim, in words."""

    name: str
    verdict: str
    number: str
    required: str
    distance: str
    quantity: str
    tested: str
    place: str
    interval: str
    references: str
    decide: str


@dataclass(frozen=True)
class ClaimAnswer:
    """One claim: its verdict is the worst of its parts'.

    Attributes:
        worst: the part that the verdict rests on; None where the claim was not judged
        reason: why it was not
        untested: what the claim says besides
    """

    name: str
    sentence: str
    verdict: str
    parts: tuple[PartAnswer, ...]
    worst: PartAnswer | None
    reason: str
    untested: str

    @property
    def headline(self) -> str:
        """The sentence as one begins."""
        return self.sentence[:1].upper() + self.sentence[1:]

    @property
    def symbol(self) -> str:
        """Beside the verdict's word."""
        return SYMBOLS[self.verdict]

    @property
    def style(self) -> str:
        """Class of the verdict."""
        return NAMES[self.verdict]


def answers_of(results: StoredResults) -> tuple[ClaimAnswer, ...]:
    """A claim each, in the order of the results; claims that have findings and are not listed come last."""
    claims = results.content["claims"]
    sums = {of.name: of for of in sums_of(results.findings, results.content["not_judged"])}
    unknown = Sum("", "", "", "", ())
    return tuple(_answer(name, sums.get(name, unknown), claims.get(name)) for name in dict.fromkeys([*claims, *sums]))


def counts_of(answers: Sequence[ClaimAnswer]) -> Counter[str]:
    """How many claims have each verdict."""
    return Counter(answer.verdict for answer in answers)


def summary(answers: Sequence[ClaimAnswer], model: str) -> str:
    """The answer in a sentence.

    Example:
        >>> summary([], "gpt2")
        'Of the 0 claims, none could be judged on gpt2.'
    """
    counts = counts_of(answers)
    judged = len(answers) - counts[NOT_JUDGED]
    if not judged:
        return f"Of the {len(answers)} claims, none could be judged on {model}."
    fail, is_open = counts["does not hold"], counts["undecided"]
    rest = f"; {counts[NOT_JUDGED]} could not be judged in this run" if counts[NOT_JUDGED] else ""
    return (
        f"Of the {len(answers)} claims, {_count(counts['holds'], 'holds', 'hold')} on {model}, "
        f"{_count(fail, 'does not', 'do not')}, and {_count(is_open, 'is', 'are')} undecided{rest}."
    )


def _count(number: int, one: str, several: str) -> str:
    return f"{number or 'none'} {one if number == 1 else several}"


def _answer(name: str, of: Sum, listed: Mapping[str, str] | None) -> ClaimAnswer:
    parts = tuple(map(_part, of.findings))
    return ClaimAnswer(
        name=name,
        sentence=listed["claims"] if listed else of.sentence or name,
        verdict=NOT_JUDGED if of.verdict is None else of.verdict.value,
        parts=parts,
        worst=None if of.weakest is None else parts[of.findings.index(of.weakest)],
        reason="" if parts else of.reason or NOT_MEASURED,
        untested=listed["untested"] if listed else of.untested,
    )


def _part(finding: Finding) -> PartAnswer:
    return PartAnswer(
        name=", ".join(of for of in (finding.part, finding.family, finding.variant) if of),
        verdict=finding.verdict.value,
        number=plus_minus(finding.value, finding.error),
        required=_required(finding),
        distance=_distance(finding),
        quantity=words.quantity(finding),
        tested=f"{finding.count:,} {finding.counted}",
        place=words.place(finding),
        interval=words.interval(finding),
        references=words.references(finding),
        decide=what_would_decide(finding),
    )


def _required(finding: Finding) -> str:
    bound = finding.judged.bound
    threshold = f"{bound.threshold:.3g}"
    return (
        f"within {threshold} of {bound.centre:.3g}" if bound.kind == "within" else f"{_BETWEEN[bound.kind]} {threshold}"
    )


def _distance(finding: Finding) -> str:
    far = distance(finding)
    if not finding.error > 0 or far != far or abs(far) == float("inf"):
        return ""
    errors = f"{abs(far):.1f}" if abs(far) < 100 else f"{abs(far):.0f}"
    return f"{errors} errors {'inside' if far >= 0 else 'beyond'} the bound"
