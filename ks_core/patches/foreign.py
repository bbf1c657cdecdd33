"""An adapter folder that any tool wrote, checked against the model that it is for before either is touched."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel, get_peft_model_state_dict
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from safetensors import SafetensorError, safe_open
from torch import nn

from ks_core.errors import InputError, KsError
from ks_core.formatting import shown, shown_path
from ks_core.models.loaded import LoadedModel
from ks_core.models.settings import ADAPTER_FILES
from ks_core.models.sources import reason
from ks_core.models.weights import without_numbers
from ks_core.strict_json import JsonError, parse_json

SETTINGS, WEIGHTS, PICKLED = ADAPTER_FILES

EXPECTED = f"expected a folder with {SETTINGS} and {WEIGHTS}, as PEFT's save_pretrained writes it"


@dataclass(frozen=True)
class CheckedAdapter:
    """An adapter that fits a model.

    Attributes:
        kind: PEFT's name of its type, such as "LORA"
        base: name of the model that it says it was made for; None where it says none
        modules: paths of the model's modules that it is put into
        parameters: names of the parameters that merging it may change
    """

    folder: Path
    kind: str
    base: str | None
    modules: tuple[str, ...]
    parameters: tuple[str, ...]


def check_adapter(folder: Path, model: LoadedModel) -> CheckedAdapter:
    """Put an adapter into a copy of the model that has no numbers, and compare names and shapes with its file.

    Args:
        folder: the adapter's.
        model: unedited, that the adapter is for; it is not touched.

    Raises:
        InputError: a file is missing, damaged or a pickle; a type that cannot be merged into weights; modules that the
            model does not have, or has in other shapes; tensors without a place, places without a tensor, numbers that
            are not finite.
    """
    settings = _settings(folder)
    kind = _mergeable_kind(settings, folder)
    tensors = _stored_shapes(folder)
    with fitting(folder, model):
        warnings.simplefilter("ignore")  # the real loading says them
        config = PeftConfig.from_pretrained(str(folder))
        if hasattr(config, "init_lora_weights"):
            config.init_lora_weights = False  # numbers come from the file
        bare = without_numbers(model.model)
        names = {name for name, _ in bare.named_parameters(remove_duplicate=False)}
        tried = PeftModel(bare, config, low_cpu_mem_usage=True)
        wanted = {name: tuple(of.shape) for name, of in get_peft_model_state_dict(tried).items()}
    _compare(tensors, wanted, folder, model, _base_of(settings))
    modules = tuple(_wrapped(tried.get_base_model()))
    within = [name for name in sorted(names) if any(name.startswith(f"{path}.") for path in modules)]
    biases = [name for name in sorted(names) if name.endswith("bias")] if settings.get("bias", "none") != "none" else []
    return CheckedAdapter(folder, kind, _base_of(settings), modules, tuple(sorted({*within, *biases})))


@contextmanager
def fitting(folder: Path, model: LoadedModel) -> Iterator[None]:
    """Turn what PEFT raises about an adapter and a model into one line; FutureWarnings are for PEFT itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    except KsError:
        raise
    except (
        Exception
    ) as error:  # PEFT and torch raise ValueError, TypeError, KeyError, RuntimeError, NotImplementedError
        raise InputError(
            f"the adapter {shown_path(folder)} cannot be merged into {shown(model.name)}: {reason(error)}; expected "
            "one that was made for this model, of a type that PEFT merges into weights"
        ) from error


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / SETTINGS
    if not path.is_file():
        raise InputError(f"the adapter {shown_path(folder)} has no {SETTINGS}; {EXPECTED}")
    try:
        settings = parse_json(path.read_text(encoding="utf-8"))
    except (JsonError, UnicodeDecodeError) as error:
        raise InputError(f"{shown_path(path)} is damaged: {error}; {EXPECTED}") from error
    if not isinstance(settings, dict):
        raise InputError(f"{shown_path(path)} holds {shown(settings)}; expected a JSON object, as PEFT writes it")
    if settings.get("megatron_config") is not None:  # would import whatever module the file names
        raise InputError(f"{shown_path(path)} asks for Megatron's layers; expected an adapter of plain layers")
    return settings


def _base_of(settings: Mapping[str, Any]) -> str | None:
    """The base by its name; of a model that was made in memory, PEFT writes nothing or "None"."""
    name = settings.get("base_model_name_or_path")
    return name if isinstance(name, str) and name not in ("", "None") else None


def _mergeable_kind(settings: Mapping[str, Any], folder: Path) -> str:
    kind = settings.get("peft_type")
    tuner = PEFT_TYPE_TO_TUNER_MAPPING.get(kind) if isinstance(kind, str) else None
    if (
        tuner is None
        or not issubclass(tuner, BaseTuner)
        or PEFT_TYPE_TO_CONFIG_MAPPING[kind].is_prompt_learning is True
    ):
        raise InputError(
            f"the adapter {shown_path(folder)} is of type {shown(kind)}, which changes no weights; expected one that "
            "can be merged into them, such as LORA"
        )
    return str(kind)


def _stored_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Shape of each stored tensor, whose numbers are all finite."""
    path = folder / WEIGHTS
    if not path.is_file():
        pickled = f" but {PICKLED}, a pickle, which may run any code" if (folder / PICKLED).exists() else ""
        raise InputError(f"the adapter {shown_path(folder)} has no {WEIGHTS}{pickled}; {EXPECTED}")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (the file is no mapping)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{shown_path(path)} is damaged or half written: {reason(error)}; {EXPECTED}") from error
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{shown(name)} of {shown_path(path)} holds NaN or infinity; expected finite numbers")
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _compare(
    stored: Mapping[str, tuple[int, ...]],
    wanted: Mapping[str, tuple[int, ...]],
    folder: Path,
    model: LoadedModel,
    base: str | None,
) -> None:
    place, name = shown_path(folder), shown(model.name)
    made_for = "expected the adapter of this model, whole: give the model that it was made for"
    made_for += "" if base is None else f" (it says {shown(base)})"
    for tensor in sorted(stored.keys() | wanted.keys()):
        if tensor not in stored:
            raise InputError(
                f"the adapter {place} lacks {shown_path(tensor)}, which {name} has a place for; {made_for}"
            )
        if tensor not in wanted:
            raise InputError(
                f"the adapter {place} holds {shown_path(tensor)}, which has no place in {name}; {made_for}"
            )
        if stored[tensor] != wanted[tensor]:
            raise InputError(
                f"{shown_path(tensor)} of the adapter {place} has shape {stored[tensor]}, but {name} has a place of "
                f"shape {wanted[tensor]}; {made_for}"
            )


def _wrapped(model: nn.Module) -> Iterator[str]:
    """Paths of the modules that an adapter is put into, the outermost of those inside one another."""
    last = None
    for path, module in model.named_modules():
        if last is not None and path.startswith(last):
            continue
        if isinstance(module, (BaseTunerLayer, AuxiliaryTrainingWrapper)):
            last = f"{path}."
            yield path
