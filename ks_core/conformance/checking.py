"""Holding an implementation against a law: many examples, the smallest that breaks it, the worst that does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import hypothesis
from hypothesis import Phase
from hypothesis.errors import FlakyFailure

from ks_core.conformance.arrays import Misbehaviour
from ks_core.conformance.law import POWER, Gap, Law
from ks_core.conformance.results import LawResult, failure_message, plain

MAX_EXAMPLES = 50
"""Per law; at least this many are tried where no other number is asked for."""


LEAST_JUDGED = 0.2
"""Share of the examples: a law that can be judged on fewer is undecided, as they are the easy ones."""


class Subject(Protocol):
    """What is held against laws: an `Editor`, a `Collector` or an `Extractor`."""

    subject: str

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def words(self) -> tuple[str, ...]:
        """Its claims, as laws ask for them."""

    @property
    def traits(self) -> Any:
        """What the examples are drawn for."""


class Broken(Exception):  # noqa: N818 - not an error of this package but a finding about another
    """A law does not hold on one example."""

    def __init__(self, finding: Gap | Misbehaviour, example: Any) -> None:
        super().__init__()
        self.finding = finding
        self.example = example


@dataclass
class _Trials:
    """What was seen on the way: how many examples, the worst gap that was still allowed, the last that broke it."""

    tried: int = 0
    unjudged: int = 0
    worst: Gap | None = None
    weakest: Gap | None = None
    broken: Broken | None = None

    @property
    def judged(self) -> int:
        """How many examples told something."""
        return self.tried - self.unjudged

    def measure(self, law: Law, subject: Subject, example: Any) -> None:
        self.tried += 1
        try:
            gaps = list(law.check(subject, example))
        except Misbehaviour as finding:
            self.broken = Broken(finding, example)
            raise self.broken from finding
        for gap in gaps:
            if gap.ratio > 1:  # more than rounding, however little power there is
                self.broken = Broken(gap, example)
                raise self.broken
        weak = [gap for gap in gaps if not gap.judged]
        if weak or not gaps:
            self.unjudged += 1
            self.weakest = weak[0] if weak else self.weakest
            return
        self.worst = max([*gaps, *filter(None, [self.worst])], key=lambda gap: gap.ratio, default=None)


def hold(
    law: Law, subject: Subject, *, max_examples: int = MAX_EXAMPLES, seed: int = 0, shrink: bool = True
) -> LawResult:
    """Try a law on generated examples.

    Args:
        law: one of `ks_core.conformance.registry.LAWS`.
        subject: the implementation, wrapped.
        max_examples: how many examples to try; the same seed gives the same ones.
        seed: of the examples.
        shrink: look for the smallest counterexample; without, the first one found is given.

    Returns:
        Passed, failed (with the smallest counterexample), undecided where too few examples could be judged or, where
        the law does not apply, skipped.
    """
    reason = law.not_applied_because(subject.words)
    if reason:
        return LawResult(law.name, "skipped", reason)
    trials = _Trials()

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=max_examples,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(law.examples(subject.traits))
    def held(example: Any) -> None:
        trials.measure(law, subject, example)

    try:
        held()
    except Broken as broken:
        return _failed(law, subject, broken, trials)
    except FlakyFailure:
        # The same example broke the law once and not again, as state or randomness makes it.
        if trials.broken is None:
            raise
        return _failed(law, subject, trials.broken, trials)
    return _not_broken(law, trials)


def _not_broken(law: Law, trials: _Trials) -> LawResult:
    """Passed on what was judged; undecided where nothing was."""
    if trials.judged < LEAST_JUDGED * trials.tried:
        reason = f"{trials.judged} of {trials.tried} examples could be judged: {_why_not(trials.weakest)}"
        return LawResult(law.name, "undecided", reason, examples=trials.judged, unjudged=trials.unjudged)
    worst = trials.worst
    size, allowed = (worst.size, worst.allowed) if worst else (0.0, 0.0)
    return LawResult(
        law.name, "passed", examples=trials.judged, unjudged=trials.unjudged, violation=size, tolerance=allowed
    )


def _why_not(weak: Gap | None) -> str:
    if weak is None:
        return "on the others it was refused, or what was wrong is for another law to name"
    return (
        f"rounding may do {weak.allowed:.2g}, say, where what is looked for is {weak.effect:.2g}, "
        f"and is little where it is at most {POWER:g} of that"
    )


def _failed(law: Law, subject: Subject, broken: Broken, trials: _Trials) -> LawResult:
    finding = broken.finding
    usual_cause = getattr(finding, "usual_cause", "") or law.usual_cause
    size, allowed = (finding.size, finding.allowed) if isinstance(finding, Gap) else (float("inf"), 0.0)
    return LawResult(
        law.name,
        "failed",
        examples=trials.judged,
        unjudged=trials.unjudged,
        violation=size,
        tolerance=allowed,
        counterexample=plain(broken.example),
        message=failure_message(law, f"{subject.subject} {subject.name}", finding, broken.example, usual_cause),
        usual_cause=usual_cause,
    )
