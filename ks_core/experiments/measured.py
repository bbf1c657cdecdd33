"""Everything that was measured on one model, in one frozen value: what claims judge and reports show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from ks_core.errors import InputError
from ks_core.experiments.capacity.measure import Capacity, measure_capacity
from ks_core.experiments.dose.choice import LONG
from ks_core.experiments.dose.measure import DoseMeasurement, measure_dose
from ks_core.experiments.lifelong.measure import measure_lifelong
from ks_core.experiments.lifelong.measurement import Lifelong
from ks_core.experiments.pairs.measure import Measurement
from ks_core.experiments.request.inputs import Inputs
from ks_core.experiments.sizes.choice import families
from ks_core.experiments.sizes.measure import SizesMeasurement, measure_sizes
from ks_core.experiments.streams.measure import StreamMeasurement, measure_stream
from ks_core.experiments.streams.run import NO_EDITORS
from ks_core.formatting import shown
from ks_core.theory.editors import EditFunction

Part = Literal["pairs", "stream", "dose", "sizes", "lifelong", "capacity", "long_dose"]
"""A field of `Measured`."""


@dataclass(frozen=True, eq=False)
class Measured:
    """The parts of a measurement; None for a part that was not asked for.

    Attributes:
        pairs: superposition between facts in every layer: what every other part rests on
        stream: a stream of edits by several methods
        dose: single edits of one relation, read on their neighbours
        sizes: models of several sizes, this one not among them
        lifelong: hundreds of edits in several orders, by every method
        capacity: streams up to and beyond as many edits as keys have dimensions, on small models
        long_dose: as `dose`, of more edits
    """

    pairs: Measurement
    stream: StreamMeasurement | None = None
    dose: DoseMeasurement | None = None
    sizes: SizesMeasurement | None = None
    lifelong: Lifelong | None = None
    capacity: Capacity | None = None
    long_dose: DoseMeasurement | None = None


def measure_part(
    inputs: Inputs, measured: Measured, part: Part, editors: Mapping[str, EditFunction] = NO_EDITORS
) -> Measured:
    """Measure one more part of a model, from the inputs that its pairs were measured from.

    Args:
        inputs: of the pairs.
        measured: the pairs, and what else there is.
        part: what to measure; `pairs` are there already.
        editors: anyone's editors by name, which streams run beside the four methods.

    Raises:
        InputError: no part of a measurement.
        KsError: what the part cannot use, such as more edits than there are usable facts.
    """
    settings, selection = inputs.settings, measured.pairs.selection
    match part:
        case "pairs":
            return measured
        case "stream":
            return replace(measured, stream=measure_stream(inputs, selection, settings.num_edits, editors))
        case "dose":
            return replace(measured, dose=measure_dose(inputs, selection))
        case "sizes":
            return replace(measured, sizes=measure_sizes(inputs, families(settings)))
        case "lifelong":
            return replace(measured, lifelong=measure_lifelong(inputs, selection, editors))
        case "capacity":
            return replace(measured, capacity=measure_capacity(inputs, selection))
        case "long_dose":
            return replace(measured, long_dose=measure_dose(inputs, selection, LONG))
        case _:
            raise InputError(f"part is {shown(part)}; expected one of {', '.join(get_args(Part))}")
