"""Which tensor of a checkpoint is which parameter of a model: all have a place, or the model is refused.

transformers leaves out what it has no place for and fills what it lacks with random numbers, both with a warning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from ks_core.errors import InputError
from ks_core.formatting import shown_path
from ks_core.models.checkpoint import StoredTensor

WEIGHT_DTYPES = ("float32", "float64", "bfloat16", "float16")
"""stored types of weights that are numbers; integers and 8-bit floats are quantised and mean nothing without scales"""
_NAMED = 3
"""tensors that an error names"""


@dataclass(frozen=True)
class Harmless:
    """Tensors that old files hold and no model needs, because it computes them itself.

    Attributes:
        ranks: their numbers of dimensions; others of the name are refused, such as the bias of a projection
    """

    name: re.Pattern[str]
    ranks: tuple[int, ...]
    reason: str


HARMLESS = (
    Harmless(
        re.compile(r"(^|\.)(attn|attention)\.(bias|causal_mask)$"),
        (4,),
        "the causal mask, (1, 1, n, n), of old GPT-2, GPT-J, GPT-Neo, GPT-NeoX and CodeGen files",
    ),
    Harmless(
        re.compile(r"(^|\.)(attn|attention)\.masked_bias$"),
        (0, 1),
        "the large negative number that those files put where the mask is",
    ),
    Harmless(
        re.compile(r"(^|\.)(rotary_emb|rotary)\.inv_freq$"),
        (1,),
        "the rotary frequencies of old Llama, GPT-NeoX, Falcon and Persimmon files; follow from config.json",
    ),
)
OLD_NAMES = (("embed_out.", "lm_head."),)
"""beginnings of names that transformers has changed since: GPT-NeoX's head"""
HINTS = (
    (r"lora_|\.base_layer\.|\.modules_to_save\.", "an adapter's: merge it (PEFT's merge_and_unload) and save that"),
    (r"scale|zero|qweight|g_idx|absmax|quant|SCB", "quantised weights: take the model that they were made from"),
    (r"bias$", "config.json says that there are no such biases (attention_bias, mlp_bias): make it say what is there"),
)
"""what the names without a place tell about the checkpoint where all are of a kind, and the remedy"""


def place(stored: Mapping[str, StoredTensor], model: PreTrainedModel, location: str) -> dict[str, str]:
    """Name of the stored tensor of each parameter.

    A name may come with or without the prefix of the model without its head ("transformer.h.0..." or "h.0..."). Of
    parameters that are one (a head tied to the embedding), one is enough.

    Args:
        stored: a checkpoint's tensors.
        model: the architecture; its weights may be on the meta device.
        location: the checkpoint, for the errors.

    Raises:
        InputError: a tensor without a place that is not `HARMLESS`, two for one place, a parameter without a tensor,
            another shape, or a stored type that is not of `WEIGHT_DTYPES`. Each names the tensors.
    """
    parameters: dict[str, nn.Parameter] = model.state_dict(keep_vars=True)
    placed: dict[str, str] = {}
    homeless = []
    for name, tensor in stored.items():
        parameter = _parameter_of(name, parameters, model.base_model_prefix)
        if parameter is None:
            if not _is_harmless(name, tensor):
                homeless.append(name)
        elif parameter in placed:
            raise InputError(f"{location} holds {parameter} twice, as {placed[parameter]} and as {shown_path(name)}")
        else:
            placed[parameter] = name
    if homeless:
        raise _without_place(homeless, type(model).__name__, location)
    _check_complete(placed, parameters, location)
    for parameter, name in placed.items():
        _check_kind(name, stored[name], tuple(parameters[parameter].shape), location)
    return placed


def _parameter_of(name: str, parameters: Mapping[str, nn.Parameter], prefix: str) -> str | None:
    names = [name, *(new + name.removeprefix(old) for old, new in OLD_NAMES if name.startswith(old))]
    candidates = (form for n in names for form in (n, f"{prefix}.{n}", n.removeprefix(f"{prefix}.")))
    return next((candidate for candidate in candidates if candidate in parameters), None)


def _is_harmless(name: str, tensor: StoredTensor) -> bool:
    return any(kind.name.search(name) and len(tensor.shape) in kind.ranks for kind in HARMLESS)


def _without_place(names: Sequence[str], architecture: str, location: str) -> InputError:
    matches = (hint for pattern, hint in HINTS if all(re.search(pattern, name) for name in names))
    hint = next(matches, "make config.json describe what the files hold, or save the model without them")
    return InputError(
        f"{location} holds {len(names)} tensors that {architecture} has no place for: {_listed(names)}; {hint}"
    )


def _check_complete(placed: Mapping[str, str], parameters: Mapping[str, nn.Parameter], location: str) -> None:
    there = {id(parameters[name]) for name in placed}
    missing = [name for name, parameter in parameters.items() if id(parameter) not in there]
    if missing:
        raise InputError(
            f"the weights of {location} lack {len(missing)} parameters of its architecture: {_listed(missing)}; "
            "expected a complete checkpoint of a causal language model"
        )


def _check_kind(name: str, tensor: StoredTensor, shape: tuple[int, ...], location: str) -> None:
    which = f"{shown_path(name)} of {location}"
    if tensor.shape != shape:
        raise InputError(
            f"{which} has shape {tensor.shape}, but by its config.json {shape}; expected the weights and the config of "
            "one model"
        )
    if tensor.dtype not in WEIGHT_DTYPES:
        raise InputError(
            f"{which} is stored as {tensor.dtype}; expected one of {', '.join(WEIGHT_DTYPES)}: of a quantised model "
            "take the one that it was made from"
        )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(map(shown_path, names[:_NAMED])) + (f" and {more} more" if more > 0 else "")
