"""Everything that was measured on one model, in one frozen value: what claims judge and reports show."""

from __future__ import annotations

from dataclasses import dataclass

from ks_core.experiments.dose.measure import DoseMeasurement
from ks_core.experiments.pairs.measure import Measurement
from ks_core.experiments.sizes.measure import SizesMeasurement
from ks_core.experiments.streams.measure import StreamMeasurement


@dataclass(frozen=True, eq=False)
class Measured:
    """The parts of a measurement; None for a part that was not asked for."""

    pairs: Measurement
    """superposition between facts in every layer: what every other part rests on"""
    stream: StreamMeasurement | None = None
    """a stream of edits by several methods"""
    long_stream: StreamMeasurement | None = None
    """the same with as many edits as the paper has facts"""
    dose: DoseMeasurement | None = None
    """single edits of one relation, read on its other facts"""
    sizes: SizesMeasurement | None = None
    """models of several sizes, this one not among them"""
