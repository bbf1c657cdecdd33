"""Everything that is measured of models of several sizes: families, and trainings from other seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ks_core.experiments.request.inputs import Inputs
from ks_core.experiments.sizes.family import FamilyScaling, measure_family
from ks_core.experiments.sizes.seeds import SeedScaling, stored_seeds


@dataclass(frozen=True, eq=False)
class SizesMeasurement:
    """Families of models of several sizes; nothing in it is judged yet.

    Attributes:
        families: one at least
        seeds: one of the families trained from other seeds, where such numbers are stored for the same request
    """

    families: tuple[FamilyScaling, ...]
    seeds: SeedScaling | None


def measure_sizes(inputs: Inputs, models: Mapping[str, Sequence[str]]) -> SizesMeasurement | None:
    """Measure families of models, all on the same text and by the same rule for facts.

    Args:
        inputs: settings, facts and text, as for `measure_family`; its model is not used.
        models: family → its models, as `families` gives them; each is loaded by name.

    Returns:
        What was measured; None where there is no family.

    Raises:
        KsError: as `measure_family`.
    """
    settings, facts, corpus = inputs.settings, inputs.facts, inputs.corpus
    found = tuple(measure_family(name, of, settings, facts, corpus) for name, of in models.items())
    return SizesMeasurement(found, stored_seeds(settings, found)) if found else None
