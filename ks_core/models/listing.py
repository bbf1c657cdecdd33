"""What there is to say of a model before it is loaded: which there are, and what is edited in one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel

from ks_core.models.adapter import Adapter
from ks_core.models.architectures import family_of
from ks_core.models.packaged import PACKAGED_MODELS, KnownShape, PackagedModel, packaged_folder
from ks_core.models.quiet import quiet_unless_terminal
from ks_core.models.settings import load_config
from ks_core.models.shape import shape_of
from ks_core.models.sources import Source, source_of
from ks_core.models.toys import TOYS, ensure_toy
from ks_core.models.weights import architecture_of

UNSAID = "not said"
"""Dtype of a checkpoint whose config does not name it."""


@dataclass(frozen=True)
class ModelEntry:
    """What ks_core sees of a model.

    Attributes:
        name: as `load_model` takes it
        family: `model_type` of its config
        layers: transformer blocks
        d_key, d_value: widths of the edited matrix, which is (d_value, d_key) however it is stored
        parameters: all of them, tied ones once
        context_length: tokens that it reads at once
        edited: the matrix that edits change, with `{layer}` where a layer's number stands, as in `named_parameters()`
        transposed: whether that is stored as (d_key, d_value)
        tied: whether input and output embeddings are one matrix
        dtype: of the checkpoint; loading is in float32 where nothing else is asked for
        disk: bytes of its folder, about, where it is not cached yet; None for a hub's
        download: bytes to fetch before it can be used; 0 where it is here, None for a hub's that is not looked up
        licence: of packaged weights; None for others
        cached: whether it is here
        location: folder, or id on the hub
    """

    name: str
    family: str
    layers: int
    d_key: int
    d_value: int
    parameters: int
    context_length: int
    edited: str
    transposed: bool
    tied: bool
    dtype: str
    disk: int | None
    download: int | None
    licence: str | None
    cached: bool
    location: str


def listed(*names: str, revision: str | None = None) -> tuple[ModelEntry, ...]:
    """The packaged models, or those that are named; nothing is downloaded but a hub model's config.

    Args:
        names: packaged models, folders or hub ids; all packaged ones, the smallest first, when none is given.
        revision: branch, tag or commit of a hub model.

    Raises:
        InputError: no such model, or one that cannot be measured.
        AssetError: a hub model that cannot be reached, or a toy with altered files.

    Example:
        >>> [(model.name, model.layers, model.d_key) for model in listed("toy")]
        [('toy', 2, 149)]
    """
    return tuple(_entry(name, revision) for name in names or (*TOYS, *PACKAGED_MODELS))


def _entry(name: str, revision: str | None) -> ModelEntry:
    if name in TOYS and revision is None:
        folder = ensure_toy(name)
        size = sum((folder / file).stat().st_size for file in TOYS[name].files)
        return _seen(name, Source(str(folder), None, None), TOYS[name].licence, size)
    if name in PACKAGED_MODELS and revision is None:
        packaged, folder = PACKAGED_MODELS[name], packaged_folder(name)
        if folder.is_dir():
            return _seen(name, Source(str(folder), None, None), packaged.licence, _size(folder))
        if packaged.shape is not None:
            return _awaited(packaged, packaged.shape, folder)
    source = source_of(name, revision)
    return _seen(name, source, None, _size(Path(source.location)) if source.is_folder else None)


def _seen(name: str, source: Source, licence: str | None, disk: int | None) -> ModelEntry:
    """Of a model whose config is at hand."""
    with quiet_unless_terminal():
        config = load_config(source)
        model = architecture_of(source, config)
        shape = shape_of(model, name)
    family = family_of(Adapter(model).model_type)
    here = source.is_folder
    return ModelEntry(
        name=name,
        family=str(config.model_type),
        layers=shape.layers,
        d_key=shape.d_key,
        d_value=shape.d_value,
        parameters=shape.parameters,
        context_length=shape.context_length,
        edited=_edited(str(config.model_type)),
        transposed=family.transposed,
        tied=_tied(model),
        dtype=str(getattr(config, "dtype", None) or UNSAID).removeprefix("torch."),
        disk=disk,
        download=0 if here else None,
        licence=licence,
        cached=here,
        location=source.location,
    )


def _awaited(packaged: PackagedModel, known: KnownShape, folder: Path) -> ModelEntry:
    """Of a packaged model that is not fetched yet: what is known of it."""
    return ModelEntry(
        name=packaged.name,
        family=known.family,
        layers=known.layers,
        d_key=known.d_key,
        d_value=known.d_value,
        parameters=known.parameters,
        context_length=known.context_length,
        edited=_edited(known.family),
        transposed=family_of(known.family).transposed,
        tied=known.tied,
        dtype=known.dtype,
        disk=packaged.converted_bytes,
        download=packaged.wheel_bytes,
        licence=packaged.licence,
        cached=False,
        location=str(folder),
    )


def _edited(family: str) -> str:
    return "{layer}".join(family_of(family).projection_of(10**9).split(str(10**9))) + ".weight"


def _tied(model: PreTrainedModel) -> bool:
    head = model.get_output_embeddings()
    return head is not None and head.weight is model.get_input_embeddings().weight


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in _files(folder))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
