"""How the own objects of facts stand among their rivals: which other object a model would rather say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ks_core.data.fact import Fact, same_text
from ks_core.measurement.scoring import continuation_log_probabilities, questions_of
from ks_core.models.loaded import LoadedModel
from ks_core.statistics.pairs import Array


@dataclass(frozen=True, eq=False)
class Standings:
    """m facts as a model has them.

    Attributes:
        own: (m,) log p of `target_true` after the prompt, natural logarithm, summed over its tokens
        tokens: (m,) how many these are
        ahead: by fact, the most probable of the rivals that are as probable as its own object at least; None where
            there is none: the fact stands first
        lead: (m,) log p of the own object less that of the best rival, or less an upper bound of it where that is
            enough to know that the fact stands first; infinite without rivals
    """

    own: Array
    tokens: NDArray[np.intp]
    ahead: tuple[str | None, ...]
    lead: Array

    @property
    def per_token(self) -> Array:
        """(m,) log p of the own object in nats a token."""
        return self.own / self.tokens

    @property
    def first(self) -> NDArray[np.bool_]:
        """(m,) whether no rival is as probable."""
        return np.array([rival is None for rival in self.ahead], dtype=bool)


def standings(model: LoadedModel, facts: Sequence[Fact], rivals: Mapping[str, Sequence[str]]) -> Standings:
    """Ask a model for the own object of each fact and for all of its rivals.

    No object is more probable than its first token. That bound costs one row of a forward pass for each fact, and only
    the objects whose bound beats the own object's probability are then read to their end: for the packaged facts a
    tenth of the rows.

    Args:
        model: as it is now, edited or not.
        facts: m facts.
        rivals: by relation; a fact's own object may be among them.

    Raises:
        InputError: an object of no tokens, a prompt longer than the context, or scores that are not finite.
    """
    everything = [
        (number, rival)
        for number, fact in enumerate(facts)
        for rival in rivals.get(fact.relation_id, ())
        if not same_text(rival, fact.target_true)
    ]
    mine = [(number, fact.target_true) for number, fact in enumerate(facts)]
    questions = questions_of(model, [fact.text for fact in facts], [fact.target_true for fact in facts])
    tokens = np.array([len(question.ids) - question.start for question in questions], dtype=np.intp)
    firsts = _scores(model, facts, [*mine, *everything], first_token_only=True)
    own, bounds = firsts[: len(mine)], firsts[len(mine) :]
    longer = [number for number, _ in mine if tokens[number] > 1]  # of the others the first token is the whole
    for number, score in zip(longer, _scores(model, facts, [mine[number] for number in longer]), strict=True):
        own[number] = score
    contested = [of for of, bound in zip(everything, bounds, strict=True) if bound >= own[of[0]]]
    scores = dict(zip(everything, bounds, strict=True)) | dict(
        zip(contested, _scores(model, facts, contested), strict=True)
    )
    best: dict[int, tuple[float, str]] = {}
    for (number, rival), score in scores.items():
        best[number] = max(best.get(number, (score, rival)), (score, rival))
    lead = [score - best[number][0] if number in best else math.inf for number, score in enumerate(own)]
    ahead = tuple(best[number][1] if ahead_by <= 0 else None for number, ahead_by in enumerate(lead))
    return Standings(np.array(own), tokens, ahead, np.array(lead))


def _scores(
    model: LoadedModel, facts: Sequence[Fact], asked: Sequence[tuple[int, str]], *, first_token_only: bool = False
) -> list[float]:
    """Log-probability of each object after the prompt of the fact with that number."""
    if not asked:
        return []
    prompts, objects = [facts[number].text for number, _ in asked], [name for _, name in asked]
    return continuation_log_probabilities(model, prompts, objects, first_token_only=first_token_only)
