"""A checkpoint's config.json, and the models that are told by it alone to be others than they look."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, PretrainedConfig

from ks_core.errors import InputError
from ks_core.formatting import shown
from ks_core.models.architectures import family_of
from ks_core.models.sources import Source, explained, missing
from ks_core.strict_json import parse_json

QUANTISATION_ENTRIES = ("quantization_config", "compression_config")
"""where config.json says that weights are quantised; the second is what compressed-tensors wrote at first"""
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")


def load_config(source: Source) -> PretrainedConfig:
    """Read config.json, before any weight is read or fetched.

    Raises:
        InputError: no config.json or a damaged one, an adapter beside (or instead of) the weights, quantised weights,
            a family that is not in `FAMILIES`, a context length that is no positive integer.
        AssetError: the hub cannot be asked.
    """
    _refuse_adapter(source)
    stored = _stored_config(source)
    refuse_quantised(stored, source.place)
    if stored.get("transformers_weights") is not None:
        raise InputError(
            f"config.json of {source.place} names its weights' file itself (transformers_weights: "
            f"{shown(stored['transformers_weights'])}); expected model.safetensors: rename the file, drop the entry"
        )
    with explained(source.location):
        config = AutoConfig.from_pretrained(source.location, revision=source.commit, trust_remote_code=False)
    family_of(config.model_type)
    check_context_length(config, source.place)
    return config


def _refuse_adapter(source: Source) -> None:
    for name in ADAPTER_FILES if source.is_folder else ADAPTER_FILES[:1]:
        if source.find(name) is not None:
            raise InputError(
                f"{source.place} holds an adapter ({name}), which would be left out; merge it into the weights "
                "(PEFT's merge_and_unload, then save_pretrained) and load that, or take the base model without it"
            )


def _stored_config(source: Source) -> dict[str, Any]:
    path = source.find("config.json")
    if path is None:
        raise missing(source, "config.json")
    with explained(source.location):
        stored = parse_json(path.read_text(encoding="utf-8"))
    if not isinstance(stored, dict):
        raise InputError(f"config.json of {source.place} is {shown(stored)}; expected a JSON object")
    return stored


def refuse_quantised(stored: dict[str, Any], place: str) -> None:
    """Refuse what a config says to be quantised.

    Args:
        stored: the config.
        place: of the model, as an error names it.

    Raises:
        InputError: names the method.
    """
    for entry in QUANTISATION_ENTRIES:
        if stored.get(entry) is not None:
            raise InputError(
                f"{place} is quantised by {_method(stored[entry])} ({entry} in its config), and an edit "
                "needs the weights as numbers; take the model that it was made from, or dequantise it and save it anew"
            )


def _method(entry: Any) -> str:
    """The method that a quantisation entry names, or what stands there instead."""
    if not isinstance(entry, dict):
        return shown(entry)
    if "quant_method" in entry:
        return shown(entry["quant_method"])
    if "load_in_8bit" in entry or "load_in_4bit" in entry:  # bitsandbytes did not give its name at first
        return "'bitsandbytes'"
    return f"a method without a name, {shown(entry)}"


def check_context_length(config: PretrainedConfig, place: str) -> None:
    """Refuse a config without a context length; arguments as in `refuse_quantised`.

    Raises:
        InputError: it is no positive integer.
    """
    name = "max_position_embeddings"
    length = getattr(config, name, None)
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise InputError(
            f"{config.attribute_map.get(name, name)} in the config of {place} is {shown(length)}; expected "
            "the number of tokens that the model reads at once, at least 1"
        )
