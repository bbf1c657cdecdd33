"""A changed model, from an adapter on a base or from a folder of its own, whichever tool wrote it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ks_core.errors import InputError
from ks_core.extras import require
from ks_core.formatting import shown, shown_path
from ks_core.models.loaded import LoadedModel
from ks_core.models.loading import load_model
from ks_core.models.settings import ADAPTER_FILES


@dataclass(frozen=True, eq=False)
class ChangedModel:
    """A model as it was and as it is.

    Attributes:
        model: with the change
        before: the base's parameters that may have been changed, by name, as they were
    """

    model: LoadedModel
    before: Mapping[str, Tensor]

    @property
    def after(self) -> dict[str, Tensor]:
        """The same parameters as they are."""
        parameters = dict(self.model.model.named_parameters(remove_duplicate=False))
        return {name: parameters[name].detach() for name in self.before}


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, whole or in part, and not a model."""
    return any((folder / name).exists() for name in ADAPTER_FILES)


@contextmanager
def changed_model(base: LoadedModel, folder: str | Path) -> Iterator[ChangedModel]:
    """Inside the block, the model that a folder makes of a base.

    An adapter is loaded by PEFT and merged into the base in memory, in the dtype and on the device of the base; after
    the block the base is bit for bit what it was. A model folder is loaded beside it.

    Args:
        base: in memory, unedited.
        folder: an adapter of any type that can be merged, or a model of the same architecture.

    Raises:
        InputError: no folder, an adapter that does not fit (`check_adapter`), or a model of another architecture.
        MissingExtraError: `peft` is not installed, for an adapter.

    Warns:
        UserWarning: the adapter says that it was made for a model of another name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{shown_path(folder)} is no folder; expected one with an adapter or a model")
    if is_adapter(folder):
        require("edit", "an adapter")
        from ks_core.patches.merging import merged

        with merged(base, folder) as before:
            yield ChangedModel(replace(base, name=f"{base.name} with {folder}"), before)
    else:
        yield _loaded_beside(base, folder)


def _loaded_beside(base: LoadedModel, folder: Path) -> ChangedModel:
    model = load_model(folder, device=str(base.adapter.device), dtype=base.dtype)
    before = {name: of.detach() for name, of in base.model.named_parameters(remove_duplicate=False)}
    there = {name: of.shape for name, of in model.model.named_parameters(remove_duplicate=False)}
    other = [name for name in sorted(before.keys() | there.keys()) if _shape(before, name) != there.get(name)]
    if other:
        raise InputError(
            f"{shown_path(folder)} is of another architecture than {shown(base.name)}: {shown_path(other[0])} is not "
            "in both, or of another shape; expected a model that was made from this one"
        )
    return ChangedModel(model, before)


def _shape(tensors: Mapping[str, Tensor], name: str) -> torch.Size | None:
    return tensors[name].shape if name in tensors else None
