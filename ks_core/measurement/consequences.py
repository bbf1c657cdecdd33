"""What edits did to a model: it is read before and after them, with the same facts and text, and compared in pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ks_core.data.fact import Fact, as_facts
from ks_core.errors import InputError
from ks_core.measurement.behaviour import Answers, read_answers, text_losses
from ks_core.measurement.kept_facts import in_batches, read_all, rival_names, rivals_of
from ks_core.measurement.moments.text import TokenIds
from ks_core.measurement.objects import refuse_not_finite
from ks_core.measurement.standing import Standing
from ks_core.models.loaded import LoadedModel
from ks_core.statistics.means import Mean, mean_of, weighted_mean
from ks_core.statistics.pairs import Array

HELD_OUT_TOKENS = 2048
"""Tokens of text for the perplexity: a few seconds for the packaged model on two cores."""

LONGEST_HELD_OUT = 64
"""Tokens after which such a text is cut, so that the error over texts is over dozens of them."""


@dataclass(frozen=True, eq=False)
class Readings:
    """What one model says of edits, of facts to keep, and of held-out text.

    Attributes:
        edits: n facts whose `target_new` is to become true
        keep: m facts that are to stay
        answers: of the edits
        kept: how the facts to keep stand, (m,) each
        rivals: by fact to keep, the likeliest of the other objects; None where it has no rival
        losses: (texts,) in nats a token
        predicted: (texts,) tokens of each text that are predicted, all but its first
    """

    edits: tuple[Fact, ...]
    keep: tuple[Fact, ...]
    answers: Answers
    kept: Standing
    rivals: tuple[str | None, ...]
    losses: Array
    predicted: Array


def read(model: LoadedModel, edits: Iterable[Fact], keep: Iterable[Fact], text: Sequence[TokenIds]) -> Readings:
    """Read a model once, edited or not; each of the three may be empty.

    The rivals of a fact to keep are the other objects of its relation, among facts to keep and edits, and the new
    objects of all edits (`rivals_of`): where an edit is felt, it is often its own object that is said. A rival
    overtakes where it is as likely as the own object by the token that parts the two, most often the first.

    Args:
        model: as it is now.
        edits: n facts whose `target_new` is to become true.
        keep: m facts that are to stay.
        text: held-out texts of two tokens or more, as `held_out_text` gives them.

    Raises:
        InputError: a fact that the model cannot be asked about (`readable_facts` sorts them out), or scores that are
            not finite.
    """
    edits, keep = as_facts(edits, "edits"), as_facts(keep, "facts to keep")
    answers = read_answers(model, edits)
    kept, rivals = _kept(model, keep, edits)
    losses = text_losses(model, text)
    return Readings(edits, keep, answers, kept, rivals, losses, np.array([len(row) - 1.0 for row in text]))


def _kept(model: LoadedModel, keep: Sequence[Fact], edits: Sequence[Fact]) -> tuple[Standing, tuple[str | None, ...]]:
    batches = in_batches(model, keep, rivals_of(keep, edits))
    found, names = read_all(model, batches), rival_names(batches, len(keep))
    refuse_not_finite(found.log_probability, keep, [fact.target_true for fact in keep])
    rivals = zip(names, found.rival.tolist(), strict=True)
    return found, tuple(theirs[place] if theirs else None for theirs, place in rivals)


@dataclass(frozen=True)
class Change:
    """A number before and after, and its change over the same facts or texts, pair by pair; errors are standard errors.

    Attributes:
        change: after - before
    """

    before: Mean
    after: Mean
    change: Mean


@dataclass(frozen=True)
class KeptFact:
    """What became of a fact that was to stay.

    Attributes:
        loss: of its own object, in nats a token; negative where it became more probable
        overtaken_by: the likeliest rival, where the fact stood first before and stands first no more
    """

    fact: Fact
    loss: float
    overtaken_by: str | None


@dataclass(frozen=True)
class Consequences:
    """What edits did, each number with its standard error over facts or texts and how many these are.

    Attributes:
        efficacy: share of the edits whose new object is more probable than the true one, after their own prompts
        paraphrase: the same after their paraphrase prompts: a mean over edits of shares of prompts
        neighbourhood: share of neighbourhood prompts whose true object is more probable than the new one
        lost: share of the facts to keep that stood first among rivals before the edits and do so no more
        loss: mean loss of the own objects of facts to keep, in nats a token
        log_perplexity: of held-out text, nats a token, each text counted by its tokens; the error over texts
        kept: all facts to keep, greatest loss first
    """

    efficacy: Change
    paraphrase: Change
    neighbourhood: Change
    lost: Mean
    loss: Mean
    log_perplexity: Change
    kept: tuple[KeptFact, ...]

    @property
    def overtaken(self) -> tuple[KeptFact, ...]:
        """The facts that are lost, greatest loss first."""
        return tuple(of for of in self.kept if of.overtaken_by is not None)

    @property
    def worst(self) -> float:
        """Greatest loss of a fact to keep, in nats a token; the extreme of these facts, 0 where there are none."""
        return self.kept[0].loss if self.kept else 0.0


def consequences(before: Readings, after: Readings) -> Consequences:
    """Compare two readings of the same facts and text.

    Raises:
        InputError: readings of other facts or texts.
    """
    same_text = np.array_equal(before.predicted, after.predicted)
    if (before.edits, before.keep) != (after.edits, after.keep) or not same_text:
        raise InputError(
            "two readings are of different facts or texts; expected the same, read from two models: read both anew"
        )
    gone = after.kept.overtaken(before.kept).numpy()
    losses = (before.kept.log_probability - after.kept.log_probability).numpy()
    by = [rival if lost else None for rival, lost in zip(after.rivals, gone, strict=True)]
    kept = [KeptFact(*of) for of in zip(before.keep, losses.tolist(), by, strict=True)]
    return Consequences(
        efficacy=_change(before.answers.rewrite.success(), after.answers.rewrite.success()),
        paraphrase=_change(before.answers.paraphrase.success(), after.answers.paraphrase.success()),
        neighbourhood=_change(1 - before.answers.neighbourhood.success(), 1 - after.answers.neighbourhood.success()),
        lost=lost_share(before.kept.lead.numpy(), gone),
        loss=mean_of(losses),
        log_perplexity=_text_change(before, after),
        kept=tuple(sorted(kept, key=lambda of: -of.loss)),
    )


def lost_share(lead: Array, gone: NDArray[np.bool_]) -> Mean:
    """Share of the facts that stood first among rivals and are overtaken; one without a rival cannot be.

    Args:
        lead: (n,) before, in nats; infinite without a rival.
        gone: (n,) whether each is overtaken.
    """
    return mean_of(gone[(lead > 0) & np.isfinite(lead)].astype(np.float64))


def _change(before: Array, after: Array) -> Change:
    return Change(mean_of(before), mean_of(after), mean_of(after - before))


def _text_change(before: Readings, after: Readings) -> Change:
    weights = before.predicted
    return Change(*(weighted_mean(of, weights) for of in (before.losses, after.losses, after.losses - before.losses)))
