"""Target values: what a layer must put out at the subject for the model to say a new object (ROME's v*)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ks_core import arguments
from ks_core.data.facts import Fact, as_facts
from ks_core.data.white_space import tidy_prompt
from ks_core.errors import InputError
from ks_core.formatting import shown
from ks_core.measurement.after_subjects import AfterSubjects, after_subjects, lengths_of_rests
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.objects import ObjectRows, object_log_probabilities, object_rows, refuse_not_finite
from ks_core.models.loaded import LoadedModel

EDITS_AT_ONCE = 64
"""Edits that are searched beside each other: those after them have no part in their last digits."""

EDITS_IN_A_PASS = 16
"""Edits of one forward and backward pass. All rows of a pass are as long as the longest, so these are alike in length;
with half a dozen tokens each they fill two cores."""


@dataclass(frozen=True)
class ValueSettings:
    """How target values are searched. The procedure and its terms are ROME's (Meng et al. 2022, arXiv 2202.05262).

    Attributes:
        steps: Adam steps at most
        target_probability: of the new object per token (geometric mean), at which an edit is done; ROME stops at a loss
            of 0.05
        learning_rate: of Adam, in root mean squares of the unedited value's entries, so that it means the same in every
            layer
        norm_bound: largest length of the change, in lengths of the unedited value (ROME's clamp factor)
        weight_decay: weight of the squared length of the change, in the same units (ROME: 0.5)
        kl_weight: weight of KL(after || before) of the next token after "SUBJECT is a", which keeps the subject what it
            is
        prefixes: texts put before the prompt, one row each beside the plain prompt, so that the value works in
            contexts; white space at their ends does not count
    """

    steps: int = 25
    target_probability: float = 0.95
    learning_rate: float = 0.5
    norm_bound: float = 4.0
    weight_decay: float = 0.0
    kl_weight: float = 0.0
    prefixes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no search could use; numbers of NumPy become Python's."""
        checked: dict[str, Any] = {"steps": arguments.whole_number("steps", self.steps, 1)}
        for name, (expected, allowed) in _RANGES.items():
            checked[name] = arguments.real_number(name, getattr(self, name), expected)
            if not allowed(checked[name]):
                raise InputError(f"{name} is {shown(getattr(self, name))}; expected {expected}")
        checked["prefixes"] = prefixes = tuple(arguments.texts("prefixes", self.prefixes))
        if not all(map(tidy_prompt, prefixes)):
            raise InputError(f"prefixes is {shown(prefixes)}; expected texts that are not blank")
        for name, value in checked.items():
            object.__setattr__(self, name, value)


_POSITIVE: tuple[str, Callable[[float], bool]] = ("a positive number", lambda number: number > 0)
_NOT_NEGATIVE: tuple[str, Callable[[float], bool]] = ("a number of 0 or more", lambda number: number >= 0)
_RANGES = {
    **dict.fromkeys(("learning_rate", "norm_bound"), _POSITIVE),
    **dict.fromkeys(("weight_decay", "kl_weight"), _NOT_NEGATIVE),
    "target_probability": ("a number between 0 and 1", lambda number: 0 < number < 1),
}
"""What each number may be."""


GENTLE = ValueSettings(weight_decay=0.5)
"""Shorter values. After 128 joint edits of SmolLM2-135M in layer 10 (one order), edits are as well kept:
p(new) of the first quarter 0.90 ± 0.01 against 0.85 ± 0.02. About half as many watched facts have lost half of their
probability, 14 ± 3 against 26 ± 4 %, and fewer paraphrases follow, 65 ± 7 against 85 ± 5 %."""

ROME = ValueSettings(steps=20, weight_decay=0.5, kl_weight=0.0625)
"""ROME's numbers for GPT2-XL in the units of this search, whose decay is of the squared length, and without its random
prefixes."""


@dataclass(frozen=True, eq=False)
class TargetValues:
    """Keys of n edits in one layer, and the values they are to have.

    Attributes:
        keys: (n, d_key) float64
        values: (n, d_value) float64, W k + change, without the projection's bias
        probabilities: (n,) float64, of the new object per token (geometric mean) with that value put in
        steps: (n,) int64, Adam steps taken
    """

    keys: Tensor
    values: Tensor
    probabilities: Tensor
    steps: Tensor

    def residuals(self, weight: Tensor) -> Tensor:
        """How each value is to change, v_i − W k_i, (n, d_value) float64 on the CPU.

        Args:
            weight: (d_value, d_key), of the layer, on any device and in any dtype.
        """
        return self.values - self.keys @ weight.to("cpu", torch.float64).T


def target_values(
    model: LoadedModel, facts: Iterable[Fact], layer: int, settings: ValueSettings | None = None
) -> TargetValues:
    """Search, for each fact, the value at its subject's last token that makes the unedited model say `target_new`.

        v* = W k + argmin_z  -log p(new | prompt, z) + decay |z|^2 / |W k + b|^2 + kl KL(after || before),
        |z| <= bound |W k + b|                                                  (Meng et al. 2022, section 3.1, step 2)

    z is added to what the projection puts out at that token, by Adam from z = 0, until the object is probable enough.
    All edits of a batch are searched together, each on its own: none sees another. The log-probability is the mean over
    the object's tokens, as in ROME, and over the prefixes.

    Args:
        model: unedited. Its weights are not changed and get no gradients.
        facts: n edits; `prompt`, `subject` and `target_new` are read.
        layer: the layer to be edited.
        settings: of the search.

    Returns:
        Keys, values, and how far each search came; an edit that did not reach its probability is returned as it is.

    Raises:
        InputError: a layer that does not exist, an object of no tokens, a prompt longer than the context, or an object
            whose probability is not a number.
    """
    settings = settings or ValueSettings()
    (found,) = target_values_at(model, facts, layer, (settings.target_probability,), settings)
    return found


def target_values_at(
    model: LoadedModel,
    facts: Iterable[Fact],
    layer: int,
    probabilities: Sequence[float],
    settings: ValueSettings | None = None,
) -> tuple[TargetValues, ...]:
    """`target_values` for several target probabilities in one search: each edit as it was when it first reached them.

    A search that stops at a lower probability takes the same steps, so the lower ones cost nothing.

    Args:
        model, facts, layer: as in `target_values`.
        probabilities: rising, each between 0 and 1.
        settings: of the search; its own target probability does not count.

    Returns:
        By probability. An edit that did not reach one is returned as it was at the end.

    Raises:
        InputError: probabilities that do not rise, or as `target_values`.
    """
    if not probabilities or list(probabilities) != sorted(set(probabilities)):
        raise InputError(f"probabilities is {shown(probabilities)}; expected one or more that rise")
    settings = replace(settings or ValueSettings(), target_probability=probabilities[-1])
    facts = as_facts(facts)
    keys = subject_keys(model, facts, [layer])[layer]
    unedited = keys @ model.adapter.weight(layer).to("cpu", torch.float64).T
    bias = model.adapter.bias(layer)
    sizes = (unedited if bias is None else unedited + bias.to("cpu", torch.float64)).square().mean(dim=1).sqrt()
    parts, found = _parts(model, facts), []
    with tqdm(total=len(facts), unit="edit", desc=f"target values, layer {layer}", disable=None) as bar:
        for part in parts:
            some = [facts[number] for number in part.tolist()]
            found.append(_Search(model, some, layer, sizes[part], settings).run(probabilities))
            bar.update(len(some))
    back = torch.cat(parts).argsort()
    by_level = [
        [torch.cat(tensors)[back] for tensors in zip(*of_level, strict=True)] for of_level in zip(*found, strict=True)
    ]
    return tuple(TargetValues(keys, unedited + change, reached, steps) for change, reached, steps in by_level)


def _parts(model: LoadedModel, facts: Sequence[Fact]) -> list[Tensor]:
    """Which facts are searched in one pass: of each `EDITS_AT_ONCE`, those with as long a rest."""
    lengths = lengths_of_rests(object_rows(model, facts, [fact.target_new for fact in facts])).cpu()
    parts: list[Tensor] = []
    for start in range(0, len(facts), EDITS_AT_ONCE):
        by_length = start + lengths[start : start + EDITS_AT_ONCE].argsort(stable=True)
        parts += torch.split(by_length, EDITS_IN_A_PASS)
    return parts


class _Search:
    """The state of one batch of searches."""

    def __init__(
        self, model: LoadedModel, facts: Sequence[Fact], layer: int, sizes: Tensor, settings: ValueSettings
    ) -> None:
        self._facts, self._settings = facts, settings
        self._objects = [fact.target_new for fact in facts]
        rows = object_rows(model, facts, self._objects, prefixes=settings.prefixes, essence=settings.kl_weight > 0)
        self._searched = torch.arange(len(facts), device=model.adapter.device)
        self._rest = after_subjects(model.adapter, layer, rows)
        device, dtype = model.adapter.device, torch.promote_types(model.adapter.weight(layer).dtype, torch.float32)
        self._sizes = sizes.to(device, dtype)
        # In root mean squares of the unedited value's entries.
        self._change = torch.zeros(len(facts), model.adapter.d_value, dtype=dtype, device=device, requires_grad=True)
        self._before: Tensor | None = None
        if settings.kl_weight:
            with torch.no_grad():
                self._before = self._essence(self._logits(self._rest), self._rest.rows)

    def run(self, levels: Sequence[float]) -> list[tuple[Tensor, Tensor, Tensor]]:
        """By level: changes (n, d_value) float64, probabilities (n,) float64 and steps (n,) int64, when it was reached.

        Args:
            levels: rising probabilities; the last is that of the settings.
        """
        settings, change = self._settings, self._change
        adam = torch.optim.Adam([change], lr=settings.learning_rate)
        probabilities = torch.zeros(len(change), dtype=torch.float64, device=change.device)
        steps = torch.zeros(len(change), dtype=torch.int64, device=change.device)
        kept = [(change.detach().clone(), probabilities.clone(), steps.clone()) for _ in levels]
        for step in range(settings.steps + 1):
            searching = torch.nonzero(probabilities < settings.target_probability).flatten()
            log_probabilities, penalties = self._objective(searching)
            probabilities[searching] = log_probabilities.detach().double().exp()
            for level, of_level in zip(levels, kept, strict=True):
                going_on = of_level[1] < level
                for saved, now in zip(of_level, (change.detach(), probabilities, steps), strict=True):
                    saved[going_on] = now[going_on]
            reached = probabilities >= settings.target_probability
            if step == settings.steps or bool(reached.all()):
                break
            (change.grad,) = torch.autograd.grad((penalties - log_probabilities).sum(), [change])
            last = change.detach().clone()
            adam.step()
            with torch.no_grad():
                change.copy_(torch.where(reached[:, None], last, self._bounded(change)))
            steps += ~reached
        sizes = self._sizes[:, None]
        return [((of * sizes).to("cpu", torch.float64), reached.cpu(), taken.cpu()) for of, reached, taken in kept]

    def _bounded(self, change: Tensor) -> Tensor:
        lengths = change.square().mean(dim=1, keepdim=True).sqrt()  # in lengths of the unedited value
        return change * (self._settings.norm_bound / lengths).clamp(max=1.0)

    def _objective(self, edits: Tensor) -> tuple[Tensor, Tensor]:
        """Mean log-probabilities per token of the new objects over their rows, and the penalties, (edits,) each."""
        if len(edits) < len(self._searched):  # those that are found are run no more
            self._searched, self._rest = edits, self._rest.of(edits)
        rows, logits = self._rest.rows, self._logits(self._rest)
        place = torch.searchsorted(edits, rows.owner)  # `edits` increase
        has_object = rows.targets[:, 0] >= 0
        sums = logits.new_zeros(len(edits), dtype=torch.float32)
        means = sums.index_add(0, place, object_log_probabilities(logits, rows)) / sums.index_add(
            0, place, has_object.float()
        )
        numbers = edits.tolist()
        refuse_not_finite(means, [self._facts[n] for n in numbers], [self._objects[n] for n in numbers])
        penalties = self._settings.weight_decay * self._change[edits].square().mean(dim=1)
        if self._before is not None:
            after = self._essence(logits, rows)
            divergence = (after.exp() * (after - self._before[edits])).sum(dim=1)
            penalties = penalties + self._settings.kl_weight * divergence
        return means, penalties

    def _logits(self, rest: AfterSubjects) -> Tensor:
        return rest.logits((self._change * self._sizes[:, None])[rest.rows.owner])

    def _essence(self, logits: Tensor, rows: ObjectRows) -> Tensor:
        """Log-probabilities of all tokens after "SUBJECT is a", (edits, vocabulary), in the order of the edits."""
        return torch.log_softmax(logits[rows.targets[rows.is_read] < 0].float(), dim=1)
