"""What a collection of second moments will take: passes over the text, bytes where they are, operations and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ks_core.errors import InputError
from ks_core.measurement.moments import blocks
from ks_core.measurement.moments.placing import Placing
from ks_core.measurement.moments.second_moments import STORED_AFTER
from ks_core.models.shape import ModelShape

Kind = Literal["cpu", "cuda"]

BYTES = {"float32": 4, "float64": 8, "bfloat16": 2, "float16": 2}

KEY_COPIES, STATE_COPIES = 4, 8
"""Rows as wide as keys, and as wide as the states between blocks, that are in memory at once for each token read: of a
gated MLP its gate, its other half, their product and what is taken of it; of a block its input, norms, queries, keys,
values and what attention and MLP put out. Counted in the code of the families; peaks are measured in bench/speed."""

SCORE_BYTES, MASK_BYTES = 12, 4
"""For each pair of tokens of a row: of eager attention scores, what the softmax makes of them in float32 and a copy, a
head; of fused attention the mask of padded rows, for all heads. Measured: 8 to 13 bytes for two eager families, 3 for a
Llama with padding."""

CUDA_CONTEXT = 600 << 20
"""What CUDA and its libraries take of a GPU before the first tensor: an estimate, measured on none here."""


@dataclass(frozen=True)
class MomentPlan:
    """What a collection will take. Bytes are estimates that peaks were measured against; time needs a rate.

    Attributes:
        shape: of the model
        kind: of the device that the model runs on
        dtype: of the forward passes
        tokens: that are read in each pass
        passes: the layers of each
        placing: where sums are
        device: bytes on the device by what they are for; on a CPU this is the process, and `host` is empty
        host: bytes of the process beside a GPU
        disk: bytes in the cache
    """

    shape: ModelShape
    kind: Kind
    dtype: str
    tokens: int
    passes: tuple[tuple[int, ...], ...]
    placing: Placing
    device: Mapping[str, int]
    host: Mapping[str, int]
    disk: Mapping[str, int]

    @property
    def operations(self) -> float:
        """Floating point operations of all passes: two for each parameter that a token meets, and the sums' own."""
        return self.tokens * sum(map(self._of_token, self.passes))

    def seconds(self, rate: float, layers: Sequence[int] | None = None) -> float:
        """Time of all passes.

        Args:
            rate: tokens a second in a pass for some layers.
            layers: which these are; all of the model when left out.
        """
        return self.operations / self._of_token(range(self.shape.layers) if layers is None else layers) / rate

    def _of_token(self, layers: Sequence[int]) -> float:
        """Operations of a token in a pass for these layers."""
        return 2.0 * (self.shape.below[max(layers)] + blocks.numbers(self.shape.d_key) * len(layers))


@dataclass(frozen=True)
class Need:
    """What is to be planned for.

    Attributes:
        tokens: of text
        layers: that are wanted
        read_at_once: tokens of a forward pass
        longest: tokens of the longest row
        weights: bytes of them on the device, where they are there already; all of them when left out
        memory: bytes of the device that may be used; None for as many as one pass takes
        host_memory: bytes of the host for sums beside a GPU; more are mapped from a file
        base: bytes that the process takes without a model
        offload: whether a part of the weights may stay on the host and come to the device when it is its turn
    """

    tokens: int
    layers: tuple[int, ...]
    read_at_once: int
    dtype: str
    kind: Kind
    memory: int | None
    host_memory: int | None
    base: int
    longest: int = 1024
    weights: int | None = None
    offload: bool = False


def plan_moments(shape: ModelShape, need: Need) -> MomentPlan:
    """Plan as few passes over the text as fit into the memory there is.

    On a GPU sums are float64 there, or float32 there and float64 on the host where that saves a pass.

    Raises:
        InputError: not even one layer fits; says what would.
    """
    options = [Placing(len(need.layers))] if need.memory is None else _options(shape, need)
    options = [option for option in options if option.at_once]
    if not options:
        raise _too_little(shape, need)
    placing = min(options, key=lambda option: (len(_passes(need.layers, option.at_once)), option.short))
    at_once = min(placing.at_once, len(need.layers))
    passes = _passes(need.layers, at_once)
    at_once = len(passes[0])  # as many in each: no more are held
    of_host = blocks.numbers(shape.d_key) * BYTES["float64"] * at_once
    mapped = placing.short and need.host_memory is not None and of_host > need.host_memory
    placing = Placing(at_once, placing.short, mapped)
    return MomentPlan(
        shape=shape,
        kind=need.kind,
        dtype=need.dtype,
        tokens=need.tokens,
        passes=passes,
        placing=placing,
        device=_on_device(shape, need, placing),
        host={} if need.kind == "cpu" else _on_host(shape, need, placing),
        disk=_on_disk(shape, need, placing),
    )


