"""What a model says, edited or not: success on edits, their paraphrases and their neighbourhood, and perplexity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ks_core import defaults
from ks_core.data.corpus import Corpus
from ks_core.data.facts import Fact, as_facts
from ks_core.errors import InputError
from ks_core.measurement.moments.text import TokenIds, batches, take_tokens
from ks_core.measurement.places import mean_losses
from ks_core.measurement.scoring import continuation_log_probabilities
from ks_core.models.loaded import LoadedModel
from ks_core.models.tokens import pad_rows, padding_id
from ks_core.statistics.pairs import Array


@dataclass(frozen=True, eq=False)
class Scores:
    """Both objects of some facts after some prompts: mean log-probabilities per token, natural logarithm.

    Attributes:
        facts: n, how many facts were asked about
        fact: (p,) which fact each prompt belongs to
        new: (p,) of `target_new`
        true: (p,) of `target_true`
    """

    facts: int
    fact: NDArray[np.intp]
    new: Array
    true: Array

    def success(self) -> Array:
        """By fact, the share of its prompts where the new object is the more probable one, (n,); NaN without prompts.

        CounterFact's efficacy score on the edits' own prompts and its paraphrase score on paraphrases; one minus it is
        its neighbourhood score on neighbourhood prompts. As in ROME's evaluation code, probabilities of objects of
        several tokens are compared per token (geometric mean).
        """
        return self._by_fact((self.new > self.true).astype(np.float64))

    def magnitude(self) -> Array:
        """By fact, the mean of p(new) - p(true) over its prompts, (n,): CounterFact's magnitudes."""
        return self._by_fact(np.exp(self.new) - np.exp(self.true))

    def near_ties(self, margin: float) -> Array:
        """By fact, the share of its prompts whose two objects are within so many nats of each other, (n,)."""
        return self._by_fact((np.abs(self.new - self.true) <= margin).astype(np.float64))

    def _by_fact(self, numbers: Array) -> Array:
        prompts = np.bincount(self.fact, minlength=self.facts)
        with np.errstate(invalid="ignore"):
            means: Array = np.bincount(self.fact, weights=numbers, minlength=self.facts) / prompts
        return means


@dataclass(frozen=True, eq=False)
class Answers:
    """Scores of a set of facts after the three kinds of prompts that CounterFact has.

    Attributes:
        rewrite: the edits' own prompts, one each: efficacy
        paraphrase: other wordings: generalisation
        neighbourhood: other subjects with the same true object: locality
    """

    rewrite: Scores
    paraphrase: Scores
    neighbourhood: Scores


def read_answers(model: LoadedModel, facts: Iterable[Fact]) -> Answers:
    """Ask a model for both objects of each fact after each of its prompts, in one batched reading.

    Args:
        model: as it is now, edited or not.
        facts: n facts.

    Raises:
        InputError: an object of no tokens, a prompt longer than the context, or scores that are not finite.
    """
    facts = as_facts(facts)
    kinds = [
        [(number, prompt) for number, fact in enumerate(facts) for prompt in prompts_of(fact)]
        for prompts_of in (
            lambda fact: [fact.text],
            lambda fact: fact.paraphrase_prompts,
            lambda fact: fact.neighborhood_prompts,
        )
    ]
    asked = [question for kind in kinds for question in kind]
    prompts = [prompt for _, prompt in asked] * 2
    objects = [facts[n].target_new for n, _ in asked] + [facts[n].target_true for n, _ in asked]
    scores = np.array(continuation_log_probabilities(model, prompts, objects, per_token=True))
    new, true = scores[: len(asked)], scores[len(asked) :]
    ends = np.cumsum([len(kind) for kind in kinds])
    parts = [slice(end - len(kind), end) for kind, end in zip(kinds, ends, strict=True)]
    fact = np.array([number for number, _ in asked], dtype=np.intp)
    return Answers(*(Scores(len(facts), fact[part], new[part], true[part]) for part in parts))


def held_out_text(
    model: LoadedModel, corpus: Corpus, *, after: int, tokens: int, longest_text: int = defaults.LONGEST_TEXT
) -> list[TokenIds]:
    """Whole texts after the first `after` tokens of a corpus, which second moments may have been made from.

    Args:
        model: whose tokenizer is used.
        corpus: texts in its order.
        after: tokens to pass over; a text that begins among them is passed over whole.
        tokens: how many to take; the last text is cut there. Texts of one token predict nothing and are left out.
        longest_text: a text is cut after this many tokens, or at the context length when that is shorter.

    Raises:
        InputError: the corpus has too few tokens.
    """
    longest = min(longest_text, model.context_length)
    taken = take_tokens(corpus.texts(), model.tokenizer, after + tokens + longest, longest)
    begins = np.cumsum([0, *map(len, taken)])[:-1]
    later = [text for begin, text in zip(begins, taken, strict=True) if begin >= after]
    ends = np.cumsum([len(text) for text in later])
    cut = [text[: max(0, tokens - (end - len(text)))] for text, end in zip(later, ends, strict=True)]
    return [text for text in cut if len(text) > 1]  # a token alone is predicted from nothing


def text_losses(model: LoadedModel, texts: Sequence[TokenIds], *, batch_tokens: int = defaults.BATCH_TOKENS) -> Array:
    """Negative log-likelihood of each text's tokens given those before them, in nats a token.

    exp of its mean weighted by tokens is the perplexity.

    Args:
        model: as it is now, edited or not.
        texts: of two tokens or more.
        batch_tokens: rows × longest row of one forward pass.

    Returns:
        (texts,) float64, in the order given.
    """
    losses = np.empty(len(texts))
    places = iter(sorted(range(len(texts)), key=lambda place: len(texts[place])))  # the order of `batches`
    for batch in batches(texts, batch_tokens):
        ids, mask = (rows.to(model.adapter.device) for rows in pad_rows(batch, padding_id(model.tokenizer)))
        for loss in mean_losses(model.adapter, ids, mask).tolist():
            losses[next(places)] = loss
    if not np.isfinite(losses).all():
        raise InputError(
            "the likelihood of held-out text is NaN or infinite; expected finite: run the model in float32"
        )
    return losses
