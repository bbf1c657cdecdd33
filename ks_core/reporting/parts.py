"""What a run measures besides the model itself, each part by the name that asks for it: edits, other sizes of model."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ks_core.experiments.dose.measure import DoseMeasurement, measure_dose
from ks_core.experiments.request.inputs import Inputs
from ks_core.experiments.request.selection import Selection
from ks_core.experiments.request.settings import Settings
from ks_core.experiments.sizes.family import FamilyScaling, measure_family
from ks_core.experiments.sizes.seeds import SeedScaling, stored_seeds
from ks_core.experiments.streams.measure import LONG, StreamMeasurement, measure_stream
from ks_core.reporting.figures.pairs import Drawings
from ks_core.reporting.figures.sizes import scaling_figures
from ks_core.reporting.figures.streams import dose_figures, stream_figures
from ks_core.reporting.sizes import scaling_numbers
from ks_core.reporting.streams import dose_numbers, methods_table, stream_numbers


@dataclass(frozen=True)
class Parts:
    """What was measured of what was asked for."""

    stream: StreamMeasurement | None = None
    long_stream: StreamMeasurement | None = None
    dose: DoseMeasurement | None = None
    scaling: tuple[FamilyScaling, ...] = ()
    seeds: SeedScaling | None = None

    def numbers(self) -> dict[str, Any]:
        """For results.json."""
        streams = {"stream": self.stream, "long_stream": self.long_stream}
        found = {name: stream_numbers(measured) for name, measured in streams.items() if measured is not None}
        editing = found | ({} if self.dose is None else {"dose": dose_numbers(self.dose)})
        seeds = None if self.seeds is None else self.seeds.numbers()
        return {"editing": editing, "scaling": [scaling_numbers(family) for family in self.scaling], "seeds": seeds}

    def tables(self) -> list[str]:
        """For the terminal."""
        tables = [methods_table(measured) for measured in (self.stream, self.long_stream) if measured is not None]
        return [line for table in tables for line in (*table, "")]

    def figures(self, model: str) -> Drawings:
        """By file name."""
        streams = {"": self.stream, "-long": self.long_stream}
        drawn = [stream_figures(of, model, suffix) for suffix, of in streams.items() if of is not None]
        if self.dose is not None:
            drawn.append(dose_figures(self.dose, model))
        drawn.append(scaling_figures(self.scaling, self.seeds))
        return {name: draw for drawings in drawn for name, draw in drawings.items()}


def measure_edits(inputs: Inputs, selection: Selection, parts: Collection[str]) -> dict[str, Any]:
    """Edit the model as the parts ask (`stream`, `long_stream`, `dose`); returns fields of `Parts`."""
    streams = {"stream": inputs.settings.num_edits, "long_stream": LONG}
    found: dict[str, Any] = {
        part: measure_stream(inputs, selection, num_edits) for part, num_edits in streams.items() if part in parts
    }
    return found | ({"dose": measure_dose(inputs, selection)} if "dose" in parts else {})


def measure_sizes(settings: Settings, of_size: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Measure families of models, each with models of its own; returns fields of `Parts`."""
    scaling = tuple(measure_family(name, models, settings) for name, models in of_size.items())
    return {"scaling": scaling, "seeds": stored_seeds(settings, scaling)} if scaling else {}


def plan_of_parts(settings: Settings, parts: Collection[str], of_size: Mapping[str, Sequence[str]]) -> list[str]:
    """What is going to be done besides, in two lines."""
    wanted = {
        "stream": f"a stream of {settings.num_edits} by four methods",
        "long_stream": f"a stream of {LONG} by four methods",
        "dose": "single edits of one relation in several layers",
    }
    edits = "; ".join(words for part, words in wanted.items() if part in parts) or "none"
    sizes = ", ".join(f"{name} ({len(models)} models)" for name, models in of_size.items()) or "none"
    return [f"  edits     {edits}", f"  sizes     {sizes}"]
