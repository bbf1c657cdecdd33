"""Planted numbers in the place of measured ones, for tests of where claims draw the line.

Every planter takes something really measured, a number and its spread, and gives the same with that number in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pytest

from ks_core.claims.finding import Verdict
from ks_core.claims.registry import CLAIMS
from ks_core.data.facts import Fact, FactSet
from ks_core.experiments.measured import Measured
from ks_core.experiments.pairs.measure import Measurement
from ks_core.statistics.estimate import Replicates

SAMPLES = np.linspace(-1, 1, 40)
"""Of the facts, as many as the measurement has, in half-widths of the spread: an interval reaches 0.95 either way."""


@dataclass(frozen=True)
class Line:
    """Where a claim's documented threshold is, and how near to it a number is tried."""

    kind: Literal["above", "below", "within"]
    threshold: float
    near: float

    def tries(self) -> Iterator[tuple[float, float, Verdict]]:
        """Number, half-width of its spread, and the verdict: beside the line, beyond it, and across it."""
        inside, outside = {"below": (-1, 1), "above": (1, -1), "within": (-1, 1)}[self.kind]
        for side in (1, -1) if self.kind == "within" else (1,):
            yield side * (self.threshold + inside * self.near), self.near / 2, Verdict.HOLDS
            yield side * (self.threshold + outside * self.near), self.near / 2, Verdict.FAILS
            yield side * self.threshold, self.near, Verdict.UNDECIDED


Plant = Callable[[Any, float, float], Any]


def cases(lines: Mapping[str, tuple[Plant, Line]]) -> list[Any]:
    """Every try of every line as parameters: id of the finding, planter, number, half-width, verdict."""
    return [
        pytest.param(of, plant, *tried, id=f"{of}-{tried[0]:.4g}-{tried[2].name}")
        for of, (plant, line) in lines.items()
        for tried in line.tries()
    ]


def verdict_on(measured: Measured, finding: str) -> Verdict:
    """What the claim of a finding, `claim`, `claim:part` or `claim:part@long`, says of a measurement."""
    claim, variant = finding.partition(":")[0], finding.partition("@")[2]
    outcome = CLAIMS[f"{claim}@long" if variant == "long" else claim].judge(measured)
    verdicts = {of.id: of.verdict for of in outcome}  # type: ignore[union-attr]
    return verdicts[finding]


def number(value: float, spread: float = 0.0) -> Replicates:
    """One number, shape ()."""
    return Replicates(np.array(value), value + spread * SAMPLES, np.array([value, value]))


def by_layer(*layers: Replicates) -> Replicates:
    """Numbers of several layers, (layers,)."""
    names = ("value", "facts", "text")
    return Replicates(*(np.stack([getattr(of, name) for of in layers], axis=-1) for name in names))


def with_statistics(measurement: Measurement, matrix: str, **planted: Replicates) -> Measurement:
    """The measurement with some statistics of one matrix planted."""
    statistics = dict(measurement.statistics)
    statistics[matrix] = {**statistics[matrix], **planted}
    return replace(measurement, statistics=statistics)


def in_one_layer(matrix: str, statistic: str, inside: float) -> Plant:
    """A planter of a statistic of the second of two layers; the first is well inside."""

    def plant(measurement: Measurement, value: float, spread: float) -> Measurement:
        layers = by_layer(number(inside), number(value, spread))
        return with_statistics(measurement, matrix, **{statistic: layers})

    return plant


def facts(count: int, lands: Callable[[int], str] = "Land{}".format) -> FactSet:
    """So many facts, of which those with one land are related."""
    made = tuple(Fact(n, f"Town{n}", "P1", "{} lies in", lands(n), "Nowhere") for n in range(count))
    return FactSet(made, "planted", "0" * 64, "planted")


def with_facts(measurement: Measurement, **selected: FactSet) -> Measurement:
    """The measurement as if it were of other facts, `measured` or the `pool`."""
    return replace(measurement, selection=replace(measurement.selection, **selected))
