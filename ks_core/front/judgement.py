"""The verdicts on all claims as one value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ks_core.claims.claim import Outcome
from ks_core.claims.finding import Finding, NotApplicable
from ks_core.errors import InputError
from ks_core.formatting import shown
from ks_core.reporting.table import claims_table


@dataclass(frozen=True, eq=False, repr=False)
class Judgement:
    """What the claims of the paper come to on one model; printed, it is the table of claims.

    Iteration gives each `Finding`, and a `NotApplicable` for each claim that cannot be judged, in the order of claims;
    `judgement["zero-mean"]` is what one of them comes to.
    """

    model: str
    outcomes: Mapping[str, Outcome]
    """claim → its findings, or why there are none"""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings."""
        return tuple(of for of in self if isinstance(of, Finding))

    @property
    def not_applicable(self) -> dict[str, NotApplicable]:
        """Claim → why it cannot be judged."""
        return {name: of for name, of in self.outcomes.items() if isinstance(of, NotApplicable)}

    def __iter__(self) -> Iterator[Finding | NotApplicable]:
        for outcome in self.outcomes.values():
            yield from (outcome,) if isinstance(outcome, NotApplicable) else outcome

    def __getitem__(self, claim: str) -> Outcome:
        if claim not in self.outcomes:
            raise InputError(f"there is no claim {shown(claim)}; expected one of {', '.join(self.outcomes)}")
        return self.outcomes[claim]

    def __repr__(self) -> str:
        return claims_table(self.findings, self.model, self.not_applicable)
