"""An adapter merged into its base in memory by PEFT, and taken out of it again to the last bit."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor, nn

from ks_core.formatting import printable, shown
from ks_core.models.loaded import LoadedModel
from ks_core.models.packaged import is_packaged, packaged_folder
from ks_core.patches.foreign import CheckedAdapter, check_adapter, fitting


@contextmanager
def merged(base: LoadedModel, folder: Path) -> Iterator[dict[str, Tensor]]:
    """Inside the block, the base has an adapter merged into it; bit for bit the old one afterwards.

    PEFT puts its layers into the model itself: modules, weights and flags are put back as they were.

    Args:
        base: in memory, unedited.
        folder: of the adapter.

    Yields:
        The parameters that it may have changed, by name, as they were.

    Raises:
        InputError: as `check_adapter`, or PEFT cannot merge it.

    Warns:
        UserWarning: the adapter says that it was made for a model of another name.
    """
    adapter = check_adapter(folder, base)
    _warn_of_another_base(adapter, base)
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
        yield before
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


def _warn_of_another_base(adapter: CheckedAdapter, base: LoadedModel) -> None:
    """Names of folders say little: a warning, where the hash of a certificate is an error."""
    names = {Path(base.name).name} | ({packaged_folder(base.name).name} if is_packaged(base.name) else set())
    if adapter.base and Path(adapter.base).name not in names:
        warnings.warn(
            f"the adapter {printable(adapter.folder)} says that it was made for {shown(adapter.base)}; it is loaded on "
            f"{shown(base.name)}, which has the same shapes",
            UserWarning,
            stacklevel=4,
        )
