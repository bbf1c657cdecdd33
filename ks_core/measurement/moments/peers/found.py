"""Which files of other projects are of which layer of a model, by their names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

from ks_core import arguments
from ks_core.errors import InputError
from ks_core.formatting import shown, shown_path
from ks_core.measurement.moments.peers.names import PeerName, parsed, plain_part, spellings
from ks_core.models.loaded import LoadedModel

Paths = str | PathLike[str] | Iterable[str | PathLike[str]]

EXAMPLE = "such as transformer.h.17.mlp.c_proj_float32_mom2_100000.npz"


def found_files(
    files: Paths, model: LoadedModel, *, model_name: str | None = None, dataset: str = "wikipedia"
) -> dict[int, tuple[Path, PeerName]]:
    """The file of each layer and what its name says, by layer.

    Args:
        files: a file, several, or a folder: one with the files in it, or a project's `stats_dir`, in which the model's
            is looked for in both spellings. Of a folder, files of other modules of the model are passed over.
        model: whose layers they are of.
        model_name: as the other project loads the model; its own name when left out.
        dataset: the project's name of the text, before "_stats".

    Raises:
        InputError: nothing there, a name that is none of theirs or of a module that is no projection of the model, two
            files of one layer, two folders that hold some.
    """
    layers = {model.adapter.layer_name(layer): layer for layer in range(model.adapter.num_layers)}
    found: dict[int, tuple[Path, PeerName]] = {}
    for path, name in _named(files, model, model.name if model_name is None else model_name, dataset):
        if name.module not in layers:
            raise InputError(
                f"{shown_path(path)} is of the module {shown(name.module)}; expected a projection of "
                f"{shown(model.name)}, such as {model.adapter.layer_name(0)!r}: is it of another model?"
            )
        layer = layers[name.module]
        if layer in found:
            raise InputError(
                f"{shown_path(found[layer][0])} and {shown_path(path)} are both of layer {layer}; expected one file "
                "for each layer: name the files that are meant"
            )
        found[layer] = path, name
    return dict(sorted(found.items()))


def _named(files: Paths, model: LoadedModel, model_name: str, dataset: str) -> Iterator[tuple[Path, PeerName]]:
    if isinstance(files, (str, PathLike)):
        path = Path(arguments.word("files", files))
        if path.is_dir():
            yield from _in_folder(path, model, model_name, dataset)
            return
        yield path, _name_of(path)
        return
    given = [Path(arguments.word("files", each)) for each in arguments.items("files", files, "a path, or several")]
    if not given:
        raise InputError("files is empty; expected a statistics file at least, or a folder of them")
    for path in given:
        yield path, _name_of(path)


def _name_of(path: Path) -> PeerName:
    name = parsed(path.name)
    if name is None:
        raise InputError(
            f"{shown_path(path)} has no name of a statistics file; expected one that says of which module it is, "
            f"{EXAMPLE}: give it such a name"
        )
    return name


def _in_folder(folder: Path, model: LoadedModel, model_name: str, dataset: str) -> list[tuple[Path, PeerName]]:
    corpus = plain_part("dataset", f"{arguments.word('dataset', dataset)}_stats")
    places = [folder, folder / corpus, *(folder / name / corpus for name in spellings(model_name))]
    held = {place: files for place in places if (files := _statistics(place, model))}
    if len(held) > 1:
        both = " and ".join(shown_path(place) for place in held)
        raise InputError(f"{both} hold statistics files; expected them in one folder: name the one that is meant")
    if not held:
        looked = ", ".join(shown_path(place) for place in places)
        raise InputError(f"no statistics files in {looked}; expected some there, {EXAMPLE}")
    return next(iter(held.values()))


def _statistics(place: Path, model: LoadedModel) -> list[tuple[Path, PeerName]]:
    """Those of a folder, without the ones of modules that the model has and that are no projections (PMET's)."""
    projections = {model.adapter.layer_name(layer) for layer in range(model.adapter.num_layers)}
    others = {name for name, _ in model.model.named_modules()} - projections
    paths = sorted(place.glob("*.npz")) if place.is_dir() else []
    named = ((path, parsed(path.name)) for path in paths)
    return [(path, name) for path, name in named if name is not None and name.module not in others]
