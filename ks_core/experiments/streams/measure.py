"""One stream of edits and what is read off it: its growth and its losslessness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ks_core.experiments.clock import Clock
from ks_core.experiments.request.inputs import Inputs
from ks_core.experiments.request.selection import Selection
from ks_core.experiments.streams.growth import Growth, growth
from ks_core.experiments.streams.lossless import Losslessness, losslessness
from ks_core.experiments.streams.plan import stream_layer
from ks_core.experiments.streams.run import NO_EDITORS, edit_streams
from ks_core.experiments.streams.stream import EditStreams
from ks_core.theory.editors import EditFunction


@dataclass(frozen=True, eq=False)
class StreamMeasurement:
    """One stream of edits and what is read off it; nothing in it is judged yet.

    Attributes:
        resamples: bootstrap samples behind each error
    """

    streams: EditStreams
    growth: Growth
    lossless: Losslessness
    resamples: int
    seed: int
    seconds: Mapping[str, float]


def measure_stream(
    inputs: Inputs, selection: Selection, num_edits: int, editors: Mapping[str, EditFunction] = NO_EDITORS
) -> StreamMeasurement:
    """Edit the model's first usable facts one after another, by four methods and by anyone's editors.

    Args:
        inputs: of the run; the model is edited inside and restored bit for bit.
        selection: the facts that the model knows.
        num_edits: N.
        editors: by name; see `edit_streams`.

    Raises:
        KsError: as `edit_streams`.
    """
    clock, settings = Clock(), inputs.settings
    text = inputs.text()
    whitening = text.whole(stream_layer(text.layers))
    streams = edit_streams(inputs.model, text, whitening, inputs.corpus, selection.pool.facts, num_edits, editors)
    clock.lap("edits")
    grown = growth(streams.geometry, streams.geometry_of_halves, settings.resamples, settings.seed)
    clock.lap("growth")
    lossless = losslessness(inputs.model, whitening, streams)
    clock.lap("orthogonal keys")
    return StreamMeasurement(streams, grown, lossless, settings.resamples, settings.seed, clock.laps)
