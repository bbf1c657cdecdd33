"""Edits that get in each other's way by what they say."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from ks_core.data.facts import Fact, same_text
from ks_core.formatting import printable, quoted


def conflicts(edits: Sequence[Fact]) -> list[str]:
    """Describe edits of one subject and relation that come twice, each in a sentence.

    Example:
        >>> hugo = Fact(7, "Victor Hugo", "P103", "As a child, {} spoke", "French", "Dutch")
        >>> conflicts([hugo, Fact(8, "Victor Hugo", "P103", "{} grew up with", "French", "Polish")])
        ["edits 7 and 8 contradict each other: 'Victor Hugo' (P103) is to be 'Dutch' and 'Polish'"]
    """
    first: dict[tuple[str, str], Fact] = {}
    found = []
    for edit in edits:
        before = first.setdefault((edit.subject, edit.relation_id), edit)
        if before is edit:
            continue
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


def warn_of_conflicts(edits: Sequence[Fact]) -> None:
    """Give a warning that names each pair of `conflicts`; made one after another, the last of them holds."""
    for conflict in conflicts(edits):
        sentence = printable(conflict)  # subjects and objects are other people's
        warnings.warn(f"{sentence}; one after another the last holds, jointly they cannot both", stacklevel=2)
