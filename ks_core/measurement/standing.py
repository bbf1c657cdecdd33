"""How the own objects of facts stand: how probable, and how far ahead of the other objects of their relation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from ks_core.data.facts import Fact
from ks_core.measurement.objects import ObjectRows, object_rows
from ks_core.measurement.scoring import Question, Unaskable, questions_of, read_questions
from ks_core.models.loaded import LoadedModel


@dataclass(frozen=True, eq=False)
class Standing:
    """Of n facts, on the CPU.

    Attributes:
        log_probability: (n,) float64, of the fact's own object, mean over its tokens, in nats
        lead: (n,) float64, log-probability of the own object's token less that of the likeliest rival's where the two
            part, most often their first, in nats; infinite where there is no rival
        rival: (n,) int64, which of the rivals is the likeliest
    """

    log_probability: Tensor
    lead: Tensor
    rival: Tensor

    def overtaken(self, before: Standing) -> Tensor:
        """Whether a rival begins as likely as the own object now, and none did before, bool."""
        return (before.lead > 0) & (self.lead <= 0)

    def at(self, places: Any) -> Standing:
        """That of some facts or pairs."""
        return Standing(*(getattr(self, field.name)[places] for field in fields(self)))

    def put(self, places: Any, found: Standing) -> None:
        """Write what was found at some places."""
        for field in fields(self):
            getattr(self, field.name)[places] = getattr(found, field.name)


def unknown(*shape: int) -> Standing:
    """A standing to be filled: NaN, and no rival (-1)."""
    log_probability, lead = (torch.full(shape, torch.nan, dtype=torch.float64) for _ in range(2))
    return Standing(log_probability, lead, torch.full(shape, -1))


@dataclass(frozen=True, eq=False)
class AskedFacts:
    """Facts as rows of tokens, each with the objects that may overtake its own, by the token that parts them from it.

    Attributes:
        rows: one for each fact, prompt and own object
        rivals: (n, r) int64, token ids, those of each fact before -1 where it has fewer
        parting: (n, r) int64, which of the own object's tokens stands in the place of each
    """

    rows: ObjectRows
    rivals: Tensor
    parting: Tensor

    def __len__(self) -> int:
        return len(self.rows.owner)

    def of(self, places: Tensor) -> AskedFacts:
        """Some of them, in any order and any number of times."""
        return AskedFacts(self.rows.at(places), self.rivals[places], self.parting[places])


def ask(
    model: LoadedModel, facts: Sequence[Fact], rivals: Sequence[Collection[str]]
) -> tuple[AskedFacts, tuple[tuple[str, ...], ...]]:
    """Tokenise facts with their own objects, and find the token that parts each rival from these.

    A rival that begins with the whole own object, is the beginning of it, or parts from it before the prompt has ended
    does not count: no one token tells them apart.

    Args:
        model: whose tokenizer is used; everything is on its device.
        facts: n facts.
        rivals: n collections of objects; the fact's own does not count.

    Returns:
        The facts as rows, and by fact the names of its rivals in their order; of several objects that one token parts
        from its own, the first in the alphabet.

    Raises:
        InputError: as `object_rows`.
    """
    own_objects = [fact.target_true for fact in facts]
    rows = object_rows(model, facts, own_objects)
    asked = [(n, name) for n, names in enumerate(rivals) for name in sorted({*names} - {own_objects[n]})]
    own = questions_of(model, [fact.text for fact in facts], own_objects)
    found = read_questions(model, [facts[n].text for n, _ in asked], [name for _, name in asked])
    names: list[dict[tuple[int, int], str]] = [{} for _ in facts]
    for (n, name), question in zip(asked, found, strict=True):
        parted = None if isinstance(question, Unaskable) else _parting(own[n], question)
        if parted is not None:
            names[n].setdefault(parted, name)
    shape = len(facts), max(1, max(map(len, names)))
    tokens, parting = torch.full(shape, -1), torch.zeros(shape, dtype=torch.int64)
    for row, theirs in enumerate(names):
        for column, (place, token) in enumerate(theirs):
            tokens[row, column], parting[row, column] = token, place
    device = rows.targets.device
    return AskedFacts(rows, tokens.to(device), parting.to(device)), tuple(tuple(of.values()) for of in names)


def _parting(own: Question, rival: Question) -> tuple[int, int] | None:
    """Which of the own object's tokens the rival parts at, and the rival's token there; None where it does not."""
    for place, (mine, theirs) in enumerate(zip(own.ids, rival.ids, strict=False)):
        if mine != theirs:
            return (place - own.start, theirs) if place >= own.start else None
    return None


def standing(logits: Tensor, asked: AskedFacts) -> Standing:
    """How facts stand by their logits, in float32, on their device, with gradients where they have them.

    Args:
        logits: (places, vocabulary), after the tokens of `asked.rows.read`.
        asked: the facts that were run.
    """
    scores, rows = logits.float(), asked.rows
    real = rows.targets >= 0
    which = (rows.is_read.flatten().cumsum(0) - 1).reshape(real.shape)  # (n, longest), of an object's places in logits
    own = scores[which, rows.targets.clamp(min=0)]
    log_probability = ((own - scores.logsumexp(dim=1)[which]) * real).sum(dim=1) / real.sum(dim=1)
    ahead = own.gather(1, asked.parting) - scores[which.gather(1, asked.parting), asked.rivals.clamp(min=0)]
    least = ahead.masked_fill(asked.rivals < 0, torch.inf).min(dim=1)
    return Standing(log_probability, least.values, least.indices)


def read_standing(model: LoadedModel, asked: AskedFacts) -> Standing:
    """Ask a model as it is, edited, simulated or not, in one forward pass; float64 on the CPU."""
    with torch.inference_mode():
        logits = model.adapter.logits_at(*asked.rows.inputs, asked.rows.read)
        return wide(standing(logits, asked))


def wide(found: Standing) -> Standing:
    """The same in float64 on the CPU, without gradients."""
    log_probability, lead = (
        numbers.detach().to("cpu", torch.float64) for numbers in (found.log_probability, found.lead)
    )
    return Standing(log_probability, lead, found.rival.cpu())
