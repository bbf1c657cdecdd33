"""All charts of stored results, in the order of the page."""

from __future__ import annotations

from dataclasses import replace

from ks_core.reporting.page.figure import PageFigure
from ks_core.reporting.page.figures.angles import angles_figure
from ks_core.reporting.page.figures.capacity import capacity_figure
from ks_core.reporting.page.figures.density import density_figure
from ks_core.reporting.page.figures.dose import dose_figure
from ks_core.reporting.page.figures.forecast import forecast_figure, interference_figure
from ks_core.reporting.page.figures.frontier import frontier_figure
from ks_core.reporting.page.figures.kurtosis import kurtosis_figure
from ks_core.reporting.page.figures.methods import methods_figure
from ks_core.reporting.page.figures.scaling import scaling_figure
from ks_core.reporting.stored_results import StoredResults

FIGURES = (
    density_figure,
    kurtosis_figure,
    angles_figure,
    dose_figure,
    frontier_figure,
    interference_figure,
    forecast_figure,
    methods_figure,
    scaling_figure,
    capacity_figure,
)
"""Each gives None where its part was not measured."""


def figures_of(results: StoredResults) -> tuple[PageFigure, ...]:
    """Every chart whose part was measured.

    Raises:
        InputError: the results have matrices, and their file is missing, damaged or of another run.
    """
    found = [figure(results) for figure in FIGURES]
    return tuple(_described(figure) for figure in found if figure is not None)


def _described(figure: PageFigure) -> PageFigure:
    """With its title in the specification too: what draws it gives the drawing that name, for who cannot see it."""
    return replace(figure, spec={"description": figure.title, **figure.spec})
