"""Everything that was measured on one model, in one frozen value: what claims judge and reports show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from ks_core.errors import InputError
from ks_core.experiments.dose.measure import DoseMeasurement, measure_dose
from ks_core.experiments.pairs.measure import Measurement
from ks_core.experiments.request.inputs import Inputs
from ks_core.experiments.sizes.choice import families
from ks_core.experiments.sizes.measure import SizesMeasurement, measure_sizes
from ks_core.experiments.streams.measure import LONG_STREAM, StreamMeasurement, measure_stream
from ks_core.experiments.streams.run import NO_EDITORS
from ks_core.formatting import shown
from ks_core.theory.editors import EditFunction

Part = Literal["pairs", "stream", "long_stream", "dose", "sizes"]
"""A field of `Measured`."""


@dataclass(frozen=True, eq=False)
class Measured:
    """The parts of a measurement; None for a part that was not asked for.

    Attributes:
        pairs: superposition between facts in every layer: what every other part rests on
        stream: a stream of edits by several methods
        long_stream: the same with as many edits as the paper has facts
        dose: single edits of one relation, read on their neighbours
        sizes: models of several sizes, this one not among them
    """

    pairs: Measurement
    stream: StreamMeasurement | None = None
    long_stream: StreamMeasurement | None = None
    dose: DoseMeasurement | None = None
    sizes: SizesMeasurement | None = None


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
        case "long_stream":
            return replace(measured, long_stream=measure_stream(inputs, selection, LONG_STREAM, editors))
        case "dose":
            return replace(measured, dose=measure_dose(inputs, selection))
        case "sizes":
            return replace(measured, sizes=measure_sizes(inputs, families(settings)))
        case _:
            raise InputError(f"part is {shown(part)}; expected one of {', '.join(get_args(Part))}")
