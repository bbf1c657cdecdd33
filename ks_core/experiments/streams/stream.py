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
    """A method after the first n edits of the stream."""

    edits: int
    answers: Answers
    """of the first n edits"""
    losses: Array
    """(texts,) of held-out text, in nats a token"""
    length: float
    """‖ΔW C^½‖, root mean square change of the layer's output over the text"""
    exact: Interference
    """measured on the module in float64"""
    own_dtype: Interference
    """measured on the module in the model's own dtype"""


@dataclass(frozen=True, eq=False)
class EditStreams:
    """One stream of N edits in one layer, made by each method."""

    layer: int
    edits: tuple[Fact, ...]
    bystanders: tuple[Fact, ...]
    """facts the edits are not for, which no method knows of"""
    protected: tuple[Fact, ...]
    """facts that the method `protected` protects"""
    values: TargetValues
    wanted: Tensor
    """(N, d_value) float64, v_i − W_0 k_i"""
    freedom: Array
    """(N,) share of each edited key's squared whitened length outside the protected span: 1 / √freedom is the price"""
    null_variance: float
    """share of the text's variance that the null space holds"""
    before: Answers
    """of all edits, before any"""
    losses_before: Array
    text_lengths: Array
    """(texts,) predicted tokens of each held-out text"""
    runs: Mapping[str, tuple[Checkpoint, ...]]
    """method → checkpoints after 1, 2, 4, … N edits"""
    of_half: Mapping[str, Checkpoint]
    """method → after N edits made with the second moment of the first half of the text; not for `null-space`"""
    geometry: StreamGeometry
    geometry_of_halves: tuple[StreamGeometry, ...]
    """from the first and from the second half of the text"""
