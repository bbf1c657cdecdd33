"""Which tensors differ between two models, and by how much: read from the files a block at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ks_core.errors import InputError
from ks_core.formatting import shown_path
from ks_core.models.checkpoint import StoredTensor
from ks_core.models.parameters import StoredModel

BLOCK = 1 << 24
"""Entries that are compared at once: 128 MiB in float64, twice."""


@dataclass(frozen=True)
class Pair:
    """One parameter of two models, not read yet."""

    name: str
    before: StoredTensor
    after: StoredTensor


@dataclass(frozen=True)
class TensorChange:
    """How a parameter differs; norms are Frobenius norms, in float64.

    Attributes:
        layer: its transformer block; None for embeddings, the head and the last norm
        dtypes: in which it is stored, before and after
        norm: ‖ΔW‖
        weight_norm: ‖W‖
        changed: how many of its entries differ
        rounding: u ‖W'‖, with u half of the eps of the coarser dtype: how much of ΔW storing can have made
        only_rounded: whether the one is the other in a coarser dtype
    """

    name: str
    layer: int | None
    shape: tuple[int, ...]
    dtypes: tuple[str, str]
    norm: float
    weight_norm: float
    changed: int
    rounding: float
    only_rounded: bool

    @property
    def entries(self) -> int:
        """How many entries it has."""
        return math.prod(self.shape)

    @property
    def growth(self) -> float:
        """‖ΔW‖ / ‖W‖; infinite where W is zero."""
        return self.norm / self.weight_norm if self.weight_norm else math.inf


def pairs_of(before: StoredModel, after: StoredModel) -> list[Pair]:
    """The parameters of two models, each with its counterpart.

    Raises:
        InputError: models of different types, or a parameter that one lacks or has in another shape; names it.
    """
    names = f"{shown_path(before.name)} and {shown_path(after.name)}"
    expected = "expected two checkpoints of one architecture"
    if before.model_type != after.model_type:
        raise InputError(f"{names} are of types {before.model_type!r} and {after.model_type!r}; {expected}")
    pairs = []
    for name in dict.fromkeys([*before.parameters, *after.parameters]):
        one, other = before.find(name), after.find(name)
        if one is None or other is None:
            raise InputError(f"{shown_path(name)} is not in both {names}; {expected}")
        if one.shape != other.shape:
            raise InputError(f"{shown_path(name)} has shapes {one.shape} and {other.shape} in {names}; {expected}")
        pairs.append(Pair(name, one, other))
    return pairs


def changes(pairs: list[Pair], model: StoredModel) -> Iterator[TensorChange]:
    """What differs, in the order of the pairs.

    Raises:
        InputError: NaN or infinity; names the tensor.
    """
    for pair in pairs:
        found = _change(pair, model.layer_of(pair.name))
        if found is not None:
            yield found


def dense_change(pair: Pair) -> tuple[Tensor, Tensor]:
    """W and ΔW as they are stored, float64."""
    before = pair.before.content[...].double()
    return before, pair.after.content[...].double() - before


def _change(pair: Pair, layer: int | None) -> TensorChange | None:
    dtypes = (pair.before.dtype, pair.after.dtype)
    coarse = max((getattr(torch, name) for name in dtypes), key=lambda of: torch.finfo(of).eps)
    # Widened, a number stays what it is: only the coarser side can be the other one rounded.
    squares, changed, only_rounded = [0.0, 0.0, 0.0], 0, dtypes[0] != dtypes[1] and pair.after.dtype == _name(coarse)
    for before, after in _blocks(pair):
        _refuse_not_finite(pair.name, before, after)
        first, second = before.double(), after.double()
        differing = int(torch.count_nonzero(first != second))
        changed += differing
        if differing and only_rounded:
            only_rounded = torch.equal(before.to(coarse), after.to(coarse))
        for place, of in enumerate((second - first, first, second)):
            squares[place] += float(of.square().sum())
    if not changed:
        return None
    norm, weight_norm, after_norm = map(math.sqrt, squares)
    rounding = torch.finfo(coarse).eps / 2 * after_norm
    return TensorChange(pair.name, layer, pair.before.shape, dtypes, norm, weight_norm, changed, rounding, only_rounded)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _blocks(pair: Pair) -> Iterator[tuple[Tensor, Tensor]]:
    shape = pair.before.shape
    if not shape:
        yield pair.before.content[...], pair.after.content[...]
        return
    step = max(1, BLOCK // max(1, math.prod(shape[1:])))
    for start in range(0, shape[0], step):
        yield pair.before.content[start : start + step], pair.after.content[start : start + step]


def _refuse_not_finite(name: str, *tensors: Tensor) -> None:
    for which, tensor in zip(("the first", "the second"), tensors, strict=True):
        bad = int((~torch.isfinite(tensor)).sum())
        if bad:
            raise InputError(
                f"{shown_path(name)} of {which} model holds {bad} NaN or infinite entries; expected finite weights: "
                "take an undamaged checkpoint"
            )


def in_memory(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[Pair]:
    """Parameters of a model that is in memory, before and after a change."""
    return [Pair(name, _held(of), _held(after[name])) for name, of in before.items()]


def _held(tensor: Tensor) -> StoredTensor:
    return StoredTensor(tuple(tensor.shape), _name(tensor.dtype), tensor)
