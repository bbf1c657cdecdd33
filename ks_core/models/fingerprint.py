"""Hashes of what the numbers of a model depend on, taken from the model as it is in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch.nn.modules import module as all_modules
from transformers import PretrainedConfig, PreTrainedTokenizerBase

from ks_core.errors import InputError
from ks_core.formatting import shown
from ks_core.models.offloading import OF_ACCELERATE, own_forward, parameters_of, placing_hook

CONFIG_LABELS = (
    *("_name_or_path", "architectures", "auto_map", "transformers_version"),  # where the checkpoint comes from
    *("dtype", "torch_dtype"),  # the stored one; what it is loaded in has a field of its own
    *("id2label", "label2id", "problem_type", "task_specific_params"),  # other heads than the language model's
    "use_cache",  # speed only
)
"""Entries of a model's config that change no number that is measured."""

MODULE_LABELS = (
    *("name_or_path", "loss_type", "layer_idx", "gradient_checkpointing", "all_tied_weights_keys"),
    "hf_device_map",  # on which devices accelerate put its parts
)
"""Attributes of modules that change no number that is measured."""

HOOKS_OF = ("torch", "transformers")
"""Whose hooks are let be: they collect outputs, or make a weight of parameters and buffers."""

PLACING_HOOK = "accelerate.hooks.AlignDevicesHook"
"""The hook of accelerate that is let be: it moves inputs and weights to where a module computes, and changes none."""

_PLAIN = (bool, int, float, str, list, tuple, Mapping, torch.Tensor)


def weights_sha256(model: torch.nn.Module) -> str:
    """SHA-256 over every parameter's name, dtype, shape and bytes, in the order of their names (1 s per gigabyte).

    Buffers are no part of it: `modules_sha256` has them.
    """
    digest = hashlib.sha256()
    for name, parameter in parameters_of(model):
        _add(digest.update, name, parameter)
    return digest.hexdigest()


def config_sha256(config: PretrainedConfig) -> str:
    """SHA-256 over a model's settings, but for `CONFIG_LABELS`.

    A setting that this package does not know counts: measuring once more is better than the numbers of another model.
    """
    settings = {name: value for name, value in config.to_dict().items() if name not in CONFIG_LABELS}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def modules_sha256(model: torch.nn.Module) -> str:
    """SHA-256 over what modules compute with besides their parameters: class, buffers, public attributes.

    A module takes most of its settings from the config when it is made and never looks again, so a config that was
    changed later does not say what the model does, and an activation that was replaced shows in no weight. Of a
    function that was put into a module, its full name counts. Buffers count whether a checkpoint holds them or not
    (rotary frequencies: not), and so do tensors that were put in a parameter's place. Private attributes are not seen,
    nor hooks before a forward pass (`register_forward_pre_hook`): they are mostly put there to look on.

    Raises:
        InputError: a hook after a forward pass, or a function without a name of its own (a lambda, one made inside
            another): what they do cannot be told from what others of their kind do. Those by which accelerate places
            modules on devices are let be.
    """
    _refuse_hooks(model)
    digest = hashlib.sha256()
    for path, module in model.named_modules():
        public = {name: value for name, value in _attributes(module).items() if _counts(name, value)}
        own = {name: _plain(value, f"{path}.{name}") for name, value in public.items()}
        entry = [path, type(module).__module__, type(module).__qualname__, own]
        digest.update(json.dumps(entry, sort_keys=True).encode())
        for name in sorted(public):
            if isinstance(public[name], torch.Tensor):
                _add(digest.update, f"{path}.{name}", public[name])
    for name, buffer in sorted(model.named_buffers()):
        _add(digest.update, name, buffer)
    return digest.hexdigest()


def tokenizer_sha256(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 over a fast tokenizer's settings, but for padding and truncation, which callers switch on and off.

    The two that decide tokens but stand outside the tokenizer's own file, which end of a long text is cut and whether
    a special token's name is read as plain text, are added.
    """
    settings = json.loads(tokenizer.backend_tokenizer.to_str())
    lasting = {name: value for name, value in settings.items() if name not in ("padding", "truncation")}
    lasting["outside"] = [tokenizer.truncation_side, tokenizer.split_special_tokens]
    return hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()


def _add(update: Callable[[Any], None], name: str, tensor: torch.Tensor) -> None:
    update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
    values = tensor.detach().cpu().contiguous().reshape(-1)
    update(values.view(torch.uint8).numpy().data)


def _refuse_hooks(model: torch.nn.Module) -> None:
    """Refuse hooks that may change an output, but for those of the libraries, which compute with what is hashed."""
    of_modules = ((path or "the model itself", module._forward_hooks) for path, module in model.named_modules())
    for place, hooks in (("every module", all_modules._global_forward_hooks), *of_modules):
        for hook in hooks.values():
            if (getattr(hook, "__module__", None) or "").split(".")[0] not in HOOKS_OF:
                raise _unnamed("hook", hook, place)
    for path, module in model.named_modules():
        hook = placing_hook(module)
        if hook is not None and f"{type(hook).__module__}.{type(hook).__qualname__}" != PLACING_HOOK:
            raise _unnamed("hook", hook, path or "the model itself")


def _unnamed(kind: str, function: Any, place: str) -> InputError:
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return InputError(
        f"{place} has the {kind} {shown(name)}, and what it does cannot be told from what another does; expected a "
        "model that its weights and settings describe: remove it, or write what it does into the weights or a module"
    )


def _attributes(module: torch.nn.Module) -> dict[str, Any]:
    """A module's own attributes, as they are before accelerate places it."""
    if placing_hook(module) is None:
        return vars(module)
    found = {name: value for name, value in vars(module).items() if name not in (*OF_ACCELERATE, "forward")}
    forward = own_forward(module)
    return found if forward is None else {**found, "forward": forward}


def _counts(name: str, value: Any) -> bool:
    if name.startswith("_") or name in MODULE_LABELS:
        return False
    return value is None or callable(value) or isinstance(value, _PLAIN)


def _plain(value: Any, place: str) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(each, place) for each in value]
    if isinstance(value, Mapping):
        return [[str(key), _plain(each, place)] for key, each in value.items()]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, partial):
        return [_plain(part, place) for part in (value.func, value.args, value.keywords)]
    name: str = getattr(value, "__qualname__", type(value).__qualname__)
    if "<" in name:  # "<lambda>", "make.<locals>.forward"
        raise _unnamed("function", value, place)
    return [getattr(value, "__module__", None), name]
