"""Second moments on disk: safetensors with provenance, whole or absent, refused when they are not what is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ks_core.errors import ProvenanceError
from ks_core.files import atomic_path
from ks_core.measurement.accumulator import SecondMoment, moment_of
from ks_core.measurement.provenance import MomentProvenance, check_provenance

FORMAT = "ks_core/second-moments/3"

LIBRARIES = ("torch", "transformers")
"""Whose versions are written down, to explain a difference in the last digits; they are not compared."""


def save_moments(path: Path, sums: Mapping[int, Tensor], count: int, provenance: MomentProvenance) -> None:
    """Write the packed sums of all layers after `count` tokens.

    Args:
        path: where to; an existing file is replaced only when the new one is whole.
        sums: packed upper triangles by layer, (d_key (d_key + 1) / 2,) float64.
        count: tokens summed over.
        provenance: what they were made from.
    """
    # One entry only: safetensors writes several in no fixed order, and equal moments should be equal files.
    content = {"count": count, "provenance": asdict(provenance), "libraries": {n: version(n) for n in LIBRARIES}}
    metadata = {FORMAT: json.dumps(content, sort_keys=True)}
    with atomic_path(path) as made:
        save_file({f"layer.{layer}": packed.contiguous() for layer, packed in sums.items()}, made, metadata)


def load_sum(path: Path, layer: int, count: int, provenance: MomentProvenance) -> Tensor:
    """The packed sum of one layer, after checking the file's provenance.

    Raises:
        ProvenanceError: the file is missing, truncated, not ours, or made from something else (names the field).
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if FORMAT not in metadata:
                raise ProvenanceError(
                    f"{path} is marked {sorted(metadata)}; expected {FORMAT!r}: it was not written by this version of "
                    "ks_core; remove it and the second moments are collected again"
                )
            content = json.loads(metadata[FORMAT])
            check_provenance(content["provenance"], provenance, str(path))
            if content["count"] != count:
                raise ProvenanceError(f"{path} holds sums over {content['count']} tokens; expected {count}; remove it")
            packed: Tensor = file.get_tensor(f"layer.{layer}")
            return packed
    except FileNotFoundError as error:
        raise ProvenanceError(f"{path} does not exist; collect the second moments first") from error
    except (SafetensorError, KeyError, ValueError) as error:
        raise ProvenanceError(
            f"{path} is truncated or damaged ({error}); expected second moments written by ks_core: "
            "remove it and they are collected again"
        ) from error


def load_moment(path: Path, layer: int, count: int, provenance: MomentProvenance) -> SecondMoment:
    """The second moment of one layer after `count` tokens; errors as for `load_sum`."""
    return moment_of(load_sum(path, layer, count, provenance), count)
