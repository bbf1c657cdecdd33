"""The claims of a run as answers: a verdict and a number a claim, with its parts, and how many hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ks_core.claims.deciding import what_would_decide
from ks_core.claims.finding import Finding, Verdict
from ks_core.claims.summing import NOT_JUDGED, Sum, count_of, sums_of
from ks_core.formatting import plus_minus
from ks_core.reporting import words
from ks_core.reporting.stored_results import StoredResults

SYMBOLS = {"holds": "✓", "does not hold": "✗", "undecided": "?", NOT_JUDGED: "–"}
"""Verdict → what stands beside its word, so that no colour has to say it."""

NAMES = {"holds": "holds", "does not hold": "fails", "undecided": "open", NOT_JUDGED: "none"}
"""Verdict → its class in the style sheet."""


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
        named: which part that is, and how many hold, where not all of several do
        decide: what would decide it; of several undecided parts, each; empty where it is decided
        reason: why it was not
        untested: what the claim says besides
    """

    name: str
    sentence: str
    verdict: str
    parts: tuple[PartAnswer, ...]
    worst: PartAnswer | None
    named: str
    decide: str
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
    """A claim each of those that the run asked: the same that its last line counts on the terminal."""
    claims = results.content["claims"]
    return tuple(_answer(of, claims.get(of.name)) for of in _sums(results))


def unasked_of(results: StoredResults) -> tuple[str, ...]:
    """What the claims say that were no part of the run, as claims on long streams often are not."""
    asked = {of.name for of in _sums(results)}
    return tuple(of["claims"] for name, of in results.content["claims"].items() if name not in asked)


def _sums(results: StoredResults) -> list[Sum]:
    return sums_of(results.findings, results.content["not_judged"])


def counts_of(answers: Sequence[ClaimAnswer]) -> Counter[str]:
    """How many claims have each verdict."""
    return Counter(answer.verdict for answer in answers)


def summary(results: StoredResults, model: str) -> str:
    """The answer in a sentence: that which the terminal ends with."""
    return f"{count_of(_sums(results), model)}."


def _answer(of: Sum, listed: Mapping[str, str] | None) -> ClaimAnswer:
    parts = tuple(map(_part, of.findings))
    worst = None if of.weakest is None else parts[of.findings.index(of.weakest)]
    return ClaimAnswer(
        name=of.name,
        sentence=listed["claims"] if listed else of.sentence or of.name,
        verdict=of.label,
        parts=parts,
        worst=worst,
        named=_named(of, worst),
        decide=_decide(of),
        reason=of.reason,
        untested=listed["untested"] if listed else of.untested,
    )


def _named(of: Sum, worst: PartAnswer | None) -> str:
    """Which part fails or is undecided: what is claimed may still hold of the others."""
    if worst is None or len(of.findings) < 2 or of.verdict is Verdict.HOLDS:
        return ""
    is_open, alike = of.verdict is Verdict.UNDECIDED, len(of.resting)
    several = f"one of {alike} that {'are undecided' if is_open else 'do not'}"
    one = "which is undecided" if is_open else "which does not"
    holding = f"{of.holding or 'none'} of {len(of.findings)} parts {'holds' if of.holding == 1 else 'hold'}"
    return f"{holding}; the number is of {worst.name}, {several if alike > 1 else one}"


def _decide(of: Sum) -> str:
    if of.verdict is not Verdict.UNDECIDED:
        return ""
    if len(of.resting) == 1:
        return what_would_decide(of.resting[0])
    return "; ".join(f"{_name(part)}: {what_would_decide(part)}" for part in of.resting)


def _name(finding: Finding) -> str:
    return "" if finding.id == finding.claim else words.part(finding)


def _part(finding: Finding) -> PartAnswer:
    return PartAnswer(
        name=_name(finding),
        verdict=finding.verdict.value,
        number=plus_minus(finding.value, finding.error),
        required=words.requirement(finding.judged.bound),
        distance=words.how_far(finding),
        quantity=words.quantity(finding),
        tested=f"{finding.count:,} {finding.counted}",
        place=words.place(finding),
        interval=words.interval(finding),
        references=words.references(finding),
        decide=what_would_decide(finding),
    )
