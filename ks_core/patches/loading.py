"""A changed model, from an adapter on a base or from a folder of its own, whichever tool wrote it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor, nn

from ks_core.errors import InputError
from ks_core.formatting import printable, shown, shown_path
from ks_core.models.loaded import LoadedModel
from ks_core.models.loading import load_model
from ks_core.patches.foreign import CheckedAdapter, check_adapter, fitting, is_adapter


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

    Warns:
        UserWarning: the adapter says that it was made for a model of another name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{shown_path(folder)} is no folder; expected one with an adapter or a model")
    if is_adapter(folder):
        checked = check_adapter(folder, base)
        _warn_of_another_base(checked, base)
        with _merged(base, checked) as changed:
            yield changed
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


def _warn_of_another_base(adapter: CheckedAdapter, base: LoadedModel) -> None:
    """Names of folders say little: a warning, where the hash of a certificate is an error."""
    if adapter.base and Path(adapter.base).name != Path(base.name).name:
        warnings.warn(
            f"the adapter {printable(adapter.folder)} says that it was made for {shown(adapter.base)}; it is loaded on "
            f"{shown(base.name)}, which has the same shapes",
            UserWarning,
            stacklevel=4,
        )


@contextmanager
def _merged(base: LoadedModel, adapter: CheckedAdapter) -> Iterator[ChangedModel]:
    """PEFT puts its layers into the model itself: modules, weights and flags are put back as they were."""
    model: nn.Module = base.model
    parameters = dict(model.named_parameters(remove_duplicate=False))
    before = {name: parameters[name].detach().clone() for name in adapter.parameters}
    modules = {path: model.get_submodule(path) for path in adapter.modules}
    flags = {name: of.requires_grad for name, of in parameters.items()}
    tied = base.model.config.tie_word_embeddings
    try:
        with fitting(adapter.folder, base):
            device = str(base.adapter.device)
            loaded = PeftModel.from_pretrained(base.model, str(adapter.folder), torch_device=device)
            loaded.merge_and_unload(safe_merge=True)
        yield ChangedModel(replace(base, name=f"{base.name} with {adapter.folder}"), before)
    finally:
        for path, module in modules.items():
            parent, _, child = path.rpartition(".")
            setattr(model.get_submodule(parent), child, module)
        with torch.no_grad():
            for name, tensor in before.items():
                parameters[name].data.copy_(tensor)
        for name, parameter in parameters.items():
            parameter.requires_grad_(flags[name])
        base.model.config.tie_word_embeddings = tied
        for left in ("peft_config", "_hf_peft_config_loaded"):
            vars(model).pop(left, None)
