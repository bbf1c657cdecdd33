"""Second moments as statistics files that other projects load in the place of collecting their own."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from ks_core import arguments
from ks_core.errors import InputError
from ks_core.formatting import shown, shown_path
from ks_core.measurement.moments.peers.files import COUNT, SAMPLES, SUM
from ks_core.measurement.moments.peers.names import PRECISIONS, BatchTokens, PeerName, model_folder, plain_part
from ks_core.measurement.moments.second_moments import SecondMoments
from ks_core.models.loaded import LoadedModel
from ks_core.outputs import check_output, output_path


def export_moments(
    moments: SecondMoments,
    folder: str | PathLike[str],
    model: LoadedModel,
    *,
    samples: int | None = None,
    layout: str = "rome",
    model_name: str | None = None,
    dataset: str = "wikipedia",
    precision: str = "float32",
    batch_tokens: BatchTokens = None,
    layers: Sequence[int] | None = None,
    replace: bool = False,
) -> list[Path]:
    """Write second moments as the statistics files of ROME, MEMIT, PMET, AlphaEdit, EasyEdit and others like them.

        {folder}/{model}/{dataset}_stats/{module}_{precision}_mom2_{samples}.npz

    Each file holds `mom2.mom2`, the sum of k kᵀ over all tokens, (d_key, d_key) float64 with both triangles;
    `mom2.count`, those tokens; and `sample_size`. The sums are float64 whatever `precision` says: that is only the name
    under which a project looks for them, and some invert in the dtype they find. One layer is in memory at a time.

    Args:
        moments: of this model.
        folder: the project's `stats_dir`.
        model: whose modules the files are named after.
        samples: the number of articles that the project asks for (`mom2_n_samples`), which it compares with the
            file's: as many texts as were read when left out.
        layout: the project, a name in `SPELLINGS`: the folder is the model's name with "/" as "_" (rome, memit, pmet,
            kis), or its last part (alphaedit, easyedit, anyedit).
        model_name: as the project loads the model; `model.name` when left out.
        dataset: the project's name of the text; it says so of any text.
        precision: as the project's settings have it (`mom2_dtype`).
        batch_tokens: where the project cuts texts, if below the model's context: a number (kis), or "literal" for the
            name that the others make of any number.
        layers: which; all that are in `moments` when left out.
        replace: write over files that are there.

    Returns:
        The paths, by layer.

    Raises:
        InputError: an argument of no use, a file that is there, or is what the moments are read from, or cannot be
            written. Nothing is written then.
        ProvenanceError: second moments of another model.
    """
    arguments.instance("moments", moments, SecondMoments, "as second_moments(model) gives them")
    moments.require_model(model)
    samples = moments.texts if samples is None else arguments.whole_number("samples", samples, 1)
    if precision not in PRECISIONS:
        raise InputError(f"precision is {shown(precision)}; expected one of {', '.join(PRECISIONS)}")
    if batch_tokens is not None and batch_tokens != "literal":
        batch_tokens = arguments.whole_number("batch_tokens", batch_tokens, 1, hint=", or 'literal'")
    wanted = [moments.layer_number(layer) for layer in (moments.layers if layers is None else layers)]
    names = [str(PeerName(model.adapter.layer_name(layer), precision, samples, batch_tokens)) for layer in wanted]
    corpus = plain_part("dataset", f"{arguments.word('dataset', dataset)}_stats")
    of_model = model_folder(model.name if model_name is None else model_name, layout)
    place = Path(arguments.word("folder", folder)) / of_model / corpus
    paths = [place / name for name in names]
    for path in paths:
        _check(path, moments, replace)
    for layer, path in zip(wanted, paths, strict=True):
        _write(moments, layer, samples, path)
    return paths


def _check(path: Path, moments: SecondMoments, replace: bool) -> None:
    check_output("folder", path, {"the second moments": moments.folder})
    if path.exists() and not replace:
        raise InputError(
            f"{shown_path(path)} is there; expected no such file: remove it, or pass replace=True to write over it"
        )


def _write(moments: SecondMoments, layer: int, samples: int, path: Path) -> None:
    moment = moments.at(layer)
    arrays = {
        SUM: moment.matrix.mul_(moment.count).numpy(),  # just read, for nobody else
        COUNT: np.array(moment.count, dtype=np.int64),
        SAMPLES: np.array(samples, dtype=np.int64),
    }
    with output_path(path) as made, zipfile.ZipFile(made, "w") as archive:
        for name, array in arrays.items():  # as np.savez, which writes the time of day too, and would pickle objects
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)
