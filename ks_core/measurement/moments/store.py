"""Second moments on disk: safetensors with provenance, whole or absent, refused when they are not what is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from math import isqrt
from pathlib import Path

import torch
from torch import Tensor

from ks_core.checked_files import StoredTensors, read_tensors, write_tensors
from ks_core.errors import ProvenanceError
from ks_core.measurement.moments.accumulator import SecondMoment, moment_of
from ks_core.measurement.moments.provenance import MomentProvenance, check_provenance

FORMAT = "ks_core/second-moments/4"

VERSIONED = ("torch", "transformers")
"""Whose versions are written down, to explain a difference in the last digits; they are not compared."""

PASSING = "passing"
COUNTED = "tokens"


def sum_path(folder: Path, layer: int, count: int, *, passing: bool = False) -> Path:
    """The file of a layer's sum after `count` tokens; a passing one is dropped when a later one is there.

    Example:
        >>> sum_path(Path("moments"), 3, 4096).as_posix()
        'moments/layer-003/000000004096-tokens.safetensors'
    """
    return folder / f"layer-{layer:03d}" / f"{count:012d}-{PASSING if passing else COUNTED}.safetensors"


def stored_counts(folder: Path, layer: int) -> dict[int, Path]:
    """Token counts whose sums of a layer are on disk, passing ones too, each with its file."""
    return {**passing_sums(folder, layer), **_of_kind(folder, layer, COUNTED)}


def passing_sums(folder: Path, layer: int) -> dict[int, Path]:
    """The passing ones alone."""
    return _of_kind(folder, layer, PASSING)


def _of_kind(folder: Path, layer: int, kind: str) -> dict[int, Path]:
    paths = sum_path(folder, layer, 0).parent.glob(f"*-{kind}.safetensors")
    return {int(digits): path for path in paths if (digits := path.name.partition("-")[0]).isdecimal()}


def save_sum(path: Path, packed: Tensor, layer: int, count: int, texts: int, provenance: MomentProvenance) -> None:
    """Write the packed sum of a layer after `count` tokens, with a checksum.

    Args:
        path: where to; an existing file is replaced only when the new one is whole.
        packed: upper triangle, row by row, (d_key (d_key + 1) / 2,) float64.
        layer: whose keys were summed.
        count: tokens summed over.
        texts: that those tokens are of, the last one in part perhaps.
        provenance: what they were made from.

    Raises:
        StorageError: it cannot be written.
    """
    made_with = {name: version(name) for name in VERSIONED}
    of = {"layer": layer, "count": count, "texts": texts}
    write_tensors(path, FORMAT, {**of, "provenance": asdict(provenance), "libraries": made_with}, {"sum": packed})


def load_sum(path: Path, layer: int, count: int, provenance: MomentProvenance) -> Tensor:
    """The packed sum of a layer.

    Raises:
        NotStoredError: there is no such file.
        ProvenanceError: the file cannot be read, is damaged, not ours, or made from something else (names the field).
    """
    with _checked(path, layer, count, provenance) as stored:
        packed = stored.get("sum", dtype=torch.float64, shape=(None,))
    if isqrt(8 * len(packed) + 1) ** 2 != 8 * len(packed) + 1:
        raise ProvenanceError(
            f"{path} holds {len(packed)} numbers for layer {layer}; expected d_key (d_key + 1) / 2, the upper triangle "
            "of a matrix: remove it and the second moments are collected again"
        )
    return packed


def load_texts(path: Path, layer: int, count: int, provenance: MomentProvenance) -> int:
    """How many texts a sum is over; errors as for `load_sum`."""
    with _checked(path, layer, count, provenance) as stored:
        texts = stored.about.get("texts")
    if not isinstance(texts, int):
        raise ProvenanceError(f"{path} says {texts!r} of how many texts it is; expected a number: remove it")
    return texts


def load_moment(path: Path, layer: int, count: int, provenance: MomentProvenance) -> SecondMoment:
    """The second moment of one layer after `count` tokens; errors as for `load_sum`."""
    return moment_of(load_sum(path, layer, count, provenance), count)


@contextmanager
def _checked(path: Path, layer: int, count: int, provenance: MomentProvenance) -> Iterator[StoredTensors]:
    with read_tensors(path, FORMAT) as stored:
        found = stored.about.get("provenance")
        check_provenance(found if isinstance(found, dict) else {}, provenance, str(path))
        for name, want in (("layer", layer), ("count", count)):
            if stored.about.get(name) != want:
                raise ProvenanceError(
                    f"{path} holds sums of {name} {stored.about.get(name)}; expected {want}: remove it"
                )
        yield stored
