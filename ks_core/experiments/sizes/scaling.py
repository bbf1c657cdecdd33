"""The scaling claim's numbers: superposition of the members of a family against their size, on the same facts."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ks_core.data.facts import FactSet
from ks_core.errors import InputError
from ks_core.experiments.pairs.analysis import LayerPairs, layer_pairs
from ks_core.experiments.request.inputs import load_inputs
from ks_core.experiments.request.settings import Settings
from ks_core.formatting import printable
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.known import known_facts
from ks_core.models.size import parameters_outside_embedding
from ks_core.statistics import null
from ks_core.statistics.bootstrap import fact_weights
from ks_core.statistics.estimate import Replicates, derive
from ks_core.statistics.moments import weighted_moments
from ks_core.statistics.pairs import Array
from ks_core.statistics.trend import MonotoneTrend, monotone_trend, power_law_exponent

logger = logging.getLogger(__name__)

PLACES: Mapping[str, float] = {"first": 0.0, "middle": 0.5, "last": 1.0}
"""Relative depths at which models of different depth are compared."""

NUMBERS: Mapping[str, tuple[str, str, str]] = {
    "kurtosis": ("kurtosis of P (excess + 3)", "P", "kurtosis"),
    "spread": ("standard deviation of P", "P", "std"),
    "cosine_spread": ("standard deviation of whitened cosines", "whitened_cosine", "std"),
}
"""What is held against size: in words, of which matrix, which statistic. All are positive, so that a power law can be
fitted: an excess kurtosis can be negative, the kurtosis itself is at least 1."""

CHANCE_DRAWS = 20
"""Random sets of keys behind what chance gives: known to a fifth of its spread from draw to draw."""


@dataclass(frozen=True, eq=False)
class FamilyMember:
    """One model of a family."""

    name: str
    revision: str | None
    weights_sha256: str
    size: int
    """parameters outside the embeddings"""
    numbers: Mapping[str, Replicates]
    """name in `NUMBERS` → one number per layer, (layers,)"""
    chance: Mapping[str, Array]
    """the same of random directions in as many dimensions, in P with the lengths of the layer's own whitened keys"""

    def at_places(self, number: str) -> Replicates:
        """A number at the relative depths of `PLACES`, (places,)."""
        return derive(at_places, self.numbers[number])

    def over_chance(self, number: str) -> Replicates:
        """A number at `PLACES` over what chance gives there, (places,)."""
        chance = at_places(self.chance[number])
        return derive(lambda values: values / chance, self.at_places(number))


