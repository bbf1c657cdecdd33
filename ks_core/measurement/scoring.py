"""Log-probabilities of continuations: how much a model expects an object behind a prompt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from tqdm.auto import tqdm

from ks_core.errors import InputError
from ks_core.measurement.text import TokenIds, batches
from ks_core.models.loaded import LoadedModel
from ks_core.models.tokens import pad_rows, padding_id

LOGITS_AT_ONCE = 1 << 26
"""Entries of the logits of one batch: 256 MiB in float32, whatever the size of the vocabulary."""


@dataclass(frozen=True)
class Question:
    """A prompt with its continuation, as tokens; the continuation's stand from `start` to the end."""

    ids: tuple[int, ...]
    start: int

    @property
    def row(self) -> tuple[int, ...]:
        """What the model must read to be asked for every token of the continuation."""
        return self.ids[:-1]


def continuation_log_probabilities(
    model: LoadedModel,
    prompts: Sequence[str],
    continuations: Sequence[str],
    *,
    first_token_only: bool = False,
    per_token: bool = False,
    batch_tokens: int = 2048,
) -> list[float]:
    """log p(" " + continuation | prompt), natural logarithm, summed over the continuation's tokens.

    Args:
        model: read with its LM head.
        prompts: n texts, none ending in a space.
        continuations: n texts, not starting with a space; one is put between.
        first_token_only: leave out all tokens of a continuation but its first: an upper bound of the whole, and
            all continuations of one prompt then share one row.
        per_token: the mean over the continuation's tokens instead of their sum, so that long objects are not at a
            disadvantage beside short ones.
        batch_tokens: rows × longest row of one forward pass; fewer where the vocabulary is large.

    Returns:
        n numbers ≤ 0. Questions that differ in their last token only share one row of the forward pass.

    Raises:
        InputError: a continuation of no tokens, a prompt that is longer than the context with its continuation, or a
            score that is NaN or infinite.
    """
    questions = questions_of(model, prompts, continuations)
    if first_token_only:
        questions = [replace(question, ids=question.ids[: question.start + 1]) for question in questions]
    rows: dict[tuple[int, ...], list[int]] = {}
    for number, question in enumerate(questions):
        rows.setdefault(question.row, []).append(number)
    vocabulary = model.model.get_output_embeddings().weight.shape[0]
    budget = max(1, min(batch_tokens, LOGITS_AT_ONCE // vocabulary))
    scores = [0.0] * len(questions)
    with tqdm(total=len(rows), unit="prompt", desc="log-probabilities", disable=None) as bar:
        for batch in batches([np.asarray(row, dtype=np.int32) for row in rows], budget):
            log_probabilities = _log_probabilities(model, batch)
            for index, row in enumerate(batch):
                for number in rows[tuple(row.tolist())]:
                    targets = torch.tensor(questions[number].ids[questions[number].start :])
                    places = torch.arange(questions[number].start - 1, len(row))
                    of_tokens = log_probabilities[index, places, targets].double()
                    score = float(of_tokens.mean() if per_token else of_tokens.sum())
                    scores[number] = _finite(score, prompts[number], continuations[number])
            bar.update(len(batch))
    return scores


def questions_of(model: LoadedModel, prompts: Sequence[str], continuations: Sequence[str]) -> list[Question]:
    """Each prompt with a space and its continuation behind it, as the tokenizer reads the whole.

    Raises:
        InputError: a continuation of no tokens, or a prompt that is longer than the context with its continuation.
    """
    texts = [f"{prompt} {continuation}" for prompt, continuation in zip(prompts, continuations, strict=True)]
    encoded = model.tokenizer(texts, return_offsets_mapping=True, verbose=False)
    questions = []
    for prompt, continuation, ids, offsets in zip(
        prompts, continuations, encoded["input_ids"], encoded["offset_mapping"], strict=True
    ):
        own = [place for place, (_, end) in enumerate(offsets) if end > len(prompt)]
        if not own or not continuation.strip():
            raise InputError(f"the continuation {continuation!r} of {prompt!r} has no tokens of its own")
        question = Question(tuple(ids[: own[-1] + 1]), own[0])
        if len(question.row) > model.context_length:
            raise InputError(
                f"asking for {continuation!r} behind {prompt!r} takes {len(question.row)} tokens; the context length "
                f"of {model.name} is {model.context_length}: shorten the prompt"
            )
        questions.append(question)
    return questions


def _finite(score: float, prompt: str, continuation: str) -> float:
    if not math.isfinite(score):  # a comparison with NaN is never true, so no rival would beat such a score
        raise InputError(
            f"the log-probability of {continuation!r} behind {prompt!r} is {score}; expected a finite number: "
            "run the model in float32"
        )
    return score


def _log_probabilities(model: LoadedModel, batch: Sequence[TokenIds]) -> torch.Tensor:
    """(rows, longest, vocabulary) float32 on the CPU. Padding is right of the text: causal models never see it."""
    ids, mask = (rows.to(model.adapter.device) for rows in pad_rows(batch, padding_id(model.tokenizer)))
    with torch.inference_mode():
        return torch.log_softmax(model.adapter.logits(ids, mask).float(), dim=-1).cpu()
