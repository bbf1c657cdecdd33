"""Dose and response of single edits, measured on one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ks_core.experiments.clock import Clock
from ks_core.experiments.dose.choice import SHORT, DoseDesign
from ks_core.experiments.dose.response import DoseResponse
from ks_core.experiments.dose.run import dose_response
from ks_core.experiments.request.inputs import Inputs
from ks_core.experiments.request.selection import Selection


@dataclass(frozen=True, eq=False)
class DoseMeasurement:
    """Dose and response of single edits; nothing in it is judged yet.

    Attributes:
        response: None where no relation has enough facts, or no layer before the last was measured
    """

    response: DoseResponse | None
    resamples: int
    seed: int
    seconds: Mapping[str, float]


def measure_dose(inputs: Inputs, selection: Selection, design: DoseDesign = SHORT) -> DoseMeasurement:
    """Edit single facts of one relation and read its neighbours, as many as a design says.

    Arguments are as for `measure_stream`.
    """
    clock, settings = Clock(), inputs.settings
    usable = inputs.facts.subset(selection.usable)
    response = dose_response(inputs.model, inputs.text(), usable, design)
    clock.lap("dose and response")
    return DoseMeasurement(response, settings.resamples, settings.seed, clock.laps)