@dataclass(frozen=True, eq=False)
class FamilyScaling:
    """What was measured on the members of one family, smallest first."""

    name: str
    members: tuple[FamilyMember, ...]
    case_ids: tuple[int, ...]
    """the facts, the same for all members"""
    facts_sha256: str
    common: int
    """facts of the file that every member knows"""

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
        settings: text, facts, their numbers and the bootstrap; its model, revision and layers are not used.
        case_ids: facts to measure; default the first ones that every member knows.

    Raises:
        InputError: fewer than two models, two of one size, or fewer common facts than asked for.
        KsError: what any of them cannot use.
    """
    if len(models) < 2:
        raise InputError(f"family {name} has {len(models)} models; expected two at least")
    each = [replace(settings, model=model, revision=None, layers=None) for model in models]
    known = [_known(of_model) for of_model in each]
    facts = known[0][0]
    common = [fact.case_id for fact in facts if all(fact.case_id in ids for _, ids in known)]
    if case_ids is None and len(common) < settings.num_facts:
        counts = ", ".join(f"{of.model_name} {len(ids)}" for of, (_, ids) in zip(each, known, strict=True))
        raise InputError(
            f"all members of family {name} know {len(common)} of the {len(facts)} facts of {facts.name} ({counts}); "
            f"expected {settings.num_facts}: give more facts, ask for fewer (--ks-num-facts), or leave the weakest out"
        )
    measured = facts.subset(common[: settings.num_facts] if case_ids is None else case_ids)
    members = sorted((_measure_member(of_model, measured) for of_model in each), key=lambda member: member.size)
    sizes = [member.size for member in members]
    if len(set(sizes)) < len(sizes):
        raise InputError(f"family {name} has sizes {sizes}; expected each size once")
    ids = tuple(fact.case_id for fact in measured)
    return FamilyScaling(name, tuple(members), ids, measured.fingerprint, len(common))


def _known(settings: Settings) -> tuple[FactSet, set[int]]:
    """The facts, and which of them the model knows; the model is let go."""
    inputs = load_inputs(settings)
    return inputs.facts, set(known_facts(inputs.model, inputs.facts).case_ids)


def _measure_member(settings: Settings, facts: FactSet) -> FamilyMember:
    from tqdm.auto import tqdm

    inputs = load_inputs(settings)
    keys = subject_keys(inputs.model, facts.facts)
    text = inputs.text()
    weights = fact_weights(len(facts), settings.resamples, settings.seed).astype(np.float64)
    by_layer: dict[str, list[Replicates]] = {number: [] for number in NUMBERS}
    chance: dict[str, list[float]] = {number: [] for number in NUMBERS}
    for layer in tqdm(sorted(keys), desc=printable(settings.model_name), unit="layer", disable=None):
        pairs = layer_pairs(layer, keys[layer], len(facts), text)
        of_chance = by_chance(pairs.whitened_norms, pairs.d_key, settings.seed)
        for number, (_, matrix, statistic) in NUMBERS.items():
            by_layer[number].append(_of_layer(pairs, matrix, statistic, weights))
            chance[number].append(of_chance[matrix, statistic])
    size = parameters_outside_embedding(inputs.model.model)
    logger.info(
        "  measured %s: %s parameters outside the embedding, %d layers", settings.model_name, f"{size:,}", len(keys)
    )
    return FamilyMember(
        name=settings.model_name,
        revision=inputs.model.revision,
        weights_sha256=inputs.model.weights_sha256,
        size=size,
        numbers={number: derive(lambda *layers: np.stack(layers), *of) for number, of in by_layer.items()},
        chance={number: np.array(of) for number, of in chance.items()},
    )


def _of_layer(pairs: LayerPairs, matrix: str, statistic: str, weights: Array) -> Replicates:
    everything = np.ones((1, weights.shape[1]))
    return Replicates(
        value=_statistic(pairs.matrices[matrix], statistic, everything)[0],
        facts=_statistic(pairs.matrices[matrix], statistic, weights),
        text=np.concatenate([_statistic(half[matrix], statistic, everything) for half in pairs.halves]),
    )


def by_chance(lengths: Array, d_key: int, seed: int) -> dict[tuple[str, str], float]:
    """Each number of random directions, by matrix and statistic: their cosines, and P with these lengths.

    Args:
        lengths: (n,) of whitened keys, greater than 0.
        d_key: dimensions.
        seed: of the `CHANCE_DRAWS` sets of directions.
    """
    rng = np.random.default_rng(seed)
    everything = np.ones((1, len(lengths)))
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(CHANCE_DRAWS):
        cosine = null.cosines(null.null_whitened_keys(len(lengths), d_key, rng))
        matrices = {"P": cosine * (lengths / lengths[:, None]), "whitened_cosine": cosine}
        for _, matrix, statistic in NUMBERS.values():
            drawn = float(_statistic(matrices[matrix], statistic, everything)[0])
            found.setdefault((matrix, statistic), []).append(drawn)
    return {of: float(np.mean(drawn)) for of, drawn in found.items()}


def _statistic(matrix: Array, statistic: str, weights: Array) -> Array:
    moments = weighted_moments(matrix, weights)
    return moments.kurtosis + 3 if statistic == "kurtosis" else np.sqrt(moments.variance)


def at_places(by_layer: Array) -> Array:
    """Numbers at the relative depths of `PLACES`, between layers on a logarithmic scale; (layers,) → (places,)."""
    depths = np.linspace(0, 1, len(by_layer)) if len(by_layer) > 1 else np.array([0.5])
    logarithms: Array = np.interp(list(PLACES.values()), depths, np.log(by_layer))
    return np.exp(logarithms)


def geometric_mean(numbers: Array) -> Array:
    """Geometric mean of positive numbers."""
    mean: Array = np.exp(np.log(numbers).mean())
    return mean
