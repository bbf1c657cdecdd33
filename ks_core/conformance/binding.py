"""Laws bound to an implementation, as parameters of a pytest test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ks_core.conformance.causes import following
from ks_core.conformance.checking import MAX_EXAMPLES, Subject, hold
from ks_core.conformance.editors import Editor
from ks_core.conformance.law import Law
from ks_core.conformance.registry import laws_for
from ks_core.conformance.results import LawResult
from ks_core.theory.traits import Traits


class BoundLaw:
    """A law and what is held against it; calling it is the test.

    Attributes:
        result: what came of the call, for the table at the end of the run; None before.
        broken_before: laws that others rest on and that the same implementation broke, in this process; shared.
        max_examples: as asked for with `--ks-max-examples`, which pytest knows only after this was made.
        seed: of the examples, from `--ks-seed`.
    """

    def __init__(self, law: Law, subject: Subject) -> None:
        self.law = law
        self.subject = subject
        self.max_examples = MAX_EXAMPLES
        self.seed = 0
        self.result: LawResult | None = None
        self.broken_before: list[str] = []

    def __call__(self) -> None:
        """Fail with the message of a broken law, skip where the law does not apply or cannot judge."""
        result = hold(self.law, self.subject, max_examples=self.max_examples, seed=self.seed)
        self.result = following(result, self.broken_before)
        if self.result.outcome == "failed":
            if self.law.first:
                self.broken_before.append(self.law.name)
            pytest.fail(self.result.message, pytrace=False)
        if self.result.outcome != "passed":
            pytest.skip(self.result.reason)


def bound_laws(subject: Subject) -> list[BoundLaw]:
    """Every law about what the subject is, applied to it."""
    bound = [BoundLaw(law, subject) for law in laws_for(subject.subject)]
    for each in bound:
        each.broken_before = bound[0].broken_before
    return bound


def parametrize_with_laws(editor: Any, traits: Traits | None = None) -> Callable[[Any], Any]:
    """Turn a test function into one test for each law; it takes the argument `law` and calls it.

        @parametrize_with_laws(my_editor)
        def test_my_editor(law):
            law()

    Args:
        editor: `edit(weight, keys, values, second_moment) -> new weight`, or a factory of such where it is stateful.
        traits: what it claims, unless it is declared on the editor itself.

    Raises:
        InputError: the editor cannot be called, or its traits are not Traits.
    """
    laws = bound_laws(Editor.of(editor, traits))
    return pytest.mark.parametrize("law", laws, ids=[bound.law.name for bound in laws])
