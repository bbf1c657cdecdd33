"""The verdicts on claims as one value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ks_core import arguments
from ks_core.claims.claim import Claim, Outcome
from ks_core.claims.finding import Finding, NotApplicable
from ks_core.claims.registry import judge_all
from ks_core.claims.summing import sums_of_outcomes
from ks_core.errors import InputError, UnknownNameError
from ks_core.experiments.measured import Measured
from ks_core.formatting import shown
from ks_core.reporting.claim_lines import claims_text
from ks_core.reporting.screen import NARROWEST, screen_of


@dataclass(frozen=True, eq=False, repr=False)
class Judgement(Mapping[str, Outcome]):
    """What claims come to on one model: a mapping from each claim's name to its findings, or to why it has none.

    Printed, it is one line a claim, see `table`; `judgement["zero-mean"]` is what one of them comes to.

    Attributes:
        claims: what was judged, by name
        outcomes: claim → its findings, or why there are none
    """

    model: str
    claims: Mapping[str, Claim]
    outcomes: Mapping[str, Outcome]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, in the order of the claims."""
        return tuple(finding for of in self.values() if not isinstance(of, NotApplicable) for finding in of)

    @property
    def not_applicable(self) -> dict[str, NotApplicable]:
        """Claim → why it cannot be judged."""
        return {name: of for name, of in self.items() if isinstance(of, NotApplicable)}

    def __getitem__(self, claim: str) -> Outcome:
        if claim not in self.outcomes:
            raise UnknownNameError(f"there is no claim {shown(claim)}; expected one of {', '.join(self.outcomes)}")
        return self.outcomes[claim]

    def __iter__(self) -> Iterator[str]:
        return iter(self.outcomes)

    def __len__(self) -> int:
        return len(self.outcomes)

    def table(self, *, parts: bool = False, width: int | None = None) -> str:
        """One line a claim: the verdict, the number it rests on, how far off that is, and what would decide.

        Args:
            parts: whether each part of a claim follows, with layers, interval, n and references.
            width: columns; those of the terminal, or 100 where there is none, when left out.

        Raises:
            InputError: a width of fewer than 20 columns.
        """
        screen = screen_of()
        columns = screen.width if width is None else arguments.whole_number("width", width, least=NARROWEST)
        screen = replace(screen, width=columns, colour=False)  # a text may go anywhere
        more = "" if parts else "table(parts=True)"
        return claims_text(sums_of_outcomes(self.outcomes, self.claims), self.model, screen, parts=parts, more=more)

    def __repr__(self) -> str:
        return self.table()


def judgement_of(measured: Measured, claims: Mapping[str, Claim] | Iterable[Claim]) -> Judgement:
    """Judge claims on what was measured.

    Args:
        measured: on one model.
        claims: by name, or a collection of them, each with another name.

    Raises:
        InputError: what is no claim, two of one name, or none at all.
    """
    named = _by_name(claims)
    return Judgement(measured.pairs.settings.model_name, named, judge_all(measured, named))


def _by_name(claims: Mapping[str, Claim] | Iterable[Claim]) -> dict[str, Claim]:
    expected = "a collection of Claims (ks_core.claims.claim)"
    given = list(claims.values() if isinstance(claims, Mapping) else arguments.items("claims", claims, expected))
    if not given or not all(isinstance(claim, Claim) for claim in given):
        raise InputError(f"claims is {shown(claims)}; expected {expected}, one at least")
    named = {claim.name: claim for claim in given}
    if len(named) < len(given) or (isinstance(claims, Mapping) and list(claims) != list(named)):
        names = ", ".join(claim.name for claim in given)
        raise InputError(f"claims have the names {shown(names)}; expected each another one, and as key its own")
    return named
