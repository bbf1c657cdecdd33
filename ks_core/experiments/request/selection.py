"""Which facts of a file are measured: the protocol's first known ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ks_core.data.facts import FactSet
from ks_core.data.published_numbers import known_case_ids
from ks_core.errors import TooFewFactsError
from ks_core.experiments.request.options import set_by
from ks_core.measurement.known import DEFINITION, known_facts
from ks_core.measurement.readable import LeftOut, readable_facts, summary
from ks_core.models.loaded import LoadedModel

PUBLISHED_RULE = "the published list of CounterFact records, in its order"
"""`Selection.rule` where the authors' own list was used: only then can numbers be compared with theirs."""

GPT2_SMALL_SHAPE = ("gpt2", 12, 3072)
"""Family, layers and d_key."""


@dataclass(frozen=True)
class Selection:
    """The facts that are measured, and the larger pool they are the first of.

    Attributes:
        measured: the first n of the pool
        pool: twice as many where the file has them: would more facts have changed anything?
        usable: ids of all facts that could have been measured, in order
        rule: what makes a fact usable, in words
        asked: facts in the file
        left_out: facts of the file (of the published list, where that is the rule) that the model could not be asked
            about
    """

    measured: FactSet
    pool: FactSet
    usable: tuple[int, ...]
    rule: str
    asked: int
    left_out: tuple[LeftOut, ...] = ()

    @property
    def separators(self) -> dict[str, int]:
        """What stands between the prompt and the true object, and for how many of the pool's facts."""
        return dict(Counter(fact.separators[0] for fact in self.pool))


def select_facts(model: LoadedModel, facts: FactSet, count: int) -> Selection:
    """Choose the facts to measure: those the model knows, in the file's order, the first `count` of them.

    Facts that it cannot be asked about (`readable_facts`) are left out and counted. For GPT2-small on CounterFact it is
    the authors' own published list instead, so that numbers can be compared.

    Raises:
        TooFewFactsError: fewer usable facts than asked for; says how many there are.
    """
    if _published_list_applies(model, facts):
        readable = readable_facts(model, facts.subset(known_case_ids()))
        ids, rule = tuple(fact.case_id for fact in readable.facts), PUBLISHED_RULE
        left_out = readable.left_out
    else:
        known = known_facts(model, facts)
        ids, rule, left_out = known.case_ids, DEFINITION, known.left_out
    if len(ids) < count:
        cannot = f" ({summary(left_out)})" if left_out else ""
        raise TooFewFactsError(
            f"{facts.name}: {model.name} knows {len(ids)} of its {len(facts)} facts{cannot}; "
            f"expected at least {count}: give more facts, or ask for fewer {set_by('num_facts')}",
            len(ids),
        )
    measured, pool = facts.subset(ids[:count]), facts.subset(ids[: 2 * count])
    return Selection(measured, pool, ids, rule, len(facts), left_out)


def _published_list_applies(model: LoadedModel, facts: FactSet) -> bool:
    """GPT2-small by its name and shape (many models have the shape alone), and a fact file that has all the records."""
    shape = (model.adapter.model_type, model.adapter.num_layers, model.adapter.d_key)
    is_gpt2_small = Path(model.name).name == "gpt2" and shape == GPT2_SMALL_SHAPE
    return is_gpt2_small and set(known_case_ids()) <= {fact.case_id for fact in facts}