def _passes(layers: Sequence[int], at_once: int) -> tuple[tuple[int, ...], ...]:
    """As many layers in each pass, the first of them, which need the fewest blocks, first."""
    ordered, number = sorted(layers), -(-len(layers) // at_once)
    size = -(-len(ordered) // number)
    return tuple(tuple(ordered[start : start + size]) for start in range(0, len(ordered), size))


def _options(shape: ModelShape, need: Need) -> list[Placing]:
    room = (need.memory or 0) - sum(_fixed(shape, need).values())
    if need.offload:
        room += _weights(shape, need) - shape.least * BYTES[need.dtype]
    kinds = (False,) if need.kind == "cpu" else (False, True)
    return [Placing(max(0, room // _sum_bytes(shape, short)), short) for short in kinds]


def _sum_bytes(shape: ModelShape, short: bool) -> int:
    return blocks.numbers(shape.d_key) * BYTES["float32" if short else "float64"]


def _fixed(shape: ModelShape, need: Need) -> dict[str, int]:
    """Bytes of the device that do not go by how many layers are read at once."""
    width, d_key = BYTES[need.dtype], shape.d_key
    states = need.read_at_once * (KEY_COPIES * d_key + STATE_COPIES * shape.d_value) * width
    keys = need.read_at_once * d_key * BYTES["float32"] * 3  # those that count, their squares, the short ones
    product = blocks.largest(d_key) * BYTES["float64"]
    attention = need.read_at_once * need.longest * (SCORE_BYTES * shape.heads if shape.scores else MASK_BYTES)
    working = states + attention + keys + product
    if need.kind == "cpu":
        working = max(working, _checkpoint(shape))
    return {
        "process" if need.kind == "cpu" else "CUDA": need.base if need.kind == "cpu" else CUDA_CONTEXT,
        "weights": _weights(shape, need),
        "a batch": working,
    }


def _weights(shape: ModelShape, need: Need) -> int:
    return shape.parameters * BYTES[need.dtype] + shape.buffers if need.weights is None else need.weights


def _checkpoint(shape: ModelShape) -> int:
    """One layer's triangle, and the copy of it that safetensors writes."""
    return 2 * blocks.packed_numbers(shape.d_key) * BYTES["float64"]


def _on_device(shape: ModelShape, need: Need, placing: Placing) -> dict[str, int]:
    parts = _fixed(shape, need)
    sums = _sum_bytes(shape, placing.short) * placing.at_once
    if need.offload and need.memory is not None:
        parts["weights"] = min(parts["weights"], need.memory - sums - sum(parts.values()) + parts["weights"])
    return {**parts, "sums": sums}


def _on_host(shape: ModelShape, need: Need, placing: Placing) -> dict[str, int]:
    parts = {"process": need.base, "a checkpoint": _checkpoint(shape)}
    weights = shape.parameters * BYTES[need.dtype]
    parts["weights, while they are loaded"] = weights
    if placing.short and not placing.mapped:
        parts["sums"] = _sum_bytes(shape, short=False) * placing.at_once
    return parts


def _on_disk(shape: ModelShape, need: Need, placing: Placing) -> dict[str, int]:
    layer = blocks.packed_numbers(shape.d_key) * BYTES["float64"]
    parts = {
        "sums that stay": layer * len(STORED_AFTER) * len(need.layers),
        "checkpoints that pass": layer * 2 * placing.at_once,  # the new one beside the last
        "tokens": 4 * need.tokens,
    }
    if placing.mapped:
        parts["mapped sums"] = _sum_bytes(shape, short=False) * placing.at_once
    return parts


def _too_little(shape: ModelShape, need: Need) -> InputError:
    fixed = _fixed(shape, need)
    one = _sum_bytes(shape, short=need.kind == "cuda")
    if need.offload:
        fixed["weights"] = shape.least * BYTES[need.dtype]
    alone = need.kind == "cuda" and not need.offload
    spread = ", or leave a part of the weights on the host (device_map)" if alone else ""
    said = ", ".join(f"{name} {size / 1e9:.2f} GB" for name, size in fixed.items())
    return InputError(
        f"memory is {(need.memory or 0) / 1e9:.2f} GB, too little for one layer of {shape.name}: {said}, and the sums "
        f"of a layer {one / 1e9:.2f} GB; expected at least {(sum(fixed.values()) + one) / 1e9:.2f} GB: give more, or "
        f"ask for smaller batches or a dtype of fewer bytes{spread}"
    )
