"""Everything that is measured of models of several sizes: families, and trainings from other seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ks_core.experiments.request.settings import Settings
from ks_core.experiments.sizes.family import FamilyScaling, measure_family
from ks_core.experiments.sizes.seeds import SeedScaling, stored_seeds


@dataclass(frozen=True, eq=False)
class SizesMeasurement:
    """Families of models of several sizes; nothing in it is judged yet."""

    families: tuple[FamilyScaling, ...]
    """one at least"""
    seeds: SeedScaling | None
    """one of the families trained from other seeds, where such numbers are stored for the same request"""


def measure_sizes(settings: Settings, models: Mapping[str, Sequence[str]]) -> SizesMeasurement | None:
    """Measure families of models, all on the same text and by the same rule for facts.

    Args:
        settings: as for `measure_family`.
        models: family → its models, as `families` gives them.

    Returns:
        What was measured; None where there is no family.

    Raises:
        KsError: as `measure_family`.
    """
    found = tuple(measure_family(name, of, settings) for name, of in models.items())
    return SizesMeasurement(found, stored_seeds(settings, found)) if found else None
