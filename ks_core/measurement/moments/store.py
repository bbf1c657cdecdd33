"""Second moments on disk: safetensors with provenance, whole or absent, refused when they are not what is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from math import isqrt
from pathlib import Path

import torch
from torch import Tensor

from ks_core.checked_files import read_tensors, write_tensors
from ks_core.errors import ProvenanceError
from ks_core.measurement.moments.accumulator import SecondMoment, moment_of
from ks_core.measurement.moments.provenance import MomentProvenance, check_provenance

FORMAT = "ks_core/second-moments/3"

VERSIONED = ("torch", "transformers")
"""Whose versions are written down, to explain a difference in the last digits; they are not compared."""


def save_moments(path: Path, sums: Mapping[int, Tensor], count: int, provenance: MomentProvenance) -> None:
    """Write the packed sums of all layers after `count` tokens, each with a checksum.

    Args:
        path: where to; an existing file is replaced only when the new one is whole.
        sums: packed upper triangles by layer, (d_key (d_key + 1) / 2,) float64.
        count: tokens summed over.
        provenance: what they were made from.

    Raises:
        StorageError: it cannot be written.
    """
    about = {"count": count, "provenance": asdict(provenance), "libraries": {n: version(n) for n in VERSIONED}}
    write_tensors(path, FORMAT, about, {_name(layer): packed for layer, packed in sums.items()})


def load_sum(path: Path, layer: int, count: int, provenance: MomentProvenance) -> Tensor:
    """The packed sum of one layer; nothing of the other layers is read.

    Raises:
        NotStoredError: there is no such file.
        ProvenanceError: the file cannot be read, is damaged, not ours, or made from something else (names the field).
    """
    with read_tensors(path, FORMAT) as stored:
        found = stored.about.get("provenance")
        check_provenance(found if isinstance(found, dict) else {}, provenance, str(path))
        if stored.about.get("count") != count:
            raise ProvenanceError(
                f"{path} holds sums over {stored.about.get('count')} tokens; expected {count}; remove it"
            )
        packed = stored.get(_name(layer), dtype=torch.float64, shape=(None,))
    if isqrt(8 * len(packed) + 1) ** 2 != 8 * len(packed) + 1:
        raise ProvenanceError(
            f"{path} holds {len(packed)} numbers for layer {layer}; expected d_key (d_key + 1) / 2, the upper triangle "
            "of a matrix: remove it and the second moments are collected again"
        )
    return packed


def load_moment(path: Path, layer: int, count: int, provenance: MomentProvenance) -> SecondMoment:
    """The second moment of one layer after `count` tokens; errors as for `load_sum`."""
    return moment_of(load_sum(path, layer, count, provenance), count)


def _name(layer: int) -> str:
    return f"layer.{layer}"
