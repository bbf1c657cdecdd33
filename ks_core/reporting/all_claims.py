"""The claims of a session judged one after another, as the tests of `bench/paper` do, without pytest."""

from __future__ import annotations

from collections.abc import Collection

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Finding, NotApplicable
from ks_core.claims.registry import CLAIMS
from ks_core.experiments.measured import Part
from ks_core.reporting import words
from ks_core.reporting.session import PaperSession


def id_of_test(claim: str) -> str:
    """The test of `bench/paper` that a claim is, by which baselines know it.

    Example:
        >>> id_of_test("zero-mean")
        'bench/paper/test_claims.py::test_claim[zero-mean]'
    """
    return f"bench/paper/test_claims.py::test_claim[{claim}]"


def claims_of(parts: Collection[Part]) -> tuple[Claim, ...]:
    """The claims that are judged of these parts of a measurement, in the order in which they are shown."""
    return tuple(claim for claim in CLAIMS.values() if claim.needs in parts)


def judge_claim(session: PaperSession, claim: Claim) -> list[str]:
    """Judge a claim on what is measured and put it on the table.

    Returns:
        What is wrong: how it differs from the baseline, and, of a claim that must hold wherever it is measured
        (`gate` is "always"), what does not hold.

    Raises:
        KsError: what was measured cannot be judged.
    """
    outcome = claim.judge(session.measured)
    if isinstance(outcome, NotApplicable):
        session.not_applicable[claim.name] = outcome
        return []
    problems = session.record(outcome, id_of_test(claim.name), gate=claim.gate == "baseline")
    if claim.gate == "always":
        problems += [off(finding) for finding in outcome if finding.verdict.value != "holds"]
    return problems


def off(finding: Finding) -> str:
    """What a finding that does not hold, and must, was to be and is."""
    place, required = words.place(finding), words.required(finding.judged.bound)
    return (
        f"{finding.id} {finding.verdict.value}: {place}: measured {finding.value:.6g}, required {required} "
        f"({words.quantity(finding)}; tolerance: {finding.tolerance}; {words.references(finding)} of {finding.count} "
        f"{finding.counted})"
    )
