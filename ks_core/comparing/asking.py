"""What is read of a base to be compared: which facts it can be asked about, their keys, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ks_core.comparing.values import FactKeys, fact_keys
from ks_core.data.corpus import Corpus
from ks_core.data.fact import Fact
from ks_core.measurement.behaviour import held_out_text
from ks_core.measurement.consequences import HELD_OUT_TOKENS, LONGEST_HELD_OUT, Readings, read
from ks_core.measurement.known import known_facts
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.measurement.moments.text import TokenIds
from ks_core.measurement.readable import LeftOut, ReadableFacts, facts_to_keep, readable_facts
from ks_core.measurement.whitening import TextWhitening
from ks_core.models.loaded import LoadedModel


@dataclass(frozen=True, eq=False)
class Questions:
    """What is asked of two models besides their tensors.

    Attributes:
        edits: facts whose `target_new` was to become true
        keep: facts that were to stay
        known_only: whether only those of them count that the base knows
        corpus: text, where there is one
        tokens: of it, for second moments
        ridge: added to them
    """

    edits: tuple[Fact, ...]
    keep: tuple[Fact, ...]
    known_only: bool
    corpus: Corpus | None
    tokens: int
    ridge: float

    @property
    def nothing(self) -> bool:
        """Whether nothing is asked."""
        return not self.edits and not self.keep and self.corpus is None


@dataclass(frozen=True, eq=False)
class Answered:
    """What the base answers; the model itself is let go.

    Attributes:
        edits, keep: those that it can be asked about, the kept ones without those that are edited
        text: held out
        keys: by changed layer, of the edits and then the facts to keep
        whitening: of the text of the second moments, where there is one
    """

    edits: tuple[Fact, ...]
    keep: tuple[Fact, ...]
    left_out: tuple[LeftOut, ...]
    text: Sequence[TokenIds]
    keys: dict[int, FactKeys]
    whitening: TextWhitening | None
    before: Readings


def answered(model: LoadedModel, asked: Questions, layers: Sequence[int]) -> Answered:
    """Ask a base.

    Args:
        model: unedited.
        asked: the questions.
        layers: whose keys are read.

    Raises:
        InputError: the corpus has too little text.
    """
    keep = known_facts(model, asked.keep).facts if asked.known_only else asked.keep
    edits = readable_facts(model, asked.edits)
    kept = facts_to_keep(model, keep, asked.edits) if keep else ReadableFacts((), ())
    text: Sequence[TokenIds] = ()
    whitening = None
    if asked.corpus is not None:
        moments = collect_second_moments(model, asked.corpus, tokens=asked.tokens)
        whitening = TextWhitening(moments, asked.ridge)
        text = held_out_text(
            model, asked.corpus, after=asked.tokens, tokens=HELD_OUT_TOKENS, longest_text=LONGEST_HELD_OUT
        )
    return Answered(
        edits=edits.facts,
        keep=kept.facts,
        left_out=edits.left_out + kept.left_out,
        text=text,
        keys=fact_keys(model, layers, [*edits.facts, *kept.facts]),
        whitening=whitening,
        before=read(model, edits.facts, kept.facts, text),
    )
