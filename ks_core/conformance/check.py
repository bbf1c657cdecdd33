"""Holding an implementation against all its laws from ordinary code, without pytest."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ks_core.conformance.causes import first_broken, following
from ks_core.conformance.checking import MAX_EXAMPLES, Subject, hold
from ks_core.conformance.collectors import Collector
from ks_core.conformance.editors import Editor
from ks_core.conformance.extractors import Extractor
from ks_core.conformance.registry import laws_for
from ks_core.conformance.results import LawResult
from ks_core.errors import InputError
from ks_core.theory.traits import Traits

NONE: Mapping[str, str] = MappingProxyType({})


def check_editor(
    editor: Any,
    traits: Traits | None = None,
    *,
    xfails: Mapping[str, str] = NONE,
    skips: Collection[str] = (),
    max_examples: int = MAX_EXAMPLES,
    seed: int = 0,
) -> tuple[LawResult, ...]:
    """Hold an editor against the laws that its traits ask for.

    Args:
        editor: `edit(weight, keys, values, second_moment) -> new weight`, or a factory of such where it is stateful.
        traits: what it claims, unless that is declared on the editor itself.
        xfails: laws that it is known to break, with the reason.
        skips: laws that are not to be tried.
        max_examples: of each law.
        seed: of the examples.

    Returns:
        One result for each law, in the order of reports; nothing is raised where a law is broken.

    Raises:
        InputError: the editor cannot be called, its traits are not Traits, or an unknown law is named.

    Example:
        >>> from ks_core.conformance.reference import sequential
        >>> results = check_editor(sequential, max_examples=5)
        >>> sorted({result.outcome for result in results})
        ['passed', 'skipped']
    """
    return _check(Editor.of(editor, traits), xfails, skips, max_examples, seed)


def check_collector(
    collector: Any,
    traits: Traits | None = None,
    *,
    xfails: Mapping[str, str] = NONE,
    skips: Collection[str] = (),
    max_examples: int = MAX_EXAMPLES,
    seed: int = 0,
) -> tuple[LawResult, ...]:
    """Hold a second-moment collector `collect(shards) -> C` against its laws; arguments as in `check_editor`."""
    return _check(Collector.of(collector, traits), xfails, skips, max_examples, seed)


def check_extractor(
    extractor: Any,
    traits: Traits | None = None,
    *,
    xfails: Mapping[str, str] = NONE,
    skips: Collection[str] = (),
    max_examples: int = MAX_EXAMPLES,
    seed: int = 0,
) -> tuple[LawResult, ...]:
    """Hold a key extractor `extract(model, tokenizer, prompts, subject_spans, layer) -> keys` against its laws."""
    return _check(Extractor.of(extractor, traits), xfails, skips, max_examples, seed)


def _check(
    subject: Subject, xfails: Mapping[str, str], skips: Collection[str], max_examples: int, seed: int
) -> tuple[LawResult, ...]:
    laws = laws_for(subject.subject)
    unknown = sorted({*xfails, *skips} - {law.name for law in laws})
    if unknown:
        known = ", ".join(law.name for law in laws)
        raise InputError(f"there is no law {unknown[0]!r} of {subject.subject}s; expected some of {known}")
    if max_examples < 1:
        raise InputError(f"max_examples is {max_examples}; expected at least 1")
    results = []
    for law in laws:
        if law.name in skips:
            results.append(LawResult(law.name, "skipped", "left out on request"))
            continue
        result = hold(law, subject, max_examples=max_examples, seed=seed)
        results.append(_as_expected(result, xfails[law.name]) if law.name in xfails else result)
    causes = first_broken((result.law, result.outcome) for result in results)
    return tuple(following(result, causes) for result in results)


def _as_expected(result: LawResult, reason: str) -> LawResult:
    """A failure that was expected, or a law that holds although it was expected to fail."""
    outcome = {"failed": "xfailed", "passed": "xpassed"}.get(result.outcome, result.outcome)
    return replace(result, outcome=outcome, reason=result.reason or reason)
