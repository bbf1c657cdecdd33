"""Log-probabilities of continuations: how much a model expects an object after a prompt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from tqdm.auto import tqdm

from ks_core import defaults
from ks_core.arguments import texts
from ks_core.data.joining import join
from ks_core.errors import InputError
from ks_core.formatting import quoted
from ks_core.measurement.places import log_probabilities_at
from ks_core.measurement.shared_beginnings import batches_of, longer_rows
from ks_core.models.loaded import LoadedModel
from ks_core.models.tokens import Span, padding_id, split_byte_runs


@dataclass(frozen=True)
class Question:
    """A prompt with its continuation, as tokens; the continuation's stand from `start` to the end.

    Attributes:
        prompt_end: what the prompt alone has from `start` on: empty, unless a token of the whole joins the prompt's end
            and the continuation, as happens where no space stands between them
    """

    ids: tuple[int, ...]
    start: int
    prompt_end: tuple[int, ...] = ()

    @property
    def row(self) -> tuple[int, ...]:
        """What the model must read to be asked for every token of the continuation."""
        return self.ids[:-1]


@dataclass(frozen=True)
class Unaskable:
    """Why a question cannot be asked."""

    reason: str


def continuation_log_probabilities(
    model: LoadedModel,
    prompts: Sequence[str],
    continuations: Sequence[str],
    *,
    first_token_only: bool | Sequence[bool] = False,
    per_token: bool = False,
    batch_tokens: int = defaults.BATCH_TOKENS,
) -> list[float]:
    """log p(continuation | prompt), natural logarithm, summed over the continuation's tokens.

        log p(continuation | prompt) = log p(prompt and continuation) - log p(prompt)

    each side as the tokenizer reads it: where one token joins the prompt's end and the continuation, all continuations
    of a prompt still compare.

    Args:
        model: read with its LM head.
        prompts: n texts, none ending in white space.
        continuations: n texts, not starting with white space; between the two stands what `joining.separator` says.
        first_token_only: leave out all tokens of a continuation but its first: an upper bound of the whole, and
            all continuations of one prompt then share one row. One answer for all, or one for each question.
        per_token: the mean over the continuation's tokens instead of their sum, so that long objects are not at a
            disadvantage beside short ones.
        batch_tokens: rows × longest row of one forward pass.

    Returns:
        n numbers, at most 0 unless a token joins prompt and continuation. Questions that differ in their last token
        only share one row of the forward pass, one that begins another's row is read there, and where several rows of
        one prompt are left, what stands before its last token is run once.

    Raises:
        InputError: not as many prompts as continuations, white space where the two meet, a continuation of no tokens,
            a prompt that is longer than the context with its continuation, or a score that is NaN or infinite.
    """
    prompts, continuations = list(texts("prompts", prompts)), list(texts("continuations", continuations))
    if len(prompts) != len(continuations):
        raise InputError(f"got {len(prompts)} prompts and {len(continuations)} continuations; expected as many")
    questions = questions_of(model, prompts, continuations)
    bounds = [first_token_only] * len(questions) if isinstance(first_token_only, bool) else list(first_token_only)
    if len(bounds) != len(questions):
        raise InputError(f"first_token_only has {len(bounds)} entries for {len(questions)} prompts; expected as many")
    questions = [
        replace(question, ids=question.ids[: question.start + 1]) if bound else question
        for question, bound in zip(questions, bounds, strict=True)
    ]
    asked = [(question.ids, question.start) for question in questions]
    # The prompt's own end, where a token joins it to the continuation.
    alone = [(question.ids[: question.start] + question.prompt_end, question.start) for question in questions]
    sums = _sums(model, [*asked, *alone], batch_tokens)
    scores = []
    for number, question in enumerate(questions):
        score = sums[number] - sums[len(questions) + number]
        score = score / (len(question.ids) - question.start) if per_token else score
        scores.append(_finite(score, prompts[number], continuations[number]))
    return scores


def _sums(model: LoadedModel, asked: Sequence[tuple[tuple[int, ...], int]], batch_tokens: int) -> list[float]:
    """Σ log p of the tokens from `start` to the end of each row of ids; 0 where there are none."""
    run_in = longer_rows({ids[:-1] for ids, start in asked if start < len(ids)})
    rows: dict[tuple[int, ...], list[int]] = {}
    for number, (ids, start) in enumerate(asked):
        if start < len(ids):
            rows.setdefault(run_in[ids[:-1]], []).append(number)
    first_read = {row: min(asked[number][1] for number in numbers) - 1 for row, numbers in rows.items()}
    sums = torch.zeros(len(asked), dtype=torch.float64)
    pad_id, device = padding_id(model.tokenizer), model.adapter.device
    with tqdm(total=len(rows), unit="prompt", desc="log-probabilities", disable=None) as bar:
        for batch in batches_of(model.adapter, first_read, batch_tokens, pad_id):
            wanted = [
                (index, start - 1 + place - cut, token, number)
                for index, (row, cut) in enumerate(zip(batch.rows, batch.cut, strict=True))
                for number in rows[row]
                for ids, start in [asked[number]]
                for place, token in enumerate(ids[start:])
            ]
            at = torch.tensor(wanted, device=device).T
            input_ids, mask = (of.to(device) for of in batch.inputs(pad_id))
            found = log_probabilities_at(model.adapter, input_ids, mask, at[0], at[1], at[2], batch.past)
            sums.index_add_(0, at[3].cpu(), found.double().cpu())
            bar.update(len(batch.rows))
    return sums.tolist()


def questions_of(model: LoadedModel, prompts: Sequence[str], continuations: Sequence[str]) -> list[Question]:
    """Each prompt with its continuation after it, as the tokenizer reads the whole.

    Raises:
        InputError: the first of the reasons that `read_questions` gives.
    """
    questions = []
    for question in read_questions(model, prompts, continuations):
        if isinstance(question, Unaskable):
            raise InputError(question.reason)
        questions.append(question)
    return questions


def read_questions(
    model: LoadedModel, prompts: Sequence[str], continuations: Sequence[str]
) -> list[Question | Unaskable]:
    """Each question, or why it cannot be asked: no tokens of its own, longer than the context, white space."""
    wholes = [join(*pair) for pair in zip(prompts, continuations, strict=True)]
    if not wholes:
        return []
    encoded = model.tokenizer(wholes, return_offsets_mapping=True, verbose=False)
    return [
        _question(model, *of)
        for of in zip(prompts, continuations, wholes, encoded["input_ids"], encoded["offset_mapping"], strict=True)
    ]


def _question(
    model: LoadedModel, prompt: str, continuation: str, text: str, ids: Sequence[int], offsets: Sequence[Span]
) -> Question | Unaskable:
    if not continuation.strip():
        return Unaskable(f"the continuation {quoted(continuation)} of {quoted(prompt)} has no tokens of its own")
    if prompt != prompt.rstrip() or continuation != continuation.strip():
        return Unaskable(
            f"the prompt {quoted(prompt)} or its continuation {quoted(continuation)} has white space at its end; "
            "expected none: what stands between them is added"
        )
    places = split_byte_runs(offsets, text)
    own = [place for place, (_, end) in enumerate(places) if end > len(prompt)]
    if not own or places[own[-1]][1] <= len(text) - len(continuation):
        return Unaskable(f"the continuation {quoted(continuation)} of {quoted(prompt)} has no tokens of its own")
    question = Question(tuple(ids[: own[-1] + 1]), own[0])
    if places[own[0]][0] < len(prompt):
        question = _apart(model, prompt, question)
    if question.start == 0:
        return Unaskable(
            f"the tokenizer joins the whole prompt {quoted(prompt)} and its continuation {quoted(continuation)} "
            "into one token, which nothing predicts; expected a longer prompt"
        )
    longest = max(len(question.ids), question.start + len(question.prompt_end)) - 1
    if longest > model.context_length:
        return Unaskable(
            f"asking for {quoted(continuation)} after {quoted(prompt)} takes {longest} tokens; the context "
            f"length of {model.name} is {model.context_length}: shorten the prompt"
        )
    return question


def _apart(model: LoadedModel, prompt: str, whole: Question) -> Question:
    """The question from where its tokens and those of the prompt alone part."""
    encoded = model.tokenizer(prompt, return_offsets_mapping=True, verbose=False)
    of_text = [end for _, end in encoded["offset_mapping"]]
    last = max((place for place, end in enumerate(of_text) if end), default=-1)  # after it special tokens may stand
    alone = tuple(encoded["input_ids"][: last + 1])
    start = next(
        (place for place, (a, b) in enumerate(zip(alone, whole.ids, strict=False)) if a != b),
        min(len(alone), len(whole.ids) - 1),
    )
    return replace(whole, start=start, prompt_end=alone[start:])


def _finite(score: float, prompt: str, continuation: str) -> float:
    if not math.isfinite(score):  # a comparison with NaN is never true, so no rival would beat such a score
        raise InputError(
            f"the log-probability of {quoted(continuation)} after {quoted(prompt)} is {score}; "
            "expected a finite number: run the model in float32"
        )
    return score
