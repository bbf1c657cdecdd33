"""AlphaEdit's projection `P`: a tensor of one matrix for each edited layer, to and from our null spaces."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ks_core import arguments
from ks_core.errors import InfeasibleEditError, InputError
from ks_core.files import is_stored
from ks_core.formatting import shown, shown_path
from ks_core.measurement.moments.second_moments import SecondMoments
from ks_core.models.loaded import LoadedModel
from ks_core.outputs import check_output, output_path
from ks_core.theory.key_spaces import ALPHAEDIT_EIGENVALUE, NullSpace, null_space

EXPECTED = "expected a tensor (layers, d_key, d_key) as AlphaEdit saves it"

EPS32 = torch.finfo(torch.float32).eps


def export_projection(
    moments: SecondMoments,
    path: str | PathLike[str],
    model: LoadedModel,
    layers: Sequence[int],
    *,
    eigenvalue: float = ALPHAEDIT_EIGENVALUE,
    replace: bool = False,
) -> None:
    """Write the projection that AlphaEdit computes of these second moments, for its `P_loc`.

        P[i] = U Uᵀ,   U the eigenvectors of the second moment of layers[i] whose eigenvalues are below `eigenvalue`

    A tensor (layers, d_key, d_key) float32 by `torch.save`; the eigenvectors are those of the float64 matrix.

    Args:
        moments: of this model.
        path: of the file to be, such as "null_space_project.pt".
        model: of the moments.
        layers: the edited ones (`hparams.layers`), in the order of the project's settings.
        eigenvalue: where to cut (`nullspace_threshold`).
        replace: write over a file that is there.

    Raises:
        InputError: an argument of no use, or a file that is there or cannot be written.
        InfeasibleEditError: a layer without any eigenvalue below the cut, where AlphaEdit could write nothing.
        ProvenanceError: second moments of another model.
    """
    arguments.instance("moments", moments, SecondMoments, "as second_moments(model) gives them")
    moments.require_model(model)
    given = arguments.distinct_numbers("layers", layers, "a collection of layer numbers, such as (4, 5, 6)")
    wanted = [moments.layer_number(layer) for layer in given]
    if not wanted:
        raise InputError("layers is empty; expected the edited layers, one at least")
    target = Path(arguments.word("path", path))
    check_output("path", target, {"the second moments": moments.folder})
    if target.exists() and not replace:
        raise InputError(f"{shown_path(target)} is there; expected no such file: remove it, or pass replace=True")
    width = model.adapter.d_key
    projections = torch.empty(len(wanted), width, width)
    for place, layer in enumerate(wanted):
        basis = _space(moments, layer, eigenvalue).basis
        projections[place] = (basis.T @ basis).float()
    with output_path(target) as made:
        torch.save(projections, made)


def _space(moments: SecondMoments, layer: int, eigenvalue: float) -> NullSpace:
    try:
        return null_space(moments.at(layer).matrix, eigenvalue=eigenvalue)
    except InfeasibleEditError as error:
        raise InfeasibleEditError(f"layer {layer}: {error}") from error


def import_projection(
    path: str | PathLike[str], model: LoadedModel, layers: Sequence[int], *, moments: SecondMoments | None = None
) -> dict[int, NullSpace]:
    """Read a projection of AlphaEdit as the null spaces of layers, which `joint_edit` and the like take.

    Args:
        path: of a file that AlphaEdit or `export_projection` saved.
        model: of whose keys it is.
        layers: of the projections, in their order; no file says which they are.
        moments: of this model, for the share of the text's variance in each space; NaN where left out.

    Raises:
        InputError: a file that is no such tensor or does not fit the model, is not finite, not symmetric, or no
            projection: P P = P within float32's rounding.
        InfeasibleEditError: a projection onto nothing.
        ProvenanceError: second moments of another model.
    """
    given = arguments.distinct_numbers("layers", layers, "a collection of layer numbers, such as (4, 5, 6)")
    wanted = [model.adapter.layer_number(layer) for layer in given]
    if moments is not None:
        arguments.instance("moments", moments, SecondMoments, "as second_moments(model) gives them")
        moments.require_model(model)
    place = Path(arguments.word("path", path))
    width = model.adapter.d_key
    projections = _loaded(place, (len(wanted), width, width))
    found = {}
    for layer, projection in zip(wanted, projections, strict=True):
        basis = _basis(projection.double(), f"{shown_path(place)}, layer {layer}")
        found[layer] = NullSpace(basis, _variance(moments, layer, basis))
    return found


def _loaded(path: Path, shape: tuple[int, ...]) -> Tensor:
    if not is_stored(path):
        raise InputError(f"{shown_path(path)} does not exist; {EXPECTED}")
    try:
        # Mapped, so that nothing of a tensor of another shape is read. Plain tensors only: no code of the file is run.
        found: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # what torch raises of a crafted file is of many kinds
        raise InputError(
            f"{shown_path(path)} cannot be read as tensors alone ({shown(str(error))}); {EXPECTED}"
        ) from error
    if (
        not isinstance(found, Tensor)
        or found.layout != torch.strided
        or found.is_meta
        or found.dtype not in (torch.float32, torch.float64)
    ):
        said = f"{found.dtype}, {found.layout}" if isinstance(found, Tensor) else type(found).__name__
        raise InputError(f"{shown_path(path)} holds {said}; {EXPECTED}, float32")
    if found.shape != shape:
        raise InputError(
            f"{shown_path(path)} has the shape {shown(tuple(found.shape))}; expected {shape}, of as many layers as "
            "were named and this model's d_key"
        )
    return found.detach()


def _basis(projection: Tensor, name: str) -> Tensor:
    """Orthonormal rows that span what a matrix projects onto, (rank, d_key) float64."""
    if not bool(torch.isfinite(projection).all()):
        raise InputError(f"{name}: the projection is not finite; expected finite numbers")
    # U and U U^T in float32 stray by d · eps each, from orthonormal columns and in the sums.
    rounding = 2 * len(projection) * EPS32
    if float((projection - projection.T).abs().max()) > rounding:
        raise InputError(f"{name}: the projection is not symmetric; expected P = U Uᵀ")
    eigenvalues, vectors = torch.linalg.eigh((projection + projection.T) / 2)
    inside = eigenvalues > 0.5
    astray = (eigenvalues - inside.double()).abs().max()
    if float(astray) > rounding:
        raise InputError(
            f"{name}: P P is not P: an eigenvalue is {float(astray):.3g} away from 0 and 1; expected a projection, "
            f"within {rounding:.2g}"
        )
    if not bool(inside.any()):
        raise InfeasibleEditError(
            f"{name}: the projection is zero, so no edit can be written; expected some directions"
        )
    spanning: Tensor = vectors[:, inside].T.contiguous()
    return spanning


def _variance(moments: SecondMoments | None, layer: int, basis: Tensor) -> float:
    if moments is None:
        return float("nan")
    matrix = moments.at(layer).matrix
    return float(((basis @ matrix) * basis).sum() / matrix.trace())
