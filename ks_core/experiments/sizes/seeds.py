"""What other seeds of training gave: measured beforehand, because the weights of one seed alone are kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ks_core.experiments.request.settings import Settings
from ks_core.experiments.sizes.family import FamilyScaling
from ks_core.experiments.sizes.numbers import at_places
from ks_core.statistics.pairs import Array
from ks_core.statistics.trend import power_law_exponent

STORED_FOR = ("corpus", "tokens", "dtype", "ridge", "longest_text")
"""Settings that the stored numbers are for; the facts go by their hash."""


@dataclass(frozen=True, eq=False)
class SeedScaling:
    """Numbers of a family trained from other seeds, on the same text, and measured on the same facts and text.

    Attributes:
        sizes: of the models of each seed, increasing; some of the family's
        by_seed: seed → numbers by layer of each size
    """

    family: str
    sizes: tuple[int, ...]
    by_seed: Mapping[int, tuple[Mapping[str, Array], ...]]

    def points(self, number: str) -> Iterator[tuple[int, Array]]:
        """Size and number at the places of `PLACES`, for each model."""
        for members in self.by_seed.values():
            yield from ((size, at_places(of[number])) for size, of in zip(self.sizes, members, strict=True))

    def exponents(self, number: str) -> Array:
        """Exponents of each seed, as `FamilyScaling.exponents` has them, (seeds, places)."""
        of_seeds = [np.stack([at_places(of[number]) for of in members]) for members in self.by_seed.values()]
        return np.stack([power_law_exponent(self.sizes, numbers) for numbers in of_seeds])

    def numbers(self) -> dict[str, Any]:
        """For results.json."""
        return {"family": self.family, "sizes": list(self.sizes), "by_seed": dict(self.by_seed)}


def request_of_seeds(settings: Settings) -> dict[str, Any]:
    """What stored numbers of other seeds must have been measured with."""
    return {name: getattr(settings, name) for name in STORED_FOR}


def stored_seeds(settings: Settings, families: Sequence[FamilyScaling]) -> SeedScaling | None:
    """The stored numbers, where they are for the project's own families, the same facts and the same settings."""
    if settings.families or settings.own_models is None:
        return None
    content = json.loads((Path(settings.own_models) / "seeds.json").read_text(encoding="utf-8"))
    same = [of for of in families if (of.name, of.facts_sha256) == (content["family"], content["facts_sha256"])]
    if not same or content["request"] != request_of_seeds(settings):
        return None
    sizes = tuple(sorted({of["parameters_outside_embedding"] for of in content["members"]}))
    members = sorted(content["members"], key=lambda of: (of["seed"], of["parameters_outside_embedding"]))
    by_seed: dict[int, list[Mapping[str, Array]]] = {}
    for of in members:
        by_seed.setdefault(of["seed"], []).append({name: np.array(of["by_layer"][name]) for name in of["by_layer"]})
    if not set(sizes) <= set(same[0].sizes) or any(len(found) != len(sizes) for found in by_seed.values()):
        return None
    return SeedScaling(content["family"], sizes, {seed: tuple(found) for seed, found in by_seed.items()})
