"""One statistics file of another project: what it declares, and its sum of k k^T after every check."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ks_core.errors import InputError, RankDeficientError
from ks_core.formatting import shown, shown_path
from ks_core.measurement.moments.accumulator import SecondMoment
from ks_core.measurement.moments.peers.archive import Archive, open_archive, scalar
from ks_core.theory.second_moment import check_second_moment

SUM, COUNT, SAMPLES = "mom2.mom2", "mom2.count", "sample_size"
"""Arrays of a file: the sum of k k^T, its tokens, and the articles that were asked for."""


@dataclass(frozen=True)
class PeerSums:
    """One layer of a file.

    Attributes:
        moment: the mean of k k^T and the tokens behind it
        samples: articles, as the file says; None where it does not
        sha256: of sum and count as numbers, whatever dtype and archive they are in
    """

    moment: SecondMoment
    samples: int | None
    sha256: str


def read_sums(path: Path, d_key: int, layer: int) -> PeerSums:
    """Read a file, as the second moment of a layer.

    Args:
        path: an .npz.
        d_key: width of the layer's keys; a file of another width is refused before its sum is read.
        layer: for messages.

    Raises:
        InputError: it is not there, damaged, or its arrays are missing or no such numbers; its sum has another width,
            is not finite, not symmetric, or negative on its diagonal.
        RankDeficientError: it saw fewer tokens than its keys are wide.
    """
    with open_archive(path) as archive:
        _check_width(archive, d_key, layer)
        count = scalar(archive, COUNT)
        if count is None:
            raise InputError(f"{shown_path(path)}: {COUNT} is not known; expected the tokens that were summed over")
        samples = scalar(archive, SAMPLES) if SAMPLES in archive else None
        if count < d_key:
            raise RankDeficientError(
                f"{shown_path(path)} is a sum over {count:,} tokens of keys of width {d_key:,}, which has no inverse; "
                f"expected at least {d_key:,} tokens, better many times that: collect it over more text"
            )
        summed = archive.array(SUM, (d_key, d_key), "f", "floating-point numbers").astype(np.float64, copy=False)
    found = np.ascontiguousarray(summed)  # its own: `array` has just read it
    digest = hashlib.sha256(f"{count}\n".encode())
    digest.update(found.astype("<f8", copy=False).data)
    return PeerSums(SecondMoment(_moment(found, count, path), count), samples, digest.hexdigest())


def _check_width(archive: Archive, d_key: int, layer: int) -> None:
    header = archive.header(SUM)
    shape = header.shape
    if len(shape) != 2 or shape[0] != shape[1]:
        raise InputError(
            f"{shown_path(archive.path)}: {SUM} has the shape {shown(shape)}; expected a square "
            f"matrix, {d_key} by {d_key}"
        )
    if shape[0] != d_key:
        raise InputError(
            f"{shown_path(archive.path)}: {SUM} is of keys of width {shown(shape[0])}, and layer {layer} of the model "
            f"has keys of width {d_key}; expected a file of this model's layer"
        )


def _moment(summed: NDArray[Any], count: int, path: Path) -> Tensor:
    """The mean, (d, d) float64, exactly symmetric; takes the place of the sum."""
    name = f"{SUM} of {shown_path(path)}"
    if not np.isfinite(summed).all():
        raise InputError(f"{name} is not finite; expected finite numbers: keys were NaN, or the sum has overflowed")
    if _fills_one_triangle(summed):
        raise InputError(f"{name} has one triangle filled and the other zero; expected both: add the transpose")
    mean = check_second_moment(torch.from_numpy(summed).div_(count), name)
    return mean if torch.equal(mean, mean.T) else (mean + mean.T) / 2


def _fills_one_triangle(summed: NDArray[Any]) -> bool:
    above = any(row[place + 1 :].any() for place, row in enumerate(summed))  # stops at the first number
    below = any(row[:place].any() for place, row in enumerate(summed))
    return above != below
