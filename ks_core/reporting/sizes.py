"""The scaling claim in numbers: for results.json."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ks_core.experiments.sizes.family import FamilyScaling
from ks_core.experiments.sizes.measure import SizesMeasurement
from ks_core.experiments.sizes.member import FamilyMember
from ks_core.experiments.sizes.numbers import NUMBERS, PLACES
from ks_core.statistics.estimate import Replicates


def sizes_numbers(measured: SizesMeasurement) -> dict[str, Any]:
    """Everything that was measured on families, and of other seeds of training."""
    seeds = measured.seeds
    return {
        "scaling": [scaling_numbers(family) for family in measured.families],
        "seeds": None
        if seeds is None
        else {"family": seeds.family, "sizes": list(seeds.sizes), "by_seed": dict(seeds.by_seed)},
    }


def scaling_numbers(family: FamilyScaling) -> dict[str, Any]:
    """Everything that was measured on a family, as plain values and arrays."""
    return {
        "family": family.name,
        "case_ids": list(family.case_ids),
        "facts_sha256": family.facts_sha256,
        "facts_known_to_all": family.common,
        "places": dict(PLACES),
        "members": [_member(member) for member in family.members],
        "exponents": {
            number: {
                "at_places": _with_errors(family.exponents(number)),
                "over_chance_at_places": _with_errors(family.exponents_over_chance(number)),
                "of_chance_at_places": family.chance_exponents(number),
            }
            for number in NUMBERS
        },
        "trends": {number: asdict(family.trend(number)) for number in NUMBERS},
    }


def _member(member: FamilyMember) -> dict[str, Any]:
    return {
        "name": member.name,
        "revision": member.revision,
        "parameters_outside_embedding": member.size,
        "weights_sha256": member.weights_sha256,
        "by_layer": {number: _with_errors(found) for number, found in member.numbers.items()},
        "chance_by_layer": dict(member.chance),
    }


def _with_errors(found: Replicates) -> dict[str, Any]:
    low, high = found.interval
    return {
        "value": found.value,
        "facts_error": found.facts_error,
        "text_error": found.text_error,
        "interval": [low, high],
    }
