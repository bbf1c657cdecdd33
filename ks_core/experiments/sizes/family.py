"""Superposition of the members of a family against their size, on the same facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ks_core.data.corpus import Corpus
from ks_core.data.facts import FactSet
from ks_core.errors import InputError
from ks_core.experiments.request.inputs import load_inputs
from ks_core.experiments.request.options import set_by
from ks_core.experiments.request.settings import Settings
from ks_core.experiments.sizes.member import FamilyMember, measure_member
from ks_core.experiments.sizes.numbers import at_places, geometric_mean
from ks_core.measurement.known import known_facts
from ks_core.statistics.estimate import Replicates, derive
from ks_core.statistics.pairs import Array
from ks_core.statistics.trend import MonotoneTrend, monotone_trend, power_law_exponent


@dataclass(frozen=True, eq=False)
class FamilyScaling:
    """What was measured on the members of one family, smallest first.

    Attributes:
        case_ids: the facts, the same for all members
        common: facts of the file that every member knows
    """

    name: str
    members: tuple[FamilyMember, ...]
    case_ids: tuple[int, ...]
    facts_sha256: str
    common: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of the members, increasing."""
        return tuple(member.size for member in self.members)

    def by_size(self, number: str) -> Replicates:
        """A number, geometric mean over `PLACES`, (members,)."""
        return derive(lambda *members: np.stack([geometric_mean(of) for of in members]), *self._at_places(number))

    def exponents(self, number: str) -> Replicates:
        """Exponents of power laws in size, one per place of `PLACES`, (places,)."""
        return derive(self._exponents, *self._at_places(number))

    def exponents_over_chance(self, number: str) -> Replicates:
        """The same of the number over what chance gives, (places,)."""
        return derive(self._exponents, *(member.over_chance(number) for member in self.members))

    def chance_exponents(self, number: str) -> Array:
        """The same of what chance gives, (places,)."""
        return self._exponents(*(at_places(member.chance[number]) for member in self.members))

    def trend(self, number: str) -> MonotoneTrend:
        """Whether `by_size` only rises or falls."""
        return monotone_trend(self.sizes, self.by_size(number).value.tolist())

    def only(self, sizes: Sequence[int]) -> FamilyScaling:
        """The family with some of its members."""
        return replace(self, members=tuple(member for member in self.members if member.size in sizes))

    def _at_places(self, number: str) -> list[Replicates]:
        return [member.at_places(number) for member in self.members]

    def _exponents(self, *members: Array) -> Array:
        return power_law_exponent(self.sizes, np.stack(members))


def measure_family(
    name: str,
    models: Sequence[str],
    settings: Settings,
    facts: FactSet,
    corpus: Corpus,
    *,
    case_ids: Sequence[int] | None = None,
) -> FamilyScaling:
    """Measure all members on the same facts.

    Bootstrap draws are the same for all members too, so that what the facts have in common cancels from the
    differences between sizes.

    Args:
        name: of the family.
        models: two or more, as `load_model` takes them, in any order; one is in memory at a time, and each is loaded
            twice: to ask what it knows, and to measure it.
        settings: the numbers of facts and tokens, and the bootstrap; its model, revision and layers are not used, nor
            the names of facts and text.
        facts: what the members are asked.
        corpus: the text of their second moments.
        case_ids: facts to measure; default the first ones that every member knows.

    Raises:
        InputError: fewer than two models, two of one size, or fewer common facts than asked for.
        KsError: what any of them cannot use.
    """
    if len(models) < 2:
        raise InputError(f"family {name} has {len(models)} models; expected two at least")
    each = [replace(settings, model=model, revision=None, layers=None) for model in models]
    known = [_known(of_model, facts, corpus) for of_model in each]
    common = [fact.case_id for fact in facts if all(fact.case_id in ids for ids in known)]
    if case_ids is None and len(common) < settings.num_facts:
        counts = ", ".join(f"{of.model_name} {len(ids)}" for of, ids in zip(each, known, strict=True))
        raise InputError(
            f"all members of family {name} know {len(common)} of the {len(facts)} facts of {facts.name} ({counts}); "
            f"expected {settings.num_facts}: give more facts, ask for fewer {set_by('num_facts')}, or leave "
            "the weakest out"
        )
    measured = facts.subset(common[: settings.num_facts] if case_ids is None else case_ids)
    each_measured = (measure_member(of_model, measured, corpus) for of_model in each)
    members = sorted(each_measured, key=lambda member: member.size)
    sizes = [member.size for member in members]
    if len(set(sizes)) < len(sizes):
        raise InputError(f"family {name} has sizes {sizes}; expected each size once")
    ids = tuple(fact.case_id for fact in measured)
    return FamilyScaling(name, tuple(members), ids, measured.fingerprint, len(common))


def _known(settings: Settings, facts: FactSet, corpus: Corpus) -> set[int]:
    """Which of the facts the model knows; the model is let go."""
    inputs = load_inputs(settings, facts=facts, corpus=corpus)
    return set(known_facts(inputs.model, inputs.facts).case_ids)
