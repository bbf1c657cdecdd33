"""The outcome of holding one implementation against one law, as a value and as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ks_core.conformance.law import Gap, Law
from ks_core.conformance.strategies import EditProblem, SecondMomentCase
from ks_core.formatting import printable

OUTCOMES = ("passed", "failed", "undecided", "skipped", "xfailed", "xpassed")


@dataclass(frozen=True)
class LawResult:
    """What became of one law.

    Attributes:
        law: its name.
        outcome: "passed", "failed", "undecided" (on every example rounding may do too much of what a fault would),
            "skipped" (not applied, or left out on request), "xfailed" (fails, as was expected) or "xpassed" (holds,
            though it was expected to fail).
        reason: why it was undecided, skipped or expected to fail.
        examples: how many examples the law was judged on.
        unjudged: how many besides were tried and told nothing, as the tolerance was too large there.
        violation: how far the worst example is from the law; for a failure, the smallest counterexample.
        tolerance: what rounding was allowed there.
        counterexample: of a failure, by name, as nested lists.
        message: of a failure, complete; empty otherwise.
        usual_cause: of a failure of this law.
        may_follow_from: the broken law from which this failure may follow; empty where there is none.
    """

    law: str
    outcome: str
    reason: str = ""
    examples: int = 0
    unjudged: int = 0
    violation: float = 0.0
    tolerance: float = 0.0
    counterexample: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    usual_cause: str = ""
    may_follow_from: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it: an infinite violation (not a number, another shape) is written as text."""
        plain = asdict(self)
        return {name: str(value) if value == float("inf") else value for name, value in plain.items()}


def failure_message(law: Law, subject: str, finding: Gap | Exception, example: Any, usual_cause: str) -> str:
    """Law, violation against tolerance, counterexample, usual cause; all that is needed without a traceback."""
    lines = [f"{printable(subject)} breaks the law {law.name}", f"  law: {law.formula}"]
    if isinstance(finding, Gap):
        lines += [f"  broken: {_violation(finding)}", *_shown("    got", finding.got)]
        lines += _shown("    expected", finding.expected)
    else:
        lines.append(f"  broken: {printable(finding)}")
    lines.append("  smallest counterexample found:")
    for name, array in arrays_of(example).items():
        lines += _shown(f"    {name}", array)
    return "\n".join([*lines, f"  usual cause: {usual_cause}", f"  why it matters: {law.why}"])


def _violation(gap: Gap) -> str:
    if gap.allowed == 0:
        return f"{gap.what}: off by up to {gap.size:.3g}, where no bit may differ"
    return f"{gap.what}: off by up to {gap.size:.3g}, {gap.ratio:.2g} times the {gap.allowed:.3g} {gap.allowance}"


def _shown(name: str, value: Any) -> list[str]:
    if not isinstance(value, Tensor):
        return [f"{name} = {value!r}"]
    with np.printoptions(precision=6, suppress=True, threshold=64, linewidth=100):
        text = str(value.detach().double().numpy() + 0.0)  # -0 is 0
    return [f"{name} {tuple(value.shape)} =", *(f"{' ' * 8}{line}" for line in text.splitlines())]


def arrays_of(example: Any) -> dict[str, Any]:
    """The example's arrays by name; of a second moment only the matrix, as that is what an implementation sees."""
    if isinstance(example, SecondMomentCase):
        return {"second_moment": example.matrix}
    if isinstance(example, EditProblem) and example.unused is not None:
        return arrays_of(replace(example, moment=replace(example.moment, matrix=example.unused), unused=None))
    shown: dict[str, Any] = {}
    for entry in fields(example):
        value = getattr(example, entry.name)
        if is_dataclass(value):
            shown |= arrays_of(value)
        elif value is not None:
            shown[entry.name] = value
    return shown


def plain(example: Any) -> dict[str, Any]:
    """The example's arrays as nested lists."""
    shown = arrays_of(example).items()
    return {name: value.tolist() if isinstance(value, torch.Tensor) else value for name, value in shown}
