"""pairs.safetensors: the pair matrices of a run, every entry of every layer, beside its results.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ks_core.checked_files import read_tensors, write_tensors
from ks_core.errors import InputError, NotStoredError, ProvenanceError
from ks_core.experiments.pairs.measure import Measurement
from ks_core.files import sha256_of
from ks_core.formatting import shown, shown_path
from ks_core.outputs import output_path

PAIRS = "pairs.safetensors"
"""Name of the file in the folder of results."""

FORM = "ks_core/pairs/1"

MATRICES = ("P", "whitened_cosine", "activation_cosine")
"""What is stored. Q, which has a unit of the model's own, is in the statistics of results.json only."""


def write_pairs(path: Path, measurement: Measurement) -> dict[str, Any]:
    """Write `MATRICES` as float32 tensors of shape (layers, n, n); row i is of the edited fact.

    float32 has 7 digits, of which an entry's error over text leaves two or three.

    Returns:
        What results.json says of the file: its name and hash, and what is in it.
    """
    stacked = {name: np.stack([pairs.matrices[name] for pairs in measurement.pairs]) for name in MATRICES}
    tensors = {name: torch.from_numpy(of.astype(np.float32)) for name, of in stacked.items()}
    case_ids = [fact.case_id for fact in measurement.selection.measured]
    with output_path(path) as made:  # readable to whom results.json is
        write_tensors(made, FORM, {"layers": list(measurement.layers), "case_ids": case_ids}, tensors)
    return {"file": path.name, "sha256": sha256_of(path), "names": list(MATRICES), "dtype": "float32"}


def missing_pairs(results: Path, stored: Mapping[str, Any] | None) -> Path | None:
    """The file of matrices that a results.json names and that is not beside it; None where it names none, or it is.

    Args:
        results, stored: as `read_pairs` takes them.
    """
    if stored is None:
        return None
    path = results.parent / str(stored["file"])
    try:
        path.stat()
    except FileNotFoundError:
        return path
    except OSError:  # there, and what is wrong with it is for `read_pairs` to say
        return None
    return None


def read_pairs(results: Path, stored: Mapping[str, Any] | None, name: str, shape: tuple[int, int, int]) -> NDArray[Any]:
    """One matrix of the file that a results.json names.

    Args:
        results: the results.json, beside which the file lies.
        stored: what `write_pairs` returned, as results.json has it; None where it has none.
        name: of the matrix.
        shape: (layers, n, n), as results.json has it.

    Returns:
        float32, shape (layers, n, n).

    Raises:
        InputError: no file, one of another run, a damaged one, or no matrix of that name in it.
    """
    place = shown_path(results)
    if stored is None:
        raise InputError(
            f"{place} names no file of matrices, as before its format 4; expected one: measure again with this version"
        )
    if name not in stored["names"]:
        raise InputError(f"there is no matrix {shown(name)}; expected one of {', '.join(stored['names'])}")
    path = results.parent / stored["file"]
    try:
        if sha256_of(path) != stored["sha256"]:
            raise ProvenanceError(f"has not the sha256 that {place} gives, so that it is damaged or of another run")
        with read_tensors(path, FORM) as tensors:
            return tensors.get(name, dtype=torch.float32, shape=shape).numpy()
    except (NotStoredError, ProvenanceError, OSError) as error:
        raise InputError(
            f"{shown_path(path)} cannot be used ({error}); expected the matrices that {place} names: keep both "
            "files in one folder, or measure again"
        ) from error
