"""Adapters on tiny models as PEFT itself writes them, with numbers that do something."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import PreTrainedModel

TARGETS = {"gpt2": "mlp.c_proj", "gpt_neox": "dense_4h_to_h", "llama": "down_proj"}


def lora(model_type: str, **settings: Any) -> LoraConfig:
    """Rank 2 on the edited projection, of the first layer unless asked otherwise."""
    own: dict[str, Any] = {"r": 2, "lora_alpha": 2, "layers_to_transform": [0], "target_modules": [TARGETS[model_type]]}
    return LoraConfig(fan_in_fan_out=model_type == "gpt2", **own | settings)


def write_adapter(folder: Path, model: PreTrainedModel, config: Any, scale: float = 0.1) -> Path:
    """Let PEFT make the adapter, give all of its parameters random numbers, and let PEFT save it."""
    with warnings.catch_warnings():  # PEFT reads names that transformers has given up
        warnings.simplefilter("ignore", FutureWarning)
        made = get_peft_model(copy.deepcopy(model), config)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.requires_grad:
                parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    made.save_pretrained(str(folder), save_embedding_layers=False)  # "auto" would ask the hub
    return folder
