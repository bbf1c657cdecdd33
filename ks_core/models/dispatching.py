"""A model spread over several devices by accelerate, some of it on the CPU or the disk until it is needed."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn
from transformers import PreTrainedModel

from ks_core.errors import InputError, StorageError
from ks_core.formatting import shown, shown_path
from ks_core.models.adapter import Adapter
from ks_core.models.sources import reason

DeviceMap: TypeAlias = str | Mapping[str, Any]
"""how to spread a model, or a device for each of its modules by name, "disk" too"""

DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
"""Ways to spread a model, as transformers calls them: over all GPUs evenly (the first two), with less on the first GPU,
or one GPU filled after another; what is left over goes to the CPU, and then to the disk."""

DISK = "disk"


def dispatched(
    model: PreTrainedModel,
    device_map: DeviceMap,
    max_memory: Mapping[Any, Any] | None = None,
    offload_dir: str | Path | None = None,
) -> PreTrainedModel:
    """Spread a model that is on the CPU; blocks stay whole, since what flows around a block must stay on one device.

    Args:
        model: in evaluation mode; it is changed, and returned.
        device_map: one of `DEVICE_MAPS`, or a device for each module.
        max_memory: by GPU number, "cpu" or "disk": bytes, or a text such as "20GiB"; default what is free.
        offload_dir: folder for what goes to the disk; a new one is made in it and removed with the model.

    Raises:
        InputError: an unknown way, a device that is not there, a map that forgets, invents or divides a module, a
            memory that makes no sense or does not suffice, or nowhere to put what goes to the disk.
        StorageError: the disk has no room for it.
    """
    from accelerate import dispatch_model

    if isinstance(device_map, str):
        places = _inferred(model, device_map, max_memory)
    else:
        places = _checked(model, device_map)
        if max_memory is not None:
            raise InputError(
                "max_memory was given with a device for each module, where it means nothing; expected none: leave it "
                f"out, or give one of {', '.join(DEVICE_MAPS)} as device_map"
            )
    folder = _offload_folder(model, places, offload_dir) if DISK in places.values() else None
    dispatch_model(model, places, offload_dir=folder, force_hooks=len(set(places.values())) > 1)
    return model


def _inferred(model: PreTrainedModel, way: str, max_memory: Mapping[Any, Any] | None) -> dict[str, Any]:
    from accelerate import infer_auto_device_map
    from accelerate.utils import get_balanced_memory, get_max_memory

    if way not in DEVICE_MAPS:
        raise InputError(
            f"device_map is {shown(way)}; expected one of {', '.join(DEVICE_MAPS)}, or a device for each module"
        )
    whole = sorted({type(block).__name__ for block in _blocks(model).values()})
    try:
        memory = get_max_memory(None if max_memory is None else dict(max_memory))
        if way != "sequential":
            memory = get_balanced_memory(
                model, max_memory=memory, no_split_module_classes=whole, low_zero=way == "balanced_low_0"
            )
        places: dict[str, Any] = dict(infer_auto_device_map(model, max_memory=memory, no_split_module_classes=whole))
    except (ValueError, TypeError, AttributeError, KeyError, RuntimeError) as error:
        raise InputError(
            f"max_memory is {shown(max_memory)} and cannot be used: {reason(error)}; expected bytes or a text such as "
            "'20GiB' by GPU number, 'cpu' or 'disk'"
        ) from error
    return _checked(model, places)


def _checked(model: PreTrainedModel, device_map: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(device_map, Mapping) or not device_map:
        raise InputError(
            f"device_map is {shown(device_map)}; expected one of {', '.join(DEVICE_MAPS)}, or a device for each module"
        )
    modules = dict(model.named_modules())
    for name, device in device_map.items():
        if name not in modules:
            raise InputError(
                f"device_map names {shown(name)}, which {type(model).__name__} does not have; expected names of its "
                "modules, as model.named_modules() has them"
            )
        _check_device(device)
    tensors = (*model.named_parameters(remove_duplicate=False), *model.named_buffers())  # of tied ones, each
    places = {name: _place(name, device_map) for name, _ in tensors}
    if forgotten := [name for name, place in places.items() if place is None]:
        raise InputError(
            f"device_map says nothing of {forgotten[0]}; expected a device for each module: add it, or '' for the rest"
        )
    parts: dict[str, Any] = {}
    blocks = _blocks(model)
    for name, place in places.items():
        path = next((block for block in blocks if name.startswith(f"{block}.")), name.rpartition(".")[0])
        if parts.setdefault(path, place) != place:
            held = {str(parts[path]), str(place)}
            raise InputError(
                f"device_map divides {path} between {', '.join(sorted(held))}; expected each block on one device: give "
                "a device for the block, not for its parts"
            )
    return parts  # accelerate would take "" for a module's name, and find nothing to put on the disk


def _place(name: str, device_map: Mapping[str, Any]) -> Any:
    """The device of the longest name in the map that a tensor is under; None where there is none."""
    parts = name.split(".")
    under = (".".join(parts[:length]) for length in range(len(parts), -1, -1))
    return next((device_map[path] for path in under if path in device_map), None)


def _check_device(device: Any) -> None:
    if device == DISK:
        return
    try:
        torch.ones(1, device=torch.device(device)).add(1).item()
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        raise InputError(
            f"device_map has the device {shown(device)}, which cannot be used here: {reason(error)}; expected GPU "
            "numbers, 'cpu' or 'disk'"
        ) from error


def _blocks(model: PreTrainedModel) -> dict[str, nn.Module]:
    adapter = Adapter(model)
    names = {module: name for name, module in model.named_modules()}
    return {names[block]: block for block in map(adapter.block, range(adapter.num_layers))}


def _offload_folder(model: PreTrainedModel, places: Mapping[str, Any], offload_dir: str | Path | None) -> str:
    """A new folder: of one that has an index already, accelerate would take the weights, whichever model's they are."""
    needed = sum(tensor.nbytes for name, tensor in model.state_dict().items() if _place(name, places) == DISK)
    if offload_dir is None:
        raise InputError(
            "device_map sends modules to the disk, and no offload_dir says where; expected a folder with room for them"
        )
    try:
        Path(offload_dir).mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix="ks_core-offload-", dir=offload_dir)
    except OSError as error:
        raise InputError(
            f"offload_dir is {shown(str(offload_dir))}, which cannot be used ({error.strerror}); expected a folder "
            "that you may write to"
        ) from error
    weakref.finalize(model, shutil.rmtree, folder, ignore_errors=True)
    if (free := shutil.disk_usage(folder).free) < needed:  # a file that is mapped would end the process by a signal
        raise StorageError(
            f"{needed / 1e9:.1f} GB of weights are to go to {shown_path(folder)}, where {free / 1e9:.1f} GB are free; "
            "expected room for them: name another offload_dir, or give more max_memory"
        )
    return folder
