"""All laws, by name, in the order of reports."""

from __future__ import annotations

from types import ModuleType

from ks_core.conformance import (
    laws_collector,
    laws_edges,
    laws_extractor,
    laws_geometry,
    laws_hygiene,
    laws_invariance,
    laws_precision,
    laws_streams,
    laws_values,
)
from ks_core.conformance.law import Law


def _laws_of(module: ModuleType) -> list[Law]:
    return [value for value in vars(module).values() if isinstance(value, Law)]


_ROOMS = (
    *(laws_hygiene, laws_precision),  # first causes first
    *(laws_values, laws_geometry, laws_invariance, laws_streams, laws_edges),
    *(laws_collector, laws_extractor),
)

LAWS: dict[str, Law] = {law.name: law for room in _ROOMS for law in _laws_of(room)}


def laws_for(subject: str) -> tuple[Law, ...]:
    """The laws of "editor", "collector" or "extractor"."""
    return tuple(law for law in LAWS.values() if law.subject == subject)
