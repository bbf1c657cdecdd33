"""All figures of what was measured."""

from __future__ import annotations

from ks_core.experiments.measured import Measured
from ks_core.reporting.figures.capacity import capacity_figures
from ks_core.reporting.figures.drawing import Drawings
from ks_core.reporting.figures.lifelong import lifelong_figures
from ks_core.reporting.figures.pairs import pair_figures
from ks_core.reporting.figures.sizes import scaling_figures
from ks_core.reporting.figures.streams import dose_figures, stream_figures


def figures_of(measured: Measured) -> Drawings:
    """Every figure by file name; those of parts that were not measured are left out."""
    model = measured.pairs.settings.model_name
    drawings = dict(pair_figures(measured.pairs))
    if measured.stream is not None:
        drawings |= stream_figures(measured.stream, model)
    if measured.dose is not None:
        drawings |= dose_figures(measured.dose, model)
    if measured.lifelong is not None:
        drawings |= lifelong_figures(measured.lifelong, model)
    if measured.capacity is not None:
        drawings |= capacity_figures(measured.capacity)
    if measured.sizes is not None:
        drawings |= scaling_figures(measured.sizes.families, measured.sizes.seeds)
    return drawings
