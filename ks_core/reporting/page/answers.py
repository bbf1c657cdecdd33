"""The claims of a run as answers: a verdict and a number a claim, with its parts, and how many hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ks_core.claims.deciding import what_would_decide
from ks_core.claims.finding import Finding, Verdict
from ks_core.formatting import plus_minus
from ks_core.reporting import words
from ks_core.reporting.stored_results import StoredResults

NOT_JUDGED = "not judged"
SYMBOLS = {"holds": "✓", "does not hold": "✗", "undecided": "?", NOT_JUDGED: "–"}
"""Verdict → what stands beside its word, so that no colour has to say it."""

NAMES = {"holds": "holds", "does not hold": "fails", "undecided": "open", NOT_JUDGED: "none"}
"""Verdict → its class in the style sheet."""

NOT_MEASURED = "what it needs was not measured in this run"

_WORST = (Verdict.FAILS, Verdict.UNDECIDED, Verdict.HOLDS)

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
    found: dict[str, list[Finding]] = {name: [] for name in claims}
    for finding in results.findings:
        found.setdefault(claim_of(finding, tuple(claims)), []).append(finding)
    reasons = results.content["not_judged"]
    return tuple(
        _answer(
            name,
            claims[name]["claims"] if name in claims else name,
            findings,
            reasons.get(name, NOT_MEASURED),
            claims[name]["untested"] if name in claims else "",
        )
        for name, findings in found.items()
    )


def claim_of(finding: Finding, claims: Sequence[str]) -> str:
    """Which claim a finding is of: that of its variant, where there is one of that name.

    Example:
        >>> from ks_core.claims.finding import Bound, Judged
        >>> judged = Judged(4.0, 0.1, 0.1, (3.5, 4.5), Bound("above", 3.0), Verdict.HOLDS)
        >>> finding = Finding("methods", "score", judged, count=8, variant="long")
        >>> claim_of(finding, ["methods", "methods@long"]), claim_of(finding, ["methods"])
        ('methods@long', 'methods')
    """
    own = f"{finding.claim}@{finding.variant}"
    return own if own in claims else finding.claim


def verdict_of(findings: Sequence[Finding]) -> str:
    """Of a claim: that of its worst part; a claim holds where all parts do."""
    there = {finding.verdict for finding in findings}
    return next((verdict.value for verdict in _WORST if verdict in there), NOT_JUDGED)


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


def _answer(name: str, sentence: str, findings: Sequence[Finding], reason: str, untested: str) -> ClaimAnswer:
    parts = tuple(map(_part, findings))
    verdict = verdict_of(findings)
    worst = min(
        (place for place, of in enumerate(findings) if of.verdict.value == verdict),
        key=lambda place: margin(findings[place]),
        default=None,
    )
    return ClaimAnswer(
        name=name,
        sentence=sentence,
        verdict=verdict,
        parts=parts,
        worst=None if worst is None else parts[worst],
        reason="" if findings else reason,
        untested=untested,
    )


def margin(finding: Finding) -> float:
    """How far a number is on its required side, in its errors; negative beyond."""
    value, bound = finding.value, finding.judged.bound
    inside = bound.margin(value, value)
    return inside / finding.error if finding.error > 0 else inside


def _part(finding: Finding) -> PartAnswer:
    is_open = finding.verdict is Verdict.UNDECIDED
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
        decide=what_would_decide(finding) if is_open else "",
    )


def _required(finding: Finding) -> str:
    bound = finding.judged.bound
    threshold = f"{bound.threshold:.3g}"
    return (
        f"within {threshold} of {bound.centre:.3g}" if bound.kind == "within" else f"{_BETWEEN[bound.kind]} {threshold}"
    )


def _distance(finding: Finding) -> str:
    far = margin(finding)
    if not finding.error > 0 or far != far or abs(far) == float("inf"):
        return ""
    errors = f"{abs(far):.1f}" if abs(far) < 100 else f"{abs(far):.0f}"
    return f"{errors} errors {'inside' if far >= 0 else 'beyond'} the bound"
