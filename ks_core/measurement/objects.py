"""Prompts with objects after them, read with something added to a layer's values at the subject."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ks_core.data.facts import Fact
from ks_core.data.joining import join, separator
from ks_core.data.white_space import tidy_prompt
from ks_core.errors import InputError
from ks_core.formatting import quoted
from ks_core.measurement.scoring import questions_of
from ks_core.measurement.subjects import subject_rows
from ks_core.models.loaded import LoadedModel


@dataclass(frozen=True, eq=False)
class ObjectRows:
    """Padded rows, each a prompt with an object after it; which tokens are the object's, where the subject ends.

    Attributes:
        input_ids: (rows, tokens) int64
        attention_mask: (rows, tokens) int64
        subject_last: (rows,) int64, column of the subject's last token
        owner: (rows,) int64, number of the fact that a row is about
        targets: (rows, longest object) int64, the object's tokens, a first one that also holds the prompt's end among
            them; -1 after its end; all -1 in a row without an object
        places: (rows, longest object) int64, the columns whose logits predict them; the row's last column where there
            is none
    """

    input_ids: Tensor
    attention_mask: Tensor
    subject_last: Tensor
    owner: Tensor
    targets: Tensor
    places: Tensor

    @property
    def inputs(self) -> tuple[Tensor, Tensor]:
        """Token ids and mask, as a forward pass takes them."""
        return self.input_ids, self.attention_mask

    @property
    def is_read(self) -> Tensor:
        """(rows, longest object) bool, which `places` are read: an object's own, or the last of a row without one."""
        read = self.targets >= 0
        read[:, 0] = True
        return read

    @property
    def read(self) -> tuple[Tensor, Tensor]:
        """Rows and columns, (n,) int64 each, of the tokens after which something is read; row by row."""
        row, place = torch.nonzero(self.is_read, as_tuple=True)
        return row, self.places[row, place]

    def of(self, owners: Tensor) -> ObjectRows:
        """The rows of some facts, in their order."""
        return self.at(torch.isin(self.owner, owners))

    def at(self, rows: Tensor) -> ObjectRows:
        """Some rows, by a mask or by their numbers."""
        return ObjectRows(*(getattr(self, field.name)[rows] for field in fields(self)))

    def to(self, device: torch.device) -> ObjectRows:
        """The same on a device."""
        return ObjectRows(*(getattr(self, field.name).to(device) for field in fields(self)))


def object_rows(
    model: LoadedModel,
    facts: Sequence[Fact],
    objects: Sequence[str],
    *,
    prefixes: Sequence[str] = (),
    essence: bool = False,
) -> ObjectRows:
    """Tokenise each fact's prompt with an object after it.

    Args:
        model: whose tokenizer is used; the rows come on its device.
        facts: n facts.
        objects: n objects, without what stands before them.
        prefixes: texts, each of which stands before every prompt in one further row; white space at their ends does
            not count.
        essence: add a row "SUBJECT is a" without an object for each fact, after all others.

    Raises:
        InputError: an object of no tokens, a subject that cannot be found among the tokens, or a row that is longer
            than the context; names the fact.
    """
    asked = [
        (number, context + separator(context, facts[number].text) if context else "")
        for number in range(len(facts))
        for context in ("", *map(tidy_prompt, prefixes))
    ]
    prompts = [context + facts[number].text for number, context in asked]
    wanted = [objects[number] for number, _ in asked]
    questions = questions_of(model, prompts, wanted)
    texts = [join(prompt, text) for prompt, text in zip(prompts, wanted, strict=True)]
    spans = [_moved(facts[number].subject_span, len(context)) for number, context in asked]
    owner = [number for number, _ in asked]
    if essence:
        texts += [f"{fact.subject} is a" for fact in facts]  # English after any subject, so a space
        spans += [(0, len(fact.subject)) for fact in facts]
        owner += range(len(facts))
    tokens = subject_rows(model, texts, spans, [facts[number] for number in owner])
    padding_before = tokens.attention_mask.argmax(dim=1)
    last = padding_before + tokens.attention_mask.sum(dim=1) - 1
    longest = max(len(question.ids) - question.start for question in questions)
    targets = torch.full((len(texts), longest), -1)
    places = last[:, None].repeat(1, longest)
    for row, question in enumerate(questions):
        size = len(question.ids) - question.start
        targets[row, :size] = torch.tensor(question.ids[question.start :])
        places[row, :size] = padding_before[row] + question.start - 1 + torch.arange(size)
    found = (tokens.input_ids, tokens.attention_mask, tokens.subject_last, torch.tensor(owner), targets, places)
    return ObjectRows(*found).to(model.adapter.device)


def logits_with(model: LoadedModel, layer: int, rows: ObjectRows, added: Tensor) -> Tensor:
    """Logits of rows, with a vector added to the layer's value at each row's subject.

    Args:
        model: read with its head.
        layer: whose projection's output is added to.
        rows: on the model's device.
        added: (rows, d_value); gradients flow back to it.

    Returns:
        (places, vocabulary) in the model's dtype, after the tokens of `rows.read`.
    """
    with model.adapter.shifted_values(layer, at_subjects(rows, added)):
        return model.adapter.logits_at(*rows.inputs, rows.read)


def at_subjects(rows: ObjectRows, added: Tensor) -> Tensor:
    """(rows, tokens, d_value), zero but for a vector at each row's subject; gradients flow back to `added`."""
    batch, tokens = rows.input_ids.shape
    shift = added.new_zeros(batch, tokens, added.shape[1])
    return shift.index_put((torch.arange(batch, device=added.device), rows.subject_last), added)


def object_log_probabilities(logits: Tensor, rows: ObjectRows) -> Tensor:
    """Mean over each object's tokens of their log-probabilities, (rows,) float32; zero for a row without an object.

    Args:
        logits: (places, vocabulary), after the tokens of `rows.read`.
        rows: that were run.
    """
    scores, targets = logits.float(), rows.targets[rows.is_read]
    each = torch.arange(len(targets), device=logits.device)
    own = (scores[each, targets.clamp(min=0)] - scores.logsumexp(dim=1)) * (targets >= 0)
    sums = own.new_zeros(len(rows.owner)).index_add(0, rows.read[0], own)
    return sums / (rows.targets >= 0).sum(dim=1).clamp(min=1)


def refuse_not_finite(log_probabilities: Tensor, facts: Sequence[Fact], objects: Sequence[str]) -> None:
    """Raise an InputError that names the first fact whose object's log-probability is NaN or infinite."""
    scores = log_probabilities.detach().tolist()
    for score, fact, text in zip(scores, facts, objects, strict=True):
        if not math.isfinite(score):
            raise InputError(
                f"the log-probability of {quoted(text)} after {quoted(fact.text)} is {score}; "
                "expected a finite number: run the model in float32"
            )


def _moved(span: tuple[int, int], by: int) -> tuple[int, int]:
    return span[0] + by, span[1] + by
