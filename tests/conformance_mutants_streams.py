"""Editors that remember their stream, as AlphaEdit does, with one realistic fault each, and the law that names it."""

from __future__ import annotations

from typing import ClassVar

import torch
from conformance_mutants import Mutant, edited
from torch import Tensor

from ks_core.conformance import Traits
from ks_core.conformance.reference import RIDGE

REMEMBERS = Traits(order="joint", ridge=RIDGE, stateful=True, remembers=True)
UNWHITENED = Traits(order="joint", ridge=RIDGE, metric="identity", stateful=True, remembers=True)
FORGETS = Traits(order="joint", ridge=RIDGE, stateful=True)
STREAM = Traits(stateful=True)


class Remembering:
    """A joint editor that counts the keys of earlier calls as text; right as it is."""

    def __init__(self) -> None:
        self.cache: Tensor | None = None

    def __call__(self, weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
        system = RIDGE * self.metric(second_moment) + self.seen(keys) + keys.T @ keys
        after = weight + torch.linalg.solve(system, keys.T @ (values - keys @ weight.T)).T
        self.keep(keys)
        return after

    def metric(self, second_moment: Tensor) -> Tensor:
        return second_moment

    def seen(self, keys: Tensor) -> Tensor:
        return torch.zeros(2 * keys.shape[1:], dtype=keys.dtype) if self.cache is None else self.cache

    def keep(self, keys: Tensor) -> None:
        self.cache = self.seen(keys) + keys.T @ keys


class Unwhitened(Remembering):
    """The same for ‖Δ‖ in place of ‖Δ C^½‖; right as it is."""

    def metric(self, second_moment: Tensor) -> Tensor:
        return torch.eye(len(second_moment), dtype=second_moment.dtype)


class LastCallOnly(Remembering):
    """= where += was meant."""

    def keep(self, keys: Tensor) -> None:
        self.cache = keys.T @ keys


class KeptTwice(Remembering):
    """Once when the update was computed and once when it was applied."""

    def keep(self, keys: Tensor) -> None:
        self.cache = self.seen(keys) + 2 * keys.T @ keys


class NeverKept(Remembering):
    """The cache is made and handed on, and nothing is added to it."""

    def keep(self, keys: Tensor) -> None:
        pass


class KeptBeforeTheSolve(Remembering):
    """The keys of a call count as earlier ones of the same call."""

    def seen(self, keys: Tensor) -> Tensor:
        return super().seen(keys) + keys.T @ keys


class SumsOfKeys(Remembering):
    """k kᵀ of the sum of a batch's keys for the sum of k kᵀ: right for batches of one."""

    def keep(self, keys: Tensor) -> None:
        total = keys.sum(dim=0)
        self.cache = self.seen(keys) + torch.outer(total, total)


class AveragesOfKeys(Remembering):
    """A mean over the batch where a sum belongs: right for batches of one."""

    def keep(self, keys: Tensor) -> None:
        self.cache = self.seen(keys) + keys.T @ keys / max(1, len(keys))


class SharedByAll(Remembering):
    """The cache is the class's, by width, so that the next stream starts with it."""

    caches: ClassVar[dict[int, Tensor]] = {}

    def seen(self, keys: Tensor) -> Tensor:
        empty = torch.zeros(2 * keys.shape[1:], dtype=keys.dtype)
        return self.caches.get(keys.shape[1], empty)

    def keep(self, keys: Tensor) -> None:
        self.caches[keys.shape[1]] = self.seen(keys) + keys.T @ keys


class FirstMomentOnly(Remembering):
    """What is made of C in the first call is taken for the C of all later ones, keys of that call among it."""

    def __call__(self, weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
        if self.cache is None:
            self.cache = RIDGE * second_moment + keys.T @ keys
        return weight + torch.linalg.solve(self.cache, keys.T @ (values - keys @ weight.T)).T


class ResidualsAtTheFirstCall(Remembering):
    """Residuals are taken at the weight of the first call."""

    first: Tensor | None = None

    def __call__(self, weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
        self.first = weight if self.first is None else self.first
        shift = keys @ (weight - self.first).T
        return super().__call__(weight, keys, values + shift, second_moment)


class WeightOfTheFirstCall:
    """Sequential: goes on from a weight that it keeps, not from the one that it is given."""

    def __init__(self) -> None:
        self.weight: Tensor | None = None

    def __call__(self, weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
        start = weight if self.weight is None else self.weight
        self.weight = weight.clone()
        return edited(start, keys, values, second_moment)


class LastThreeCalls(Remembering):
    """A window: what is older than three calls is forgotten, "to save memory"."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Tensor] = []

    def keep(self, keys: Tensor) -> None:
        self.kept = [*self.kept, keys.T @ keys][-3:]
        self.cache = torch.stack(self.kept).sum(dim=0)


class OwnWeight(Remembering):
    """Joint: goes on from the weight that it returned, not from the one that it is given."""

    weight: Tensor | None = None

    def __call__(self, weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
        self.weight = super().__call__(weight if self.weight is None else self.weight, keys, values, second_moment)
        return self.weight


class MomentOfTheFirstCall:
    """C is taken once for all calls, as a layer's inverse that is cached by its name."""

    moment: Tensor | None = None

    def __call__(self, weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
        self.moment = second_moment if self.moment is None else self.moment
        system = RIDGE * self.moment + keys.T @ keys
        return weight + torch.linalg.solve(system, keys.T @ (values - keys @ weight.T)).T


_GIVEN = "calls_use_what_they_are_given"
_CALLS = "calls_of_a_stream_follow_each_other"
STREAM_ZOO: dict[str, Mutant] = {
    "keys_of_the_last_call_only": Mutant(LastCallOnly, _CALLS, REMEMBERS),
    "keys_kept_twice": Mutant(KeptTwice, _CALLS, REMEMBERS),
    "keys_never_kept": Mutant(NeverKept, _CALLS, REMEMBERS),
    "keys_kept_before_the_solve": Mutant(KeptBeforeTheSolve, "closed_form_ridge", REMEMBERS),
    "sums_of_keys_kept": Mutant(SumsOfKeys, _CALLS, REMEMBERS),
    "averages_of_keys_kept": Mutant(AveragesOfKeys, _CALLS, REMEMBERS),
    "keys_kept_in_the_class": Mutant(SharedByAll, "no_state_between_streams", REMEMBERS),
    "system_of_the_first_call": Mutant(FirstMomentOnly, _CALLS, REMEMBERS),
    "residuals_at_the_first_call": Mutant(ResidualsAtTheFirstCall, _CALLS, REMEMBERS),
    "weight_of_the_call_before": Mutant(WeightOfTheFirstCall, "stream_can_be_cut_anywhere", STREAM),
    "keys_of_three_calls_only": Mutant(LastThreeCalls, _CALLS, REMEMBERS),
    "weight_of_its_own": Mutant(OwnWeight, _GIVEN, REMEMBERS),
    "moment_of_the_first_call": Mutant(MomentOfTheFirstCall, _GIVEN, FORGETS),
    "memory_that_is_not_claimed": Mutant(Remembering, _CALLS, FORGETS),
    "memory_in_the_text_metric": Mutant(Remembering, "second_moment_is_not_used", UNWHITENED),
}
