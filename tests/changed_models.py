"""Ways to change a model after it was loaded, each of which changes what it says."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ks_core.models.loaded import LoadedModel


def _replaced_module(model: LoadedModel) -> None:
    path = model.adapter.layer_name(1)
    old = model.model.get_submodule(path)
    new = type(old)(*reversed(old.weight.shape) if isinstance(old, nn.Linear) else (old.nf, old.nx))
    new.load_state_dict({name: 1.5 * value for name, value in old.state_dict().items()}, strict=False)
    model.model.set_submodule(path, new.requires_grad_(False))


def _with_another_weight(model: LoadedModel) -> dict[str, torch.Tensor]:
    name = f"{model.adapter.layer_name(1)}.weight"
    state = {key: value.clone() for key, value in model.model.state_dict().items()}
    return state | {name: 1.5 * state[name]}


def _new_parameter(model: LoadedModel) -> None:
    module = model.adapter.projection(1)
    module.weight = nn.Parameter(1.5 * module.weight.detach(), requires_grad=False)


def _assigned_data(model: LoadedModel) -> None:
    weight = model.adapter.projection(1).weight
    weight.data = 1.5 * weight.data


def _one_bit(model: LoadedModel) -> None:
    model.adapter.projection(1).weight.data.view(torch.int32)[0, 0].bitwise_xor_(1)


def _in_inference_mode(model: LoadedModel) -> None:
    with torch.inference_mode():
        model.adapter.weight(1).mul_(1.5)


WEIGHTS: dict[str, Callable[[LoadedModel], object]] = {
    "in place": lambda model: model.adapter.weight(1).mul_(1.5),
    "in inference mode": _in_inference_mode,
    "through .data, which moves no version counter": lambda model: model.adapter.projection(1).weight.data.mul_(1.5),
    "one bit": _one_bit,
    "through a NumPy view": lambda model: model.adapter.weight(1).numpy().__imul__(1.5),
    ".data assigned": _assigned_data,
    "a new parameter": _new_parameter,
    "a new module": _replaced_module,
    "load_state_dict": lambda model: model.model.load_state_dict(_with_another_weight(model)),
    "load_state_dict, assigned": lambda model: model.model.load_state_dict(_with_another_weight(model), assign=True),
    "the embedding": lambda model: model.model.get_input_embeddings().weight.data.mul_(1.5),
    "two rows swapped": lambda model: model.adapter.weight(1).copy_(model.adapter.weight(1).flip(0)),
    "cast": lambda model: model.model.half(),
}


def _another_activation(model: LoadedModel) -> None:
    for module in model.model.modules():
        for name in ("act", "act_fn", "activation_fn"):
            if hasattr(module, name):
                setattr(module, name, nn.GELU())


def _another_epsilon(model: LoadedModel) -> None:
    for module in model.model.modules():
        for name in ("eps", "variance_epsilon"):
            if hasattr(module, name):
                setattr(module, name, 0.5)


def _training(model: LoadedModel) -> None:
    model.model.train()


SETTINGS: dict[str, Callable[[LoadedModel], object]] = {
    "activation": _another_activation,
    "epsilon": _another_epsilon,
    "training": _training,
    "config": lambda model: model.model.config.update({"hidden_act": "relu", "activation_function": "relu"}),
}

TOKENIZER: dict[str, Callable[[LoadedModel], object]] = {
    "tokens added": lambda model: model.tokenizer.add_tokens(["Paris"]),
    "truncation side": lambda model: setattr(model.tokenizer, "truncation_side", "left"),
    "special tokens split": lambda model: setattr(model.tokenizer, "split_special_tokens", True),
}

CHANGES = {**WEIGHTS, **SETTINGS, **TOKENIZER}

ONE_OF_EACH = (
    "in place",
    "through .data, which moves no version counter",
    "a new module",
    "activation",
    "tokens added",
)
"""For tests that run a model for each."""
