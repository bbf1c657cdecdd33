"""A stream of edits by several methods, as values: what was predicted, what was measured, how the model behaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ks_core.data.facts import Fact
from ks_core.experiments.streams.growth import StreamGeometry
from ks_core.experiments.streams.interference import Interference
from ks_core.measurement.behaviour import Answers
from ks_core.measurement.values import TargetValues
from ks_core.statistics.pairs import Array


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A method after the first n edits of the stream.

    Attributes:
        answers: of the first n edits
        losses: (texts,) of held-out text, in nats a token
        length: ‖ΔW C^½‖, root mean square change of the layer's output over the text
        exact: measured on the module in float64
        own_dtype: measured on the module in the model's own dtype
    """

    edits: int
    answers: Answers
    losses: Array
    length: float
    exact: Interference
    own_dtype: Interference


@dataclass(frozen=True, eq=False)
class EditStreams:
    """One stream of N edits in one layer, made by each method.

    Attributes:
        bystanders: facts the edits are not for, which no method knows of
        protected: facts that the method `protected` protects
        wanted: (N, d_value) float64, v_i − W_0 k_i
        freedom: (N,) share of each edited key's squared whitened length outside the protected span: 1 / √freedom is the
            price
        null_variance: share of the text's variance that the null space holds
        before: of all edits, before any
        text_lengths: (texts,) predicted tokens of each held-out text
        runs: method → checkpoints after 1, 2, 4, … N edits
        of_half: method → after N edits made with the second moment of the first half of the text; not for `null-space`
        geometry_of_halves: from the first and from the second half of the text
    """

    layer: int
    edits: tuple[Fact, ...]
    bystanders: tuple[Fact, ...]
    protected: tuple[Fact, ...]
    values: TargetValues
    wanted: Tensor
    freedom: Array
    null_variance: float
    before: Answers
    losses_before: Array
    text_lengths: Array
    runs: Mapping[str, tuple[Checkpoint, ...]]
    of_half: Mapping[str, Checkpoint]
    geometry: StreamGeometry
    geometry_of_halves: tuple[StreamGeometry, ...]
