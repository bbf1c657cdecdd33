"""A claim: its name, what must have been measured to judge it, and how it is judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ks_core.claims.finding import Finding, NotApplicable
from ks_core.experiments.measured import Measured, Part

Outcome = Sequence[Finding] | NotApplicable


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, or one that follows from it; the module that makes it has definition and reasons.

    Attributes:
        sentence: what is claimed, in one line
        short: the same in at most 35 characters, 26 where it has parts, for a line of the terminal
        needs: of what was measured it is judged
        judgement: pure: what `needs` names, as it was measured → findings, or why there are none
        gate: when a verdict can fail a run: held against a baseline; whenever it does not hold; or never, being shown
            only
        missing: why what it needs may not be there
        untested: what the claim says besides that is not tested here
    """

    name: str
    sentence: str
    needs: Part
    judgement: Callable[[Any], Outcome]
    gate: Literal["baseline", "always", "never"] = "baseline"
    missing: str = "it was not measured"
    untested: str = ""
    short: str = ""

    def judge(self, measured: Measured) -> Outcome:
        """Findings, or why there are none."""
        needed = getattr(measured, self.needs)
        if needed is None:
            return NotApplicable(self.missing)
        return self.judgement(needed)
