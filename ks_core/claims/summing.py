"""What a claim of several parts comes to: one verdict, and the number that it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ks_core.claims.claim import Claim, Outcome
from ks_core.claims.deciding import needed
from ks_core.claims.finding import Finding, NotApplicable, Verdict
from ks_core.claims.judging import everywhere
from ks_core.claims.published import INNER_PRODUCTS, SUPERPOSITION
from ks_core.claims.registry import CLAIMS

NOT_JUDGED = "not judged"
"""In place of a verdict, of a claim that has none."""


@dataclass(frozen=True)
class Sum:
    """A claim, or what is none of the known ones and has a finding, with all its parts.

    Attributes:
        name: of the claim
        sentence: what is claimed; empty where it is not known
        short: the same in few words; empty where there is no shorter way
        untested: what the claim says besides
        findings: its parts, families and variants, in the order they were found
        reason: why it was not judged; empty where it was
    """

    name: str
    sentence: str
    short: str
    untested: str
    findings: tuple[Finding, ...]
    reason: str = ""

    @property
    def verdict(self) -> Verdict | None:
        """On all parts: it fails when one does, and holds when all do. None where there is none."""
        return everywhere([of.verdict for of in self.findings]) if self.findings else None

    @property
    def label(self) -> str:
        """The verdict in words."""
        return NOT_JUDGED if self.verdict is None else self.verdict.value

    @property
    def holding(self) -> int:
        """How many parts hold."""
        return sum(of.verdict is Verdict.HOLDS for of in self.findings)

    @property
    def resting(self) -> tuple[Finding, ...]:
        """The parts that have the verdict of the whole."""
        return tuple(of for of in self.findings if of.verdict is self.verdict)

    @property
    def weakest(self) -> Finding | None:
        """The part that the verdict rests on, or None.

        Of a claim that fails the one that breaks it most clearly, of one that holds the one that comes nearest to
        breaking it, both in errors; of an undecided one that which takes the most to decide, as all must be.
        """
        resting = self.resting
        if not resting:
            return None
        if self.verdict is Verdict.UNDECIDED:
            return max(resting, key=_cost)
        return min(resting, key=lambda of: -math.inf if math.isnan(distance(of)) else distance(of))


def distance(finding: Finding) -> float:
    """How far a number is inside its threshold, in its standard errors (over facts and text); negative outside.

    Infinite where the number has no error, NaN where it or its error is not known.

    Example:
        >>> from ks_core.claims.finding import Bound, Judged
        >>> judged = Judged(4.0, 0.3, 0.4, (3.2, 4.8), Bound("above", 3.0), Verdict.HOLDS)
        >>> distance(Finding("mine", "a number", judged, count=8))
        2.0
    """
    judged = finding.judged
    if not math.isfinite(judged.value):
        return math.nan
    inside = judged.bound.margin(judged.value, judged.value)
    if judged.error == 0:
        return math.copysign(math.inf, inside) if inside else 0.0
    return inside / judged.error


def sums_of(
    findings: Iterable[Finding],
    not_judged: Mapping[str, str] | Mapping[str, NotApplicable] | None = None,
    claims: Mapping[str, Claim] = CLAIMS,
) -> list[Sum]:
    """Findings by claim, in the order of the claims; then those of no known claim, as they come.

    Args:
        findings: of one model.
        not_judged: claim → why it was not.
        claims: by name.

    Returns:
        One sum for each claim that has findings or a reason; a claim with both has its findings.
    """
    parts: dict[str, list[Finding]] = {}
    for finding in findings:
        parts.setdefault(claim_of(finding, claims), []).append(finding)
    reasons = {name: of.reason if isinstance(of, NotApplicable) else of for name, of in (not_judged or {}).items()}
    known = [name for name in claims if name in parts or name in reasons]
    names = dict.fromkeys([*known, *parts, *reasons])
    return [_sum(name, claims.get(name), parts.get(name, ()), reasons.get(name, "")) for name in names]


def sums_of_outcomes(outcomes: Mapping[str, Outcome], claims: Mapping[str, Claim]) -> list[Sum]:
    """What claims came to, by name, as sums in the same order."""
    return [
        _sum(name, claims.get(name), (), of.reason)
        if isinstance(of, NotApplicable)
        else _sum(name, claims.get(name), of, "")
        for name, of in outcomes.items()
    ]


def claim_of(finding: Finding, claims: Mapping[str, Claim] = CLAIMS) -> str:
    """Name of the claim that a finding decides (a part of).

    A claim on long streams has findings of the name of that on short ones, with a variant; both of the published
    numbers have one name, and tell themselves apart by the matrix.

    Example:
        >>> from ks_core.claims.finding import Bound, Judged
        >>> judged = Judged(4.0, 0.3, 0.4, (3.2, 4.8), Bound("above", 3.0), Verdict.HOLDS)
        >>> claim_of(Finding("methods", "damage", judged, count=8, part="damage", variant="long"))
        'methods@long'
    """
    if finding.claim == "published" and finding.claim not in claims:
        return (SUPERPOSITION if finding.part.partition("-of-")[2].startswith("P") else INNER_PRODUCTS).name
    long = f"{finding.claim}@{finding.variant}"
    return long if finding.variant and long in claims else finding.claim


def count_of(sums: Sequence[Sum], model: str = "") -> str:
    """How many claims hold, on a model, in one sentence.

    Example:
        >>> count_of([Sum("mine", "", "", "", (), "no data")], "gpt2")
        '0 of 1 claim holds on gpt2, 1 not judged'
    """
    verdicts, of_one = [of.verdict for of in sums], len(sums) == 1
    others = {
        "does not" if of_one else "do not": verdicts.count(Verdict.FAILS),
        "undecided": verdicts.count(Verdict.UNDECIDED),
        NOT_JUDGED: verdicts.count(None),
    }
    hold = f"{verdicts.count(Verdict.HOLDS)} of {len(sums)} {'claim holds' if of_one else 'claims hold'}"
    told = [f"{hold} on {model}" if model else hold]
    return ", ".join(told + [f"{number} {words}" for words, number in others.items() if number])


def _sum(name: str, claim: Claim | None, findings: Sequence[Finding], reason: str) -> Sum:
    if claim is None:
        return Sum(name, "", "", "", tuple(findings), reason)
    return Sum(name, claim.sentence, claim.short, claim.untested, tuple(findings), reason)


def _cost(finding: Finding) -> float:
    found = needed(finding)
    return 0.0 if found is None else found.cost
