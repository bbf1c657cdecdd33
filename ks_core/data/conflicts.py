"""Edits that get in each other's way by what they say."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

from ks_core.data.facts import Fact, same_text
from ks_core.formatting import printable, quoted


def conflicts(edits: Sequence[Fact]) -> list[str]:
    """Describe edits of one subject and relation that come twice, each in a sentence.

    Example:
        >>> hugo = Fact(7, "Victor Hugo", "P103", "As a child, {} spoke", "French", "Dutch")
        >>> conflicts([hugo, Fact(8, "Victor Hugo", "P103", "{} grew up with", "French", "Polish")])
        ["edits 7 and 8 contradict each other: 'Victor Hugo' (P103) is to be 'Dutch' and 'Polish'"]
    """
    found = []
    for before, edit in _repeated(edits):
        what = f"{quoted(edit.subject)} ({quoted(edit.relation_id)[1:-1]})"
        if same_text(before.target_new, edit.target_new):
            found.append(
                f"edits {before.case_id} and {edit.case_id} are duplicates: {what} is to be {quoted(edit.target_new)}"
            )
        else:
            found.append(
                f"edits {before.case_id} and {edit.case_id} contradict each other: {what} is to be "
                f"{quoted(before.target_new)} and {quoted(edit.target_new)}"
            )
    return found


def contradicting(edits: Sequence[Fact]) -> tuple[Fact, ...]:
    """The edits that contradict another one, of the same subject and relation with another object, in their order.

    Example:
        >>> hugo = Fact(7, "Victor Hugo", "P103", "As a child, {} spoke", "French", "Dutch")
        >>> again = Fact(8, "Victor Hugo", "P103", "{} grew up with", "French", "Dutch")
        >>> other = Fact(9, "Victor Hugo", "P103", "{} grew up with", "French", "Polish")
        >>> [fact.case_id for fact in contradicting([hugo, again, other])]
        [7, 9]
    """
    pairs = [pair for pair in _repeated(edits) if not same_text(pair[0].target_new, pair[1].target_new)]
    cases = {fact.case_id for pair in pairs for fact in pair}
    return tuple(fact for fact in edits if fact.case_id in cases)


def _repeated(edits: Sequence[Fact]) -> Iterator[tuple[Fact, Fact]]:
    """Each edit whose subject and relation came before, after the first that had them."""
    first: dict[tuple[str, str], Fact] = {}
    for edit in edits:
        before = first.setdefault((edit.subject, edit.relation_id), edit)
        if before is not edit:
            yield before, edit


def warn_of_conflicts(edits: Sequence[Fact]) -> None:
    """Give a warning that names each pair of `conflicts`; made one after another, the last of them holds."""
    for conflict in conflicts(edits):
        sentence = printable(conflict)  # subjects and objects are other people's
        warnings.warn(f"{sentence}; one after another the last holds, jointly they cannot both", stacklevel=2)
