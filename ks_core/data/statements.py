"""Facts as sentences, to train on and to read."""

from __future__ import annotations

from ks_core.data.facts import FactSet
from ks_core.data.joining import join


def statements(facts: FactSet) -> tuple[str, ...]:
    """Every fact as a sentence, in each wording that the file's prompts have for its relation.

    The paraphrase prompts are no prompts of any fact, so that they stay for asking what was learnt beyond a wording.

    Example:
        >>> from ks_core.data.facts import Fact
        >>> hugo = Fact(1, "Hugo", "P103", "{} spoke", "French", "Dutch")
        >>> kant = Fact(2, "Kant", "P103", "{} wrote in", "German", "Dutch")
        >>> statements(FactSet((hugo, kant), "two", "0" * 64, "an example"))[:2]
        ('Hugo spoke French.', 'Hugo wrote in French.')
    """
    wordings: dict[str, list[str]] = {}
    for fact in facts:
        known = wordings.setdefault(fact.relation_id, [])
        if fact.prompt not in known:
            known.append(fact.prompt)
    return tuple(
        f"{join(wording.replace('{}', fact.subject), fact.target_true)}."
        for fact in facts
        for wording in wordings[fact.relation_id]
    )
